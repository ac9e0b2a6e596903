"""A model's view of a face: :func:`cut` makes it from a stored crop, in training and scoring alike.

Faces are stored as wide crops at native size. A view defines which part of the crop is the model's input and how it is
resized. It is recorded in the row of the model, so that a model always sees faces as it did in training.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from dflib.config import View
from dflib.errors import ImageError, ModelError
from dflib.models import transforms

Image = npt.NDArray[np.uint8]
Box = Sequence[float] | npt.NDArray[np.floating[Any]]
Landmarks = Sequence[float] | npt.NDArray[np.floating[Any]]

GREY = 127
"""Grey level with which ``blank_face`` fills."""

BLANK_GROWN = 0.1
"""Share of the box by which ``blank_face`` grows it on each side, because the boxes of detectors cut chin and ears."""

SIDE = 2.2
"""Side of an aligned square without margin, as a multiple of the longer of two distances: between the eyes, and between
eyes and mouth (S1)."""

RED, ORANGE = (255, 0, 0), (255, 165, 0)
"""RGB of the dots and of the box that ``mark_landmarks`` draws."""


def decode_rgb(encoded: bytes) -> Image:
    """Decodes a JPEG or PNG to uint8 RGB ``[H, W, 3]``.

    Raises:
        ImageError: the bytes can't be decoded.
    """
    import cv2

    if not encoded:
        raise ImageError("the image has no bytes")
    try:
        bgr = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error as error:
        raise ImageError(f"the image cannot be decoded: {error.err}") from None
    if bgr is None:
        raise ImageError(f"the image cannot be decoded ({len(encoded)} bytes, not a complete JPEG or PNG)")
    return np.ascontiguousarray(bgr[:, :, ::-1])


def cut(image: Image, box: Box | None, landmarks: Landmarks | None, view: View) -> Image:
    """Cuts a model's view out of a wide crop.

    The steps, in this order:

    1. ``view.blank_face`` fills the face with grey.
    2. The region is cut and resized to ``view.size``. It is the box, grown by ``view.margin`` of its own sides and
       rounded to whole pixels. Without ``view.square`` it is clipped at the edge of the image and stretched, as in S3
       and S4. With it, the region is a square of the longer side around the centre of the box, and ``view.padding``
       fills what lies outside the image. A ready-cut crop (``box`` None or NaN) is stretched as a whole. With
       ``view.align`` the region is the square of :func:`alignment` instead and the box is ignored. It is sampled in one
       step, without rounding to pixels; ``area`` averages where the image is shrunk and is ``linear`` elsewhere.
    3. ``view.transforms`` are applied, on uint8 RGB ``[size, size, 3]``.
    4. ``view.mark_landmarks`` draws the box in orange and the landmarks as red dots, as the ablation of S4 does (a
       radius of 2 at 128 pixels). Their size does not depend on that of the face.

    Args:
        image: uint8 RGB ``[H, W, 3]``.
        box: x, y, w, h in pixels of ``image``; None or NaN for a ready-cut crop.
        landmarks: ten numbers or ``[5, 2]``, x and y in pixels of ``image``: left eye, right eye, nose, left and
            right mouth corner as seen in the image; None or NaN when unknown. ``align`` and ``mark_landmarks`` need
            them; ``blank_face`` covers them too.
        view: the view.

    Returns:
        uint8 RGB ``[view.size, view.size, 3]``.

    Raises:
        ImageError: the box is empty or outside the image; or the view needs landmarks and those of the face are
            missing or degenerate.
        ModelError: ``blank_face`` on a ready-cut crop, or on a view without surroundings of the face; a view that needs
            landmarks on a ready-cut crop without them; or a transform that changed shape or type.
    """
    import cv2

    where = None if box is None else np.asarray(box, np.float64).reshape(4)
    if where is not None and np.isnan(where).all():
        where = None
    if where is not None and not (np.isfinite(where).all() and where[2] > 0 and where[3] > 0):
        raise ImageError(
            f"the box x, y, w, h = {where.tolist()} is invalid: it needs four finite numbers and sides above 0"
        )
    points = _required_landmarks(landmarks, where, view) if view.needs_landmarks else None
    if view.blank_face:
        image = _blank(image, where, landmarks, view)
    if view.align != "none":
        assert points is not None
        to_view = alignment(points, view)
        seen = _warped(image, to_view, points[2], view)
    else:
        region, left, top = _region(image, where, view)
        whole = np.ascontiguousarray(region)
        resized = cv2.resize(whole, (view.size, view.size), interpolation=_interpolation(view.interpolation))
        seen = np.asarray(resized, np.uint8)
        across, down = view.size / region.shape[1], view.size / region.shape[0]
        to_view = np.array([[across, 0, -left * across], [0, down, -top * down]])
    seen = transforms.apply(seen, view.transforms)
    if points is not None and view.mark_landmarks:
        _mark(seen, where, points, to_view)
    return seen


def alignment(landmarks: Landmarks, view: View) -> npt.NDArray[np.float64]:
    """The rotation, scale and translation that align a face by its five landmarks.

    The nose maps to the centre and the line through the eyes becomes horizontal. The square has the side
    ``2.2 max(a, b) (1 + view.margin)``, where a is the distance between the eyes and b the distance from the midpoint
    of the eyes to that of the mouth corners. Centre and side are those of S1, where the last factor is 1.3. They come
    from the MesoNet authors (Afchar et al. 2018, github.com/DariusAf/MesoNet, pipeline.py), who use 68 landmarks and
    make the line from eyes to mouth vertical instead, which is the same for a frontal face.

    Args:
        landmarks: see :func:`cut`.
        view: only ``size`` and ``margin`` are used.

    Returns:
        float64 ``[2, 3]``: maps x, y, 1 in the image to x, y in the view. Pixel i spans i to i + 1 in both.

    Raises:
        ImageError: a number is not finite, or the eyes coincide.
    """
    points = np.asarray(landmarks, np.float64).reshape(5, 2)
    left_eye, right_eye, nose = points[:3]
    eyes = right_eye - left_eye
    apart = float(np.hypot(*eyes))
    side = SIDE * max(apart, float(np.hypot(*(points[3:].mean(axis=0) - points[:2].mean(axis=0))))) * (1 + view.margin)
    if not (np.isfinite(points).all() and np.isfinite(side) and apart > 0):
        raise ImageError(
            f"the landmarks {points.round(2).tolist()} give no orientation of the face; extract its video again"
        )
    cosine, sine = eyes / apart * view.size / side
    linear = np.array([[cosine, sine], [-sine, cosine]])
    return np.column_stack([linear, view.size / 2 - linear @ nose])


def cut_row(encoded: bytes, box: Box | None, landmarks: Landmarks | None, view: View) -> Image:
    """Decodes a stored crop with :func:`decode_rgb` and cuts it with :func:`cut`; raises what they raise."""
    return cut(decode_rgb(encoded), box, landmarks, view)


def _region(image: Image, box: npt.NDArray[np.float64] | None, view: View) -> tuple[npt.NDArray[np.uint8], int, int]:
    """The part of the image that is resized to the view, and its left column and top row in the image."""
    if box is None:
        return image, 0, 0
    return _square(image, box, view) if view.square else _clipped(image, box, view.margin)


def _clipped(image: Image, box: npt.NDArray[np.float64], margin: float) -> tuple[Image, int, int]:
    x, y, w, h = box
    left, top = max(_pixel(x - margin * w), 0), max(_pixel(y - margin * h), 0)
    right, bottom = _pixel(x + w + margin * w), _pixel(y + h + margin * h)
    region = image[top : max(bottom, 0), left : max(right, 0)]
    if region.size == 0:
        raise _outside(box, image)
    return region, left, top


def _square(image: Image, box: npt.NDArray[np.float64], view: View) -> tuple[Image, int, int]:
    x, y, w, h = box
    height, width = image.shape[:2]
    side = _pixel(max(w, h) * (1 + 2 * view.margin))
    left, top = _pixel(x + w / 2 - side / 2), _pixel(y + h / 2 - side / 2)
    if min(top + side, height) <= max(top, 0) or min(left + side, width) <= max(left, 0):
        raise _outside(box, image)
    rows, columns = _padded_indices(top, side, height, view.padding), _padded_indices(left, side, width, view.padding)
    return image[rows][:, columns], left, top


def _padded_indices(start: int, count: int, length: int, padding: str) -> npt.NDArray[np.int64]:
    """Indices into ``length`` rows (or columns) for ``count`` places from ``start`` on, padded as the view does."""
    places = np.arange(start, start + count)
    if padding == "edge" or length == 1:
        return np.clip(places, 0, length - 1)
    # Mirrored at the outermost row without repeating it, like "reflect" of numpy.pad, which MesoNet's pipeline uses.
    places = np.abs(places) % (2 * (length - 1))
    return np.asarray(np.minimum(places, 2 * (length - 1) - places))


def _warped(image: Image, to_view: npt.NDArray[np.float64], centre: npt.NDArray[np.float64], view: View) -> Image:
    import cv2

    height, width = image.shape[:2]
    linear, shift = to_view[:, :2], to_view[:, 2]
    scale = float(np.hypot(*linear[0]))
    beyond = np.hypot(*(centre - np.clip(centre, 0, (width, height))))
    if beyond >= view.size / scale / 2:
        raise ImageError(f"the nose at {centre.round(2).tolist()} is too far outside the {width}x{height} image")
    interpolation = view.interpolation
    if interpolation == "area":
        # warpAffine reads the nearest pixels only, so averaging has to come first.
        interpolation = "linear"
        if scale < 1:
            smaller = (max(_pixel(width * scale), 1), max(_pixel(height * scale), 1))
            image = np.asarray(cv2.resize(image, smaller, interpolation=cv2.INTER_AREA), np.uint8)
            linear = linear * (width / smaller[0], height / smaller[1])
    # OpenCV's coordinates are those of pixel centres.
    matrix = np.column_stack([linear, shift + linear @ (0.5, 0.5) - 0.5])
    border = cv2.BORDER_REPLICATE if view.padding == "edge" else cv2.BORDER_REFLECT_101
    warped = cv2.warpAffine(
        np.ascontiguousarray(image),
        matrix,
        (view.size, view.size),
        flags=_interpolation(interpolation),
        borderMode=border,
    )
    return np.asarray(warped, np.uint8)


def _mark(
    seen: Any, box: npt.NDArray[np.float64] | None, points: npt.NDArray[np.float64], to_view: npt.NDArray[np.float64]
) -> None:
    import cv2

    size = seen.shape[0]

    def pixels_of(points: npt.NDArray[np.float64]) -> npt.NDArray[np.int32]:
        # Points far outside are invisible anyway, and would overflow OpenCV's integers.
        pixels = np.floor(points @ to_view[:, :2].T + to_view[:, 2])
        return np.asarray(np.clip(pixels, -2 * size, 3 * size), np.int32)

    if box is not None:
        x, y, w, h = box
        corners = pixels_of(np.array([[x, y], [x + w, y], [x + w, y + h], [x, y + h]]))
        cv2.polylines(seen, [corners], True, ORANGE, max(1, size // 128))
    for place in pixels_of(points).tolist():
        cv2.circle(seen, place, max(1, size // 64), RED, cv2.FILLED)


def _required_landmarks(
    landmarks: Landmarks | None, box: npt.NDArray[np.float64] | None, view: View
) -> npt.NDArray[np.float64]:
    """The landmarks ``[5, 2]`` for a view that needs them."""
    points = None if landmarks is None else np.asarray(landmarks, np.float64).reshape(5, 2)
    if points is not None and np.isfinite(points).all():
        return points
    setting = "view.mark_landmarks" if view.align == "none" else f"view.align={view.align}"
    if box is None:
        raise ModelError(
            f"{setting} cannot be used on ready-cut crops, which have no landmarks; use faces found by extract, or a "
            "view without it"
        )
    found = "none" if points is None or np.isnan(points).all() else points.round(2).tolist()
    raise ImageError(
        f"{setting} needs the five landmarks of the face, but they are {found}; use a detector with landmarks, or a "
        "view without it"
    )


def _interpolation(name: str) -> int:
    import cv2

    codes = {"nearest": cv2.INTER_NEAREST, "linear": cv2.INTER_LINEAR, "area": cv2.INTER_AREA, "cubic": cv2.INTER_CUBIC}
    return int(codes[name])


def _blank(image: Image, box: npt.NDArray[np.float64] | None, landmarks: Landmarks | None, view: View) -> Image:
    if box is None:
        raise ModelError(
            "view.blank_face cannot be used on ready-cut crops, which have no box to fill; use faces found by extract, "
            "or set blank_face=false"
        )
    if view.margin <= BLANK_GROWN:
        raise ModelError(
            f"view.blank_face with view.margin={view.margin} leaves nothing visible: the filled area is the box grown "
            f"by {BLANK_GROWN:g} on each side; set view.margin above {BLANK_GROWN:g}"
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
    """Nearest whole pixel, halves rounded up, so that shifting the box by one pixel shifts the region by one."""
    return int(np.floor(value + 0.5))


def _outside(box: npt.NDArray[np.float64], image: Image) -> ImageError:
    height, width = image.shape[:2]
    return ImageError(f"the box x, y, w, h = {box.round(2).tolist()} covers no pixel of the {width}x{height} image")
