"""Networks, one module each: ``dflib.models.networks.<name>`` defines ``PART``, a :class:`Network`.

A module is listed in :data:`dflib.parts.catalog.NETWORKS`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from dflib.errors import ModelError
from dflib.parts.catalog import NETWORKS


@dataclass(frozen=True)
class Network:
    """What differs between networks.

    Attributes:
        construct: called with the side of the square input in pixels, a local HDF5 file of backbone weights or None
            for random weights, and whether batch normalisation is synchronised over replicas. Returns an uncompiled
            ``tf_keras.Model``: RGB 0 to 255 (uint8 or float) ``[B, size, size, 3]`` to the sigmoid ``[B, 1]`` of its
            positive class. Normalisation is part of the model. The last layer computes in float32.
        smallest_size: smallest side of the input in pixels.
        published_size: side of the input in pixels in the publication.
        backbone: the backbone weights that it takes, for messages and documents; None: it takes none.
        synchronized_batch_norm: whether batch normalisation can use the statistics of all replicas. Where it cannot,
            each replica normalises its own share of a batch.
        input: what one input is: one face, or a run of consecutive faces of a track. Only "face" is used so far.
    """

    construct: Callable[[int, Path | None, bool], Any]
    smallest_size: int
    published_size: int
    backbone: str | None = None
    synchronized_batch_norm: bool = False
    input: Literal["face", "run"] = "face"


def load(name: str) -> Network:
    """The network of that name.

    Raises:
        ModelError: there is no such network.
        ConfigError: a package that it needs is not installed.
    """
    try:
        NETWORKS.check(name)
    except ValueError as error:
        raise ModelError(str(error)) from None
    part: Network = NETWORKS.load(name)
    return part


def build(name: str, size: int, backbone_file: Path | None = None, synchronized: bool = False) -> Any:
    """A new network with random weights, or with those of a backbone.

    Args:
        name: a network of the catalog.
        size: side of the square input in pixels.
        backbone_file: HDF5 weights of the backbone, for networks that take one.
        synchronized: whether several replicas train on one batch; batch normalisation then uses the statistics of the
            whole batch where the network supports it.

    Returns:
        An uncompiled ``tf_keras.Model``, see :attr:`Network.construct`. Its positive class is fake for networks that
        dflib trains.

    Raises:
        ModelError: there is no such network, the input is too small, or the backbone does not fit.
    """
    part = load(name)
    if size < part.smallest_size:
        raise ModelError(
            f"network {name}: an input of {size} pixels is too small; set view.size to {part.smallest_size} or more"
        )
    if backbone_file is not None and part.backbone is None:
        raise ModelError(f"network {name} has no backbone, but got {backbone_file}; remove train.backbone")
    return part.construct(size, backbone_file, synchronized and part.synchronized_batch_norm)
