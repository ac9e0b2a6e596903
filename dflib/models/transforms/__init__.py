"""Transforms of a model's view: ``dflib.models.transforms.<name>`` defines ``PART``, a :class:`Transform`.

``view.transforms`` names them. :func:`dflib.models.view.cut` applies them, in training and scoring alike.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dflib.errors import ModelError
from dflib.parts.catalog import TRANSFORMS

Image = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Transform:
    """What differs between transforms.

    Attributes:
        apply: called with an image, uint8 RGB ``[size, size, 3]``, and the argument from the configuration (empty when
            the transform takes none). Returns an image of the same shape, type and colour order, and leaves its input
            unchanged. Several threads call it at the same time. The result depends on nothing but the two arguments.
    """

    apply: Callable[[Image, str], Image]


def load(name: str) -> Transform:
    """The transform of that name, with or without an argument.

    Raises:
        ConfigError: a package that it needs is not installed.
    """
    part: Transform = TRANSFORMS.load(name)
    return part


def apply(image: Image, transforms: Sequence[str]) -> Image:
    """Applies transforms one after another.

    Args:
        image: uint8 RGB ``[size, size, 3]``.
        transforms: names with arguments, such as ``name:2``.

    Returns:
        uint8 RGB ``[size, size, 3]``.

    Raises:
        ModelError: a transform returned another shape or type.
        ConfigError: a package that a transform needs is not installed.
    """
    for text in transforms:
        result = load(text).apply(image, TRANSFORMS.split(text)[1])
        if result.shape != image.shape or result.dtype != np.uint8:
            raise ModelError(
                f"view.transforms: {text} returned {result.dtype} {list(result.shape)} for uint8 {list(image.shape)}; "
                "a transform keeps shape and type"
            )
        # For OpenCV, which draws on contiguous arrays only.
        image = np.ascontiguousarray(result)
    return image
