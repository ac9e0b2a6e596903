"""High dynamic range to the standard range: PQ and HLG frames as BT.709, by FFmpeg's libswscale.

libswscale maps HDR reference white (203 cd/m², ITU-R BT.2408) to the white of BT.709, compresses what is brighter, and
converts BT.2020 colours to BT.709 ones.
"""

import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

PQ, HLG = 16, 18
"""Transfer characteristics SMPTE ST 2084 and ARIB STD-B67, as ITU-T H.273 numbers them."""

_BT709 = 1
_KEPT = 4
"""Conversions that a thread keeps: preparing one takes 3 CPU-seconds, converting a frame of 1920x1080 0.05."""

_local = threading.local()


def is_hdr(decoded: Any) -> bool:
    """Whether a decoded frame (``av.VideoFrame``) has a high dynamic range."""
    return decoded.color_trc in (PQ, HLG)


def to_rgb(decoded: Any) -> NDArray[np.uint8]:
    """A frame with a high dynamic range as BT.709.

    Args:
        decoded: ``av.VideoFrame``.

    Returns:
        uint8 RGB, shape (height, width, 3) as stored.
    """
    converted = _reformatter(decoded).reformat(
        decoded, format="rgb24", dst_color_trc=_BT709, dst_color_primaries=_BT709, threads=1
    )
    return np.asarray(converted.to_ndarray(), np.uint8)


def _reformatter(decoded: Any) -> Any:
    """A converter for frames like this one; it prepares itself for the first one."""
    from av.video.reformatter import VideoReformatter

    kept: dict[Any, Any] = _local.__dict__.setdefault("kept", {})
    key = (
        decoded.width,
        decoded.height,
        decoded.format.name,
        decoded.color_trc,
        decoded.color_primaries,
        decoded.colorspace,
        decoded.color_range,
    )
    if key not in kept:
        while len(kept) >= _KEPT:
            del kept[next(iter(kept))]
        kept[key] = VideoReformatter()
    return kept[key]
