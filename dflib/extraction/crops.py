"""The wide crop of a face, stored at native size so that every model can cut its own view from it.

cv2 is imported inside functions: the driver imports this module and cuts nothing.
"""

import math
from dataclasses import dataclass

from dflib.config import CropsConfig
from dflib.errors import VideoError
from dflib.extraction.detect import Box
from dflib.media.frame import Frame, Image

JPEG_SIDE = 65500
"""Longest side in pixels of an image that libjpeg writes (``JPEG_MAX_DIMENSION``)."""

QUALITY_SIDE = 128
"""Side in pixels to which the face box is resized before its sharpness is measured, so that sizes are comparable."""


@dataclass(frozen=True)
class EncodedCrop:
    """A JPEG crop; ``crop pixel = (frame pixel - (x, y)) * scale``.

    Attributes:
        x, y: left and top of the crop in the frame, pixels.
        scale: crop pixels per frame pixel; 1 unless the crop was larger than ``crops.max_side``.
        width, height: of the crop, pixels.
        image: JPEG bytes.
        sharpness: variance of the Laplacian of the crop's grey face box at 128×128; small when blurred.
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
    """Left, top, right and bottom of the frame's pixels that a box touches; None when it lies outside the frame."""
    left, top = max(0, math.floor(box[0])), max(0, math.floor(box[1]))
    right, bottom = min(width, math.ceil(box[0] + box[2])), min(height, math.ceil(box[1] + box[3]))
    return (left, top, right, bottom) if right > left and bottom > top else None


def cut(frame: Frame, box: Box, settings: CropsConfig) -> EncodedCrop:
    """Cuts the box, enlarged by the margin on all sides and clipped to the frame, and encodes it as JPEG.

    The crop has native size unless its longer side exceeds ``settings.max_side``.

    Args:
        frame: as decoded; only the pixels of the crop are converted to RGB.
        box: in frame pixels; must touch the frame (see :func:`inside`).
        settings: the section ``crops``.
    """
    import cv2

    # The same margin in both directions, so that a view that enlarges the box to a square shows real pixels.
    margin = max(box[2], box[3]) * settings.margin
    enlarged = (box[0] - margin, box[1] - margin, box[2] + 2 * margin, box[3] + 2 * margin)
    cropped = inside(enlarged, frame.width, frame.height)
    face = inside(box, frame.width, frame.height)
    assert cropped is not None and face is not None, box
    left, top, right, bottom = cropped
    scale, size = 1.0, None
    if max(right - left, bottom - top) > settings.max_side:
        # Even sides, so that luma and chroma planes are cut at the same place.
        left, top = left & ~1, top & ~1
        right, bottom = min(right + (right & 1), frame.width), min(bottom + (bottom & 1), frame.height)
        scale = settings.max_side / max(right - left, bottom - top)
        size = max(1, round((right - left) * scale)), max(1, round((bottom - top) * scale))
    crop = frame.region(left, top, right, bottom, size)
    columns = _scaled(face[0] - left, face[2] - left, scale, crop.shape[1])
    rows = _scaled(face[1] - top, face[3] - top, scale, crop.shape[0])
    grey = cv2.cvtColor(crop[rows, columns], cv2.COLOR_RGB2GRAY)
    interpolation = cv2.INTER_AREA if min(grey.shape) > QUALITY_SIDE else cv2.INTER_LINEAR
    resized = cv2.resize(grey, (QUALITY_SIDE, QUALITY_SIDE), interpolation=interpolation)
    return EncodedCrop(
        x=float(left),
        y=float(top),
        scale=scale,
        width=crop.shape[1],
        height=crop.shape[0],
        image=jpeg(crop, settings.jpeg_quality),
        sharpness=float(cv2.Laplacian(resized, cv2.CV_64F).var()),
        brightness=float(grey.mean()),
    )


def _scaled(start: int, end: int, scale: float, length: int) -> slice:
    """The pixels, at least one, that an interval touches in an image of another scale."""
    first = min(math.floor(start * scale), length - 1)
    return slice(first, max(first + 1, math.ceil(end * scale)))


def jpeg(rgb: Image, quality: int) -> bytes:
    """Encodes uint8 RGB of shape (height, width, 3) as JPEG.

    Raises:
        VideoError: TOO_LARGE: a side is longer than JPEG allows.
    """
    import cv2

    if max(rgb.shape) > JPEG_SIDE:
        raise VideoError(
            "TOO_LARGE",
            f"a frame of {rgb.shape[1]}x{rgb.shape[0]} pixels cannot be stored, because a side of a JPEG has at most "
            f"{JPEG_SIDE}; set crops.keep_frames=false",
        )
    succeeded, encoded = cv2.imencode(".jpg", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])
    assert succeeded
    return bytes(encoded)
