"""estimate: what extracting the rest will take on a given cluster, learnt from a run that was. Changes nothing."""

from dflib.operations import estimate as sizing
from dflib.steps.job import Job, Summary, main


def run(job: Job) -> Summary:
    found = sizing.size(job.tables, job.storage, job.config)
    return Summary(f"{found.wall / 60:,.1f} minutes for {found.videos:,} videos", text=sizing.text(found))


if __name__ == "__main__":
    main("estimate", run, recorded=False)
