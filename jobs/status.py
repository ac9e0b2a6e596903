"""status: what is running, what is done of what, what failed, and when it will be over. Changes nothing."""

from dflib.operations import status
from dflib.steps.job import Job, Summary, main


def run(job: Job) -> Summary:
    found = status.text(job.tables, job.storage, job.config)
    return Summary("nothing was changed", text=found)


if __name__ == "__main__":
    main("status", run, recorded=False)
