"""release: the held verdicts become current."""

from dflib.scoring import publish
from dflib.steps.step import Argument, Context, Step, Summary


def run(context: Context) -> Summary:
    reason = context.config.release.reason
    done = publish.release(context.tables, context.submitted_by, reason, context.dry_run)
    pairs = ", ".join(f"{model_id} on {extractor}" for model_id, extractor in done.pairs)
    line = (
        f"{done.rows:,} held verdicts of {done.videos:,} videos by {pairs} "
        f"{'would become' if context.dry_run else 'are'} current"
    )
    return Summary(line, {"verdicts": done.rows, "videos": done.videos})


STEP = Step(
    "release",
    run,
    # The next report would take this for a write of one that runs.
    not_beside=("report",),
    arguments=(Argument("--why", "release.reason", "why, for the table publications", required=False),),
    needs_tables=True,
)
