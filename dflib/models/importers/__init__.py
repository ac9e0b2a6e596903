"""Model formats of ``import_model``: ``dflib.models.importers.<format>`` defines ``PART``, a :class:`ModelFormat`.

A foreign file is data. No format may unpickle it or run code of it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dflib.parts.catalog import MODEL_FORMATS


@dataclass(frozen=True)
class ModelFormat:
    """What differs between model formats.

    Attributes:
        read: called with the content of the file, its URI for messages, the name of the network, and the side of the
            input in pixels. Returns a ``tf_keras.Model`` as :func:`dflib.models.networks.build` does, with the weights
            of the file. Raises :class:`ModelError` when the file is not of this format, damaged, or of another network.
        largest: bytes above which a file is refused before it is read.
    """

    read: Callable[[bytes, str, str, int], Any]
    largest: int


def load(name: str) -> ModelFormat:
    """The model format of that name.

    Raises:
        ConfigError: a package that it needs is not installed.
    """
    part: ModelFormat = MODEL_FORMATS.load(name)
    return part
