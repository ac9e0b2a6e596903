"""The wide crop of a face, kept at native size so that every model can cut its own view from it.

cv2 is imported inside functions: the driver imports this module and cuts nothing.
"""

import math
from dataclasses import dataclass

from dflib.config import CropsConfig
from dflib.extraction.decode import Frame
from dflib.extraction.detect import Box, Image

QUALITY_SIDE = 128
"""Side to which the face box is brought before its sharpness is measured, so that sizes can be compared."""


@dataclass(frozen=True)
class Crop:
    """An encoded crop; ``crop pixel = (frame pixel - (x, y)) * scale``.

    Attributes:
        sharpness: variance of the Laplacian of the crop's grey face box at 128×128: small when blurred.
        brightness: mean grey level of the crop's face box, 0 to 255.
    """

    x: float
    y: float
    scale: float
    width: int
    height: int
    image: bytes
    sharpness: float
    brightness: float


def inside(box: Box, width: int, height: int) -> tuple[int, int, int, int] | None:
    """Left, top, right and bottom of the whole pixels of a frame that a box touches, or None when there are none."""
    left, top = max(0, math.floor(box[0])), max(0, math.floor(box[1]))
    right, bottom = min(width, math.ceil(box[0] + box[2])), min(height, math.ceil(box[1] + box[3]))
    return (left, top, right, bottom) if right > left and bottom > top else None


def cut(frame: Frame, box: Box, settings: CropsConfig) -> Crop:
    """Cuts the box, grown by the margin on all sides and clipped to the frame, and encodes it as JPEG.

    Native pixels unless the longer side is over ``settings.max_side``.

    Args:
        frame: as decoded; only the pixels cut become RGB.
        box: x, y, width, height in frame pixels; must touch the frame (see :func:`inside`).
        settings: ``margin`` as a share of the box's longer side, ``max_side`` in pixels, JPEG quality.
    """
    import cv2

    # Of the longer side, both ways: a view that grows the box to a square finds real pixels there.
    more = max(box[2], box[3]) * settings.margin
    grown = (box[0] - more, box[1] - more, box[2] + 2 * more, box[3] + 2 * more)
    around = inside(grown, frame.width, frame.height)
    face = inside(box, frame.width, frame.height)
    assert around is not None and face is not None, box
    left, top, right, bottom = around
    scale, size = 1.0, None
    if max(right - left, bottom - top) > settings.max_side:
        # Even sides, so that frame and colour planes are cut at the same place.
        left, top = left & ~1, top & ~1
        right, bottom = min(right + (right & 1), frame.width), min(bottom + (bottom & 1), frame.height)
        scale = settings.max_side / max(right - left, bottom - top)
        size = max(1, round((right - left) * scale)), max(1, round((bottom - top) * scale))
    crop = frame.region(left, top, right, bottom, size)
    across = _scaled(face[0] - left, face[2] - left, scale, crop.shape[1])
    down = _scaled(face[1] - top, face[3] - top, scale, crop.shape[0])
    grey = cv2.cvtColor(crop[down, across], cv2.COLOR_RGB2GRAY)
    shrinks = min(grey.shape) > QUALITY_SIDE
    level = cv2.resize(
        grey, (QUALITY_SIDE, QUALITY_SIDE), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    )
    return Crop(
        x=float(left),
        y=float(top),
        scale=scale,
        width=crop.shape[1],
        height=crop.shape[0],
        image=jpeg(crop, settings.jpeg_quality),
        sharpness=float(cv2.Laplacian(level, cv2.CV_64F).var()),
        brightness=float(grey.mean()),
    )


def _scaled(start: int, end: int, scale: float, length: int) -> slice:
    """The whole pixels, at least one, that a stretch touches in a picture of another scale."""
    first = min(math.floor(start * scale), length - 1)
    return slice(first, max(first + 1, math.ceil(end * scale)))


def jpeg(rgb: Image, quality: int) -> bytes:
    """Encodes uint8 RGB of shape (height, width, 3) as JPEG."""
    import cv2

    done, encoded = cv2.imencode(".jpg", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])
    assert done
    return bytes(encoded)
