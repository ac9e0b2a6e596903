"""The name of a way of extracting: a short text and a hash of every setting that changes rows."""

from dflib.config import Config, digest

ROWS = 4
"""Version of what the rows mean; counted up when the code changes them for the same settings."""


def extractor_id(config: Config) -> str:
    """For example ``even20-mtcnn-1a2b3c4d``: sampling, detector, and eight hex digits over the settings.

    Two samplings live side by side under their own names, and a changed setting never mixes with old rows.
    """
    settings = {
        "rows": ROWS,
        "sampling": config.sampling.model_dump(),
        "faces": config.faces.model_dump(),
        "crops": config.crops.model_dump(),
        "max_pixels": config.extract.max_pixels,
    }
    preset = config.sampling.frames.replace(":", "")
    return f"{preset}-{config.faces.detector}-{digest(settings)[:8]}"
