"""retry: the next extract tries failed videos again."""

from dflib.config import Config
from dflib.config.identity import extractor_id
from dflib.errors import ConfigError
from dflib.extraction import retry
from dflib.steps.step import Argument, Context, Step, Summary


def check(config: Config) -> None:
    """Raises :class:`ConfigError` when neither a reason nor videos are named."""
    if config.retry.reason is None and not config.retry.videos:
        raise ConfigError(
            "retry.reason, retry.videos: name a reason, such as 'retry --reason STORAGE_ERROR', or videos"
        )


def run(context: Context) -> Summary:
    wanted = context.config.retry
    done = retry.request(context.tables, extractor_id(context.config), wanted.reason, wanted.videos, context.dry_run)
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
    # An extract that runs has chosen its videos, and the next would take this for a write of that run.
    not_beside=("extract",),
    arguments=(
        Argument("--reason", "retry.reason", "reason of the failure, as in extractions.reason", required=False),
        Argument("--videos", "retry.videos", "video_ids, separated by commas", required=False),
    ),
    needs_tables=True,
)
