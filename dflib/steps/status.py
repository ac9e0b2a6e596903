"""status: progress of the tables and of running jobs."""

from dflib.operations import status
from dflib.steps.step import Context, Step, Summary


def run(context: Context) -> Summary:
    text = status.text(context.tables, context.storage, context.config)
    return Summary("nothing was changed", text=text)


STEP = Step("status", run, recorded=False, needs_tables=True)
