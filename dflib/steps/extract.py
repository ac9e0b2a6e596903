"""extract: faces of the videos that the ledger lacks."""

from dflib.config import Config
from dflib.extraction.extract import Budget, ExtractResult, extract
from dflib.parts import catalog
from dflib.steps.step import Context, Step, Summary
from dflib.tables.schemas import CHUNKS, EXTRACTIONS, VIDEOS


def check(config: Config) -> None:
    """Raises :class:`ConfigError` if the package of the detector is not installed."""
    catalog.DETECTORS.check_installed(config.faces.detector)


def run(context: Context) -> Summary:
    return _summary(_extract(context, Budget()))


def run_within_budget(context: Context) -> Summary:
    """The same within the budget of a night."""
    nightly = context.config.nightly
    seconds = None if nightly.max_minutes is None else nightly.max_minutes * 60
    return _summary(_extract(context, Budget(nightly.max_videos, seconds)))


def _extract(context: Context, budget: Budget) -> ExtractResult:
    return extract(
        *(context.tables, context.storage, context.config, context.run_id, context.progress, context.dry_run), budget
    )


def _summary(result: ExtractResult) -> Summary:
    attention: tuple[str, ...] = ()
    if result.new_failures:
        reasons = ", ".join(f"{reason} {count:,}" for reason, count in sorted(result.failed.items()))
        attention = (f"{result.new_failures:,} videos failed for the first time ({reasons})",)
    return Summary(result.line, result.counts, attention=attention, remaining=result.postponed + result.retriable)


STEP = Step(
    "extract",
    run,
    check,
    exclusive=True,
    reads=(VIDEOS, CHUNKS),
    writes=(EXTRACTIONS,),
    settings=("sampling", "faces", "crops", "extract"),
    needs_tables=True,
)
