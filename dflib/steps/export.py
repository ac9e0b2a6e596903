"""export: any table as Parquet or CSV, and the challenge's submission.csv."""

from dflib import uris
from dflib.config import Config
from dflib.reporting import submission
from dflib.scoring.pooling import rule_names
from dflib.steps.step import Context, Step, Summary
from dflib.tables import export


def check(config: Config) -> None:
    """Raises :class:`ConfigError` on an unknown table or rule."""
    rule_names(config.report)
    if config.export.table == submission.SUBMISSION:
        submission.check(config.export)
    else:
        export.check(config.export)


def run(context: Context) -> Summary:
    settings = context.config.export
    if settings.table == submission.SUBMISSION:
        first_rule = next(iter(rule_names(context.config.report).values()))
        rows = submission.submission(context.tables, settings, first_rule)
    else:
        rows = export.read(context.tables, settings)
    target = settings.to or uris.join(context.config.reports.root, "export")
    done = export.write(context.tables, context.storage, rows, settings.format, target, context.dry_run)
    line = f"{done.rows:,} rows, {done.bytes:,} bytes{' read' if context.dry_run else ''}, {done.uri}"
    counts = {"rows": done.rows, "bytes": done.bytes, "uri": done.uri, "notes": done.notes}
    return Summary("; ".join([line, *done.notes]), counts)


STEP = Step("export", run, check, needs_tables=True)
