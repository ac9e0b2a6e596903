"""report: verdicts and metrics of scored videos, and one page a model."""

from dflib.checks import evaluate
from dflib.config import Config
from dflib.config.identity import extractor_id
from dflib.reporting.history import this_run
from dflib.reporting.report import report
from dflib.scoring.pooling import rule_names
from dflib.sources.crops import extractor_of
from dflib.steps import checks
from dflib.steps.step import Context, Step, Summary
from dflib.tables.schemas import (
    ALIASES,
    CHANGES,
    CHECKS,
    EXTRACTIONS,
    FACES,
    HELD_VERDICTS,
    METRICS,
    MODELS,
    PREDICTIONS,
    PUBLICATIONS,
    SPLITS,
    VERDICTS,
    VIDEOS,
)


def check(config: Config) -> None:
    """Raises :class:`ConfigError` when two pooling rules have one name."""
    rule_names(config.report)


def run(context: Context) -> Summary:
    config = context.config
    made = this_run(context.run_id, context.code_version)
    failed_checks = evaluate.failures(context.tables, config.checks)
    if checks.STEP.name in context.failed_steps:
        failed_checks = ["they could not be run"]
    done = report(
        *(context.tables, context.storage, config.report, config.nightly, config.reports.root, context.progress, made),
        context.dry_run,
        (extractor_id(config), extractor_of(config.sources)),
        failed_checks,
    )
    line = (
        f"{done.videos:,} videos judged, {done.undetermined:,} UNDETERMINED, {done.not_extracted:,} not extracted yet; "
        f"{done.verdicts:,} verdicts and {done.metrics:,} metrics new or changed, "
        f"{done.pages_written} of {len(done.pages)} pages written"
    )
    if done.changes:
        line += f"; changed: {', '.join(f'{cause} {count:,}' for cause, count in sorted(done.changes.items()))}"
    if done.held:
        line += f"; verdicts of {len(done.held)} models and extractors are held"
    if context.dry_run:
        line = f"{len(done.text.splitlines())} reports would be made"
    counts = {
        "videos": done.videos,
        "undetermined": done.undetermined,
        "not_extracted": done.not_extracted,
        "verdicts": done.verdicts,
        "metrics": done.metrics,
        "changes": dict(done.changes),
        "held": done.held,
        "pages": done.pages,
        "pages_written": done.pages_written,
    }
    return Summary(line, counts, done.text)


STEP = Step(
    "report",
    run,
    check,
    exclusive=True,
    reads=(VIDEOS, EXTRACTIONS, FACES, PREDICTIONS, MODELS, ALIASES, SPLITS, CHECKS),
    writes=(VERDICTS, HELD_VERDICTS, PUBLICATIONS, CHANGES, METRICS),
    # The configured extractors lead.
    settings=(
        *("report", "reports", "nightly.move", "nightly.max_flips", "checks.fail"),
        *("sampling", "faces", "crops", "extract", "sources"),
    ),
    needs_tables=True,
)
