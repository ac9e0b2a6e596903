"""Predictions to verdicts, metrics and one page a model: ``spark-submit.sh report``."""

from dflib.config import Config
from dflib.reporting.report import report
from dflib.scoring.verdicts import rule_names
from dflib.steps.job import Job, Summary, main


def check(config: Config) -> None:
    """Refuses unknown rules."""
    rule_names(config.report)


def run(job: Job) -> Summary:
    """Judges the videos and writes the pages."""
    done = report(job.tables, job.storage, job.config.report, job.config.reports.root, job.progress, job.dry_run)
    line = (
        f"{done.videos:,} videos judged, {done.undetermined:,} UNDETERMINED, {done.not_extracted:,} not extracted yet; "
        f"{done.verdicts:,} verdicts and {done.metrics:,} metrics new or changed, "
        f"{done.pages_written} of {len(done.pages)} pages written"
    )
    if job.dry_run:
        line = f"{len(done.text.splitlines())} reports would be made"
    counts = {
        "videos": done.videos,
        "undetermined": done.undetermined,
        "not_extracted": done.not_extracted,
        "verdicts": done.verdicts,
        "metrics": done.metrics,
        "pages": done.pages,
        "pages_written": done.pages_written,
    }
    return Summary(line, counts, done.text)


if __name__ == "__main__":
    main("report", run, check)
