"""verify: whether a bundle of explain is as it was made, and about which video file."""

from dflib.config import Config
from dflib.errors import ConfigError
from dflib.proof import bundle, replay, text
from dflib.proof.bundle import BundleError
from dflib.reporting.text import printable
from dflib.steps.step import Argument, Context, Step, Summary


def check(config: Config) -> None:
    """Raises :class:`ConfigError` when no bundle is named."""
    if config.verify.bundle is None:
        raise ConfigError("verify.bundle: name a bundle, as in 'verify FILE [VIDEO-FILE]'")


def run(context: Context) -> Summary:
    wanted = context.config.verify
    assert wanted.bundle is not None
    size = context.storage.stat(wanted.bundle).size
    if size > bundle.MAX_BYTES:
        raise BundleError(f"{wanted.bundle}: {size:,} bytes, and no bundle is larger than {bundle.MAX_BYTES:,}")
    video = None if wanted.video is None else context.storage.read(wanted.video)
    try:
        checks = bundle.verify(context.storage.read(wanted.bundle), video)
    except BundleError as error:
        raise BundleError(f"{wanted.bundle}: {printable(str(error))}") from None
    different = replay.first_difference(checks)
    if different is not None:
        detail = f": {printable(different.detail)}" if different.detail else ""
        raise BundleError(f"{wanted.bundle}: {different.link} differs{detail}; do not trust it")
    return Summary(f"{wanted.bundle} is as it was made", text="\n".join(map(text.of_check, checks)))


STEP = Step(
    "verify",
    run,
    check,
    recorded=False,
    arguments=(
        Argument("BUNDLE", "verify.bundle", "the bundle"),
        Argument("VIDEO", "verify.video", "the video file that it is about", required=False),
    ),
)
