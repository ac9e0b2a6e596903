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
    attention: tuple[str, ...] = ()
    if result.chunks_gone or result.videos_missing:
        attention = (f"{result.chunks_gone:,} chunks are gone, {result.videos_missing:,} videos are missing",)
    return Summary(result.line(), dataclasses.asdict(result), attention=attention)


STEP = Step("ingest", run, check, exclusive=True)
