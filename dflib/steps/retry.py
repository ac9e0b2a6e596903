"""retry: the next extract tries failed videos again."""

import contextlib

from dflib.config import Config
from dflib.config.identity import extractor_id
from dflib.errors import ConfigError
from dflib.extraction import retry
from dflib.steps import extract
from dflib.steps.step import Argument, Context, Step, Summary


def check(config: Config) -> None:
    """Raises :class:`ConfigError` when neither a reason nor videos are named."""
    if config.retry.reason is None and not config.retry.videos:
        raise ConfigError(
            "retry.reason, retry.videos: name a reason, such as 'retry --reason STORAGE_ERROR', or videos"
        )


def run(context: Context) -> Summary:
    wanted = context.config.retry
    extractor = extractor_id(context.config)
    # An extract that runs has chosen its videos, and the next would take this for a write of that run.
    lock = contextlib.nullcontext() if context.dry_run else context.tables.locks.run(extract.STEP.name)
    with lock:
        done = retry.request(context.tables, extractor, wanted.reason, wanted.videos, context.dry_run)
    reasons = ", ".join(f"{reason} {count:,}" for reason, count in done.reasons.items())
    line = (
        f"{done.videos:,} videos ({reasons}) {'would be' if context.dry_run else 'will be'} tried again by the next "
        f"extract with {done.extractor}"
    )
    return Summary(line, {"videos": done.videos, "reasons": done.reasons})


STEP = Step(
    "retry",
    run,
    check,
    arguments=(
        Argument("--reason", "retry.reason", "reason of the failure, as in extractions.reason", required=False),
        Argument("--videos", "retry.videos", "video_ids, separated by commas", required=False),
    ),
)
