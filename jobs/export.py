"""Any table as Parquet or CSV, and the challenge's submission.csv: ``spark-submit.sh export``."""

from dflib import uris
from dflib.config import Config
from dflib.reporting.submission import SUBMISSION, submission
from dflib.reporting.submission import check as check_submission
from dflib.scoring.verdicts import rule_names
from dflib.steps.job import Job, Summary, main
from dflib.tables import export


def check(config: Config) -> None:
    """Refuses unknown tables and rules."""
    rule_names(config.report)
    if config.export.table == SUBMISSION:
        check_submission(config.export)
    else:
        export.check(config.export)


def run(job: Job) -> Summary:
    """Writes what ``export`` of the configuration names."""
    settings = job.config.export
    if settings.table == SUBMISSION:
        rows = submission(job.tables, settings, next(iter(rule_names(job.config.report).values())))
    else:
        rows = export.read(job.tables, settings)
    to = settings.to or uris.join(job.config.reports.root, "export")
    done = export.write(job.tables, job.storage, rows, settings.format, to, job.dry_run)
    line = f"{done.rows:,} rows, {done.bytes:,} bytes{' read' if job.dry_run else ''}, {done.uri}"
    counts = {"rows": done.rows, "bytes": done.bytes, "uri": done.uri, "notes": done.notes}
    return Summary("; ".join([line, *done.notes]), counts)


if __name__ == "__main__":
    main("export", run, check)
