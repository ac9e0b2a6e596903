"""Identifiers derived from settings."""

from typing import Any

from dflib.config.config import Config, digest
from dflib.config.models import TrainConfig

ROWS_VERSION = 4
"""Version of the meaning of extracted rows; incremented when the code changes them for unchanged settings."""

HASHED_AS = {
    "lone_threshold": "lone_floor",
    "track_threshold": "track_floor",
    "min_track_length": "track_min",
    "learning_rate": "optimizer_rate",
    "batch_size": "batch",
    "checkpoint_steps": "save_steps",
}
"""Keys that were renamed, with the name under which they are hashed: identifiers in existing tables stay valid."""


ADDED = {"deinterlace": False}
"""Keys that were added since, with the value that changes nothing: with it they are not hashed."""


def hashed(settings: dict[str, Any]) -> dict[str, Any]:
    """The settings of a section that are hashed, under the names that are hashed."""
    kept = {name: value for name, value in settings.items() if name not in ADDED or ADDED[name] != value}
    return {HASHED_AS.get(name, name): value for name, value in kept.items()}


def extractor_id(config: Config) -> str:
    """Identifier of an extraction's settings, for example ``even20-mtcnn-1a2b3c4d``.

    Sampling, detector, and eight hexadecimal digits of a hash over every setting that changes rows.  Rows of two
    samplings are stored side by side under their own identifiers, and a changed setting never mixes with old rows.
    """
    settings = {
        "rows": ROWS_VERSION,
        "sampling": hashed(config.sampling.model_dump()),
        "faces": hashed(config.faces.model_dump()),
        "crops": hashed(config.crops.model_dump()),
        "max_pixels": config.extract.max_pixels,
    }
    sampling = config.sampling.frames.replace(":", "")
    return f"{sampling}-{config.faces.detector}-{digest(settings)[:8]}"


def training_settings(train: TrainConfig, excluded: tuple[str, ...], defaults: dict[str, Any]) -> dict[str, Any]:
    """The settings of a training that go into its identifier, under the names that are hashed.

    Args:
        train: the section ``train``.
        excluded: keys that do not change the result.
        defaults: keys that are left out while they have these values.
    """
    values = train.model_dump().items()
    return hashed({name: value for name, value in values if name not in excluded and defaults.get(name) != value})
