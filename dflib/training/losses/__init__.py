"""The losses that a network can be fitted with: a file each, listed in :data:`dflib.parts.catalog.LOSSES`."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

from dflib.parts import catalog


@dataclass(frozen=True)
class Loss:
    """A named loss; each module of this package defines one as ``PART``.

    Attributes:
        build: returns a new ``tf_keras.losses.Loss`` of labels (float 0 or 1, ``[B, 1]``) and probabilities ``[B, 1]``,
            which averages over the batch and applies sample weights. It imports TensorFlow.
    """

    build: Callable[[], Any]


def load(name: str) -> Loss:
    """The loss of this name.

    Raises:
        ValueError: no loss of the catalog has this name.
    """
    return cast(Loss, catalog.LOSSES.load(name))
