"""Example images for the training page: what the network sees, before and after augmentation."""

from pathlib import Path
from typing import Any

from dflib.config import AugmentConfig
from dflib.errors import TrainingError
from dflib.training import augment
from dflib.training.feed import Feed

EXAMPLES_FILE = "examples.npz"
"""Name of the examples in the work folder."""

EXAMPLES = 8
"""Images kept of each class."""


def write(path: Path, feed: Feed, ranges: AugmentConfig, seed: int) -> None:
    """Writes the first readable images of each class.

    The file holds the arrays ``real``, ``real_augmented``, ``fake`` and ``fake_augmented``: uint8 RGB
    ``[n, size, size, 3]`` with n at most :data:`EXAMPLES`.

    Args:
        path: the ``.npz`` file.
        feed: the train split.
        ranges: of the augmentation.
        seed: of the augmentation.

    Raises:
        TrainingError: no image of a class can be read.
    """
    import numpy as np

    np.savez(path, **_examples(feed, ranges, seed))


def _examples(feed: Feed, ranges: AugmentConfig, seed: int) -> dict[str, Any]:
    import numpy as np
    import tensorflow as tf

    arrays = {}
    for label, name in enumerate(("real", "fake")):
        of_class = feed.examples().filter(lambda image, found, weight, label=label: found == label).take(EXAMPLES)
        readable = [image for image, _, _ in of_class.as_numpy_iterator()]
        if not readable:
            raise TrainingError(f"no image of a {name} face of the training set can be read")
        images = np.stack(readable)
        parameters = augment.draw(tf.constant(len(images)), ranges, [seed, label])
        warped = augment.warp(images, parameters).numpy()
        arrays[name], arrays[f"{name}_augmented"] = images, np.clip(warped + 0.5, 0, 255).astype(np.uint8)
    return arrays
