"""The networks by name."""

from pathlib import Path
from typing import Any

from dflib.errors import ModelError

NETWORKS = ("meso4", "efficientnetb0")


def build(name: str, size: int, backbone_file: Path | None = None, shared: bool = False) -> Any:
    """A new network with random weights (or a given backbone).

    Args:
        name: one of :data:`NETWORKS`.
        size: side of the square input in pixels.
        backbone_file: HDF5 weights of the backbone (efficientnetb0 only).
        shared: as for :func:`dflib.models.meso.meso4`; efficientnetb0 normalises what each device has of a batch.

    Returns:
        A ``tf_keras.Model``, not compiled: uint8 or float RGB 0 to 255 ``[B, size, size, 3]`` to the sigmoid
        ``[B, 1]`` of its positive class (fake, for networks that dflib trains).  Normalisation is inside.

    Raises:
        ModelError: no such network, the size is too small for it, or the backbone is not one.
    """
    from dflib.models import efficientnet, meso

    if name not in NETWORKS:
        raise ModelError(f"network {name!r}: not known; one of {', '.join(NETWORKS)}")
    smallest = meso.SMALLEST if name == "meso4" else efficientnet.SMALLEST
    if size < smallest:
        raise ModelError(f"network {name}: an input of {size} pixels is too small; set view.size to {smallest} or more")
    if name == "meso4":
        if backbone_file is not None:
            raise ModelError(f"network meso4 has no backbone, but {backbone_file} is given; leave train.backbone out")
        return meso.meso4(size, shared)
    return efficientnet.efficientnetb0(size, backbone_file)
