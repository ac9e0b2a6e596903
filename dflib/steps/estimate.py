"""estimate: how long extracting the remaining videos will take on a cluster."""

from dflib.operations import estimate
from dflib.steps.step import Context, Step, Summary


def run(context: Context) -> Summary:
    found = estimate.estimate(context.tables, context.storage, context.config)
    return Summary(f"{found.wall / 60:,.1f} minutes for {found.videos:,} videos", text=estimate.text(found))


STEP = Step("estimate", run, recorded=False, needs_tables=True)
