"""extract: faces of the videos that the ledger lacks."""

from dflib.config import Config
from dflib.extraction.extract import extract
from dflib.parts import catalog
from dflib.steps.step import Context, Step, Summary


def check(config: Config) -> None:
    """Raises :class:`ConfigError` if the package of the detector is not installed."""
    catalog.DETECTORS.check_installed(config.faces.detector)


def run(context: Context) -> Summary:
    result = extract(context.tables, context.storage, context.config, context.run_id, context.progress, context.dry_run)
    return Summary(result.line, result.counts)


STEP = Step("extract", run, check, exclusive=True)
