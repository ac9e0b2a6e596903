"""What a model sees of a face: the one function that training and scoring share.

Faces are stored as wide crops at native size.  A view says which part of the crop a model is given and how
it is brought to the model's input size; it is recorded in the model's row, so that a model always sees faces
as it was trained on them.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from dflib.config import View
from dflib.errors import ImageError, ModelError

Image = npt.NDArray[np.uint8]
Box = Sequence[float] | npt.NDArray[np.floating[Any]]
Landmarks = Sequence[float] | npt.NDArray[np.floating[Any]]

GREY = 127
"""Level with which ``blank_face`` fills."""

BLANK_GROWN = 0.1
"""Share of the box by which ``blank_face`` grows it on each side: detectors' boxes cut chin and ears."""


def decode_rgb(encoded: bytes) -> Image:
    """Decodes a JPEG or PNG to uint8 RGB ``[H, W, 3]``.

    Raises:
        ImageError: the bytes are no picture that can be decoded.
    """
    import cv2

    if not encoded:
        raise ImageError("the picture holds no bytes")
    try:
        bgr = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error as error:
        raise ImageError(f"the picture cannot be decoded: {error.err}") from None
    if bgr is None:
        raise ImageError(f"the picture cannot be decoded ({len(encoded)} bytes, neither a whole JPEG nor PNG)")
    return np.ascontiguousarray(bgr[:, :, ::-1])


def cut(image: Image, box: Box | None, landmarks: Landmarks | None, view: View) -> Image:
    """Cuts what the model sees out of a wide crop.

    The box is grown by ``view.margin`` of its own sides and rounded to whole pixels.  Without ``view.square``
    the region is clipped at the picture's edge and stretched to the input, as S3 and S4 do.  With it, the region
    is a square of the longer side around the box's centre, and what lies outside of the picture repeats its
    edge pixels.  A ready-cut crop (``box`` None or NaN) is taken whole and stretched.

    Args:
        image: uint8 RGB ``[H, W, 3]``.
        box: x, y, w, h in pixels of ``image``; None or NaN for a ready-cut crop.
        landmarks: ten numbers or ``[5, 2]``, x and y in pixels of ``image``; None or NaN when unknown.  Only
            ``blank_face`` looks at them: what it fills covers them too.
        view: the view.

    Returns:
        uint8 RGB ``[view.size, view.size, 3]``.

    Raises:
        ImageError: the box is empty or lies outside of the picture.
        ModelError: ``blank_face`` is asked of a ready-cut crop, or of a view that shows nothing but the face.
    """
    import cv2

    where = None if box is None else np.asarray(box, np.float64).reshape(4)
    if where is not None and np.isnan(where).all():
        where = None
    if where is not None and not (np.isfinite(where).all() and where[2] > 0 and where[3] > 0):
        raise ImageError(f"the box x, y, w, h = {where.tolist()} is not one: four finite numbers, sides above 0")
    if view.blank_face:
        image = _blank(image, where, landmarks, view)
    if where is None:
        region = image
    elif view.square:
        region = _square(image, where, view.margin)
    else:
        region = _clipped(image, where, view.margin)
    interpolation = {
        "nearest": cv2.INTER_NEAREST,
        "linear": cv2.INTER_LINEAR,
        "area": cv2.INTER_AREA,
        "cubic": cv2.INTER_CUBIC,
    }[view.interpolation]
    resized = cv2.resize(np.ascontiguousarray(region), (view.size, view.size), interpolation=interpolation)
    return np.asarray(resized, np.uint8)


def cut_row(encoded: bytes, box: Box | None, landmarks: Landmarks | None, view: View) -> Image:
    """Decodes a stored crop and cuts it: :func:`decode_rgb`, then :func:`cut`, with the errors of both."""
    return cut(decode_rgb(encoded), box, landmarks, view)


def _clipped(image: Image, box: npt.NDArray[np.float64], margin: float) -> Image:
    x, y, w, h = box
    left, top = _pixel(x - margin * w), _pixel(y - margin * h)
    right, bottom = _pixel(x + w + margin * w), _pixel(y + h + margin * h)
    height, width = image.shape[:2]
    region = image[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)]
    if region.size == 0:
        raise _outside(box, width, height)
    return region


def _square(image: Image, box: npt.NDArray[np.float64], margin: float) -> Image:
    import cv2

    x, y, w, h = box
    height, width = image.shape[:2]
    side = _pixel(max(w, h) * (1 + 2 * margin))
    left, top = _pixel(x + w / 2 - side / 2), _pixel(y + h / 2 - side / 2)
    region = image[max(top, 0) : max(top + side, 0), max(left, 0) : max(left + side, 0)]
    if region.size == 0:
        raise _outside(box, width, height)
    above, before = max(-top, 0), max(-left, 0)
    below, after = side - region.shape[0] - above, side - region.shape[1] - before
    if above or before or below or after:
        return np.asarray(cv2.copyMakeBorder(region, above, below, before, after, cv2.BORDER_REPLICATE), np.uint8)
    return region


def _blank(image: Image, box: npt.NDArray[np.float64] | None, landmarks: Landmarks | None, view: View) -> Image:
    if box is None:
        raise ModelError(
            "view.blank_face cannot be used on ready-cut crops: they have no box, so there is no telling face from "
            "surroundings; use faces found by extract, or blank_face=false"
        )
    if view.margin <= BLANK_GROWN:
        raise ModelError(
            f"view.blank_face with view.margin={view.margin} leaves nothing to see: the face is filled with "
            f"{BLANK_GROWN:g} of its box around it; set a margin above that"
        )
    x, y, w, h = box
    xs = [x - BLANK_GROWN * w, x + w + BLANK_GROWN * w]
    ys = [y - BLANK_GROWN * h, y + h + BLANK_GROWN * h]
    if landmarks is not None:
        points = np.asarray(landmarks, np.float64).reshape(5, 2)
        if not np.isnan(points).any():
            xs += points[:, 0].tolist()
            ys += points[:, 1].tolist()
    blanked = image.copy()
    blanked[max(_pixel(min(ys)), 0) : max(_pixel(max(ys)), 0), max(_pixel(min(xs)), 0) : max(_pixel(max(xs)), 0)] = GREY
    return blanked


def _pixel(value: float) -> int:
    """Nearest whole pixel, halves upwards, so that a shift of the box by a pixel shifts the region by one."""
    return int(np.floor(value + 0.5))


def _outside(box: npt.NDArray[np.float64], width: int, height: int) -> ImageError:
    return ImageError(f"the box x, y, w, h = {box.round(2).tolist()} takes in no pixel of the {width}x{height} picture")
