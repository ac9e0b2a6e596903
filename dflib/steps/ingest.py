"""ingest: chunk zips, folders of videos and ready-cut crops as rows; nothing is decoded."""

import dataclasses

from dflib.config import Config
from dflib.sources import ingest
from dflib.steps.step import Context, Step, Summary


def check(config: Config) -> None:
    """Raises :class:`ConfigError` when no source is set."""
    ingest.check(config.sources)


def run(context: Context) -> Summary:
    result = ingest.ingest(
        context.tables, context.storage, context.config.sources, context.run_id, context.progress, context.dry_run
    )
    return Summary(result.line(), dataclasses.asdict(result))


STEP = Step("ingest", run, check, exclusive=True)
