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

SIDE = 2.2
"""Side of an aligned square without margin, in distances of the eyes or of eyes and mouth (S1)."""

RED, ORANGE = (255, 0, 0), (255, 165, 0)
"""RGB of what ``mark_landmarks`` draws: dots, and box."""


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
    is a square of the longer side around the box's centre; what lies outside of the picture is filled as
    ``view.padding`` says.  A ready-cut crop (``box`` None or NaN) is taken whole and stretched.

    With ``view.align`` the region is the square of :func:`alignment` instead, and the box says nothing.  It is
    sampled in one step, without rounding to pixels; ``area`` averages when the picture is shrunk and is ``linear``
    else.

    ``view.mark_landmarks`` draws the box in orange and the landmarks as red dots, as S4's ablation does (there with
    a radius of 2 in 128 pixels), on what the model sees: their size does not depend on that of the face.

    Args:
        image: uint8 RGB ``[H, W, 3]``.
        box: x, y, w, h in pixels of ``image``; None or NaN for a ready-cut crop.
        landmarks: ten numbers or ``[5, 2]``, x and y in pixels of ``image``: left eye, right eye, nose, left and
            right mouth corner as seen in the picture; None or NaN when unknown.  ``align`` and ``mark_landmarks``
            need them; what ``blank_face`` fills covers them too.
        view: the view.

    Returns:
        uint8 RGB ``[view.size, view.size, 3]``.

    Raises:
        ImageError: the box is empty or lies outside of the picture; or landmarks are needed and this face has
            none, or none that say where it is.
        ModelError: ``blank_face`` is asked of a ready-cut crop, or of a view that shows nothing but the face; or
            landmarks are needed and this is a ready-cut crop without them.
    """
    import cv2

    where = None if box is None else np.asarray(box, np.float64).reshape(4)
    if where is not None and np.isnan(where).all():
        where = None
    if where is not None and not (np.isfinite(where).all() and where[2] > 0 and where[3] > 0):
        raise ImageError(f"the box x, y, w, h = {where.tolist()} is not one: four finite numbers, sides above 0")
    points = _needed(landmarks, where, view) if view.align != "none" or view.mark_landmarks else None
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
    if points is not None and view.mark_landmarks:
        _mark(seen, where, points, to_view)
    return seen


def alignment(landmarks: Landmarks, view: View) -> npt.NDArray[np.float64]:
    """The turn, scale and shift that bring a face's five landmarks to their places in the view.

    The nose comes to the centre, the line from the left to the right eye becomes level, and the square seen has
    the side ``2.2 max(a, b) (1 + view.margin)``, where a is the distance of the eyes and b that from the middle of
    the eyes to the middle of the mouth corners.  Centre and side are those of S1, with 1.3 as the last factor: the
    numbers of the MesoNet authors (Afchar et al. 2018, github.com/DariusAf/MesoNet, pipeline.py).  Theirs come from
    68 landmarks, and they set the line from eyes to mouth upright instead of that of the eyes level, which is the
    same for a face seen from the front.

    Args:
        landmarks: as in :func:`cut`.
        view: ``size`` and ``margin`` are looked at.

    Returns:
        float64 ``[2, 3]``: takes x, y, 1 in the picture to x, y in the view; pixel i reaches from i to i + 1 in both.

    Raises:
        ImageError: a number is not finite, or the eyes are one point.
    """
    points = np.asarray(landmarks, np.float64).reshape(5, 2)
    left_eye, right_eye, nose = points[:3]
    eyes = right_eye - left_eye
    apart = float(np.hypot(*eyes))
    side = SIDE * max(apart, float(np.hypot(*(points[3:].mean(axis=0) - points[:2].mean(axis=0))))) * (1 + view.margin)
    if not (np.isfinite(points).all() and np.isfinite(side) and apart > 0):
        raise ImageError(f"the landmarks {points.round(2).tolist()} do not say how the face lies; extract it again")
    cosine, sine = eyes / apart * view.size / side
    linear = np.array([[cosine, sine], [-sine, cosine]])
    return np.column_stack([linear, view.size / 2 - linear @ nose])


def cut_row(encoded: bytes, box: Box | None, landmarks: Landmarks | None, view: View) -> Image:
    """Decodes a stored crop and cuts it: :func:`decode_rgb`, then :func:`cut`, with the errors of both."""
    return cut(decode_rgb(encoded), box, landmarks, view)


def _region(image: Image, box: npt.NDArray[np.float64] | None, view: View) -> tuple[npt.NDArray[np.uint8], int, int]:
    """The pixels that are stretched to the view, and the column and row of the first of them."""
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
    rows, columns = _filled(top, side, height, view.padding), _filled(left, side, width, view.padding)
    return image[rows][:, columns], left, top


def _filled(start: int, count: int, length: int, padding: str) -> npt.NDArray[np.int64]:
    """Which of ``length`` rows (or columns) stands at each of ``count`` places from ``start`` on."""
    places = np.arange(start, start + count)
    if padding == "edge" or length == 1:
        return np.clip(places, 0, length - 1)
    # Mirrored at the outermost row, which is not repeated: "reflect" of numpy.pad, which MesoNet's pipeline calls.
    places = np.abs(places) % (2 * (length - 1))
    return np.asarray(np.minimum(places, 2 * (length - 1) - places))


def _warped(image: Image, to_view: npt.NDArray[np.float64], centre: npt.NDArray[np.float64], view: View) -> Image:
    import cv2

    height, width = image.shape[:2]
    linear, shift = to_view[:, :2], to_view[:, 2]
    scale = float(np.hypot(*linear[0]))
    beyond = np.hypot(*(centre - np.clip(centre, 0, (width, height))))
    if beyond >= view.size / scale / 2:
        raise ImageError(f"the nose at {centre.round(2).tolist()} lies too far outside of the {width}x{height} picture")
    interpolation = view.interpolation
    if interpolation == "area":
        # warpAffine looks at no more than the nearest pixels, so the averaging comes first.
        interpolation = "linear"
        if scale < 1:
            smaller = (max(_pixel(width * scale), 1), max(_pixel(height * scale), 1))
            image = np.asarray(cv2.resize(image, smaller, interpolation=cv2.INTER_AREA), np.uint8)
            linear = linear * (width / smaller[0], height / smaller[1])
    # OpenCV gives a pixel's place by its centre.
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

    def placed(places: npt.NDArray[np.float64]) -> npt.NDArray[np.int32]:
        # Far outside is not drawn either way, and would not fit into OpenCV's numbers.
        pixels = np.floor(places @ to_view[:, :2].T + to_view[:, 2])
        return np.asarray(np.clip(pixels, -2 * size, 3 * size), np.int32)

    if box is not None:
        x, y, w, h = box
        corners = placed(np.array([[x, y], [x + w, y], [x + w, y + h], [x, y + h]]))
        cv2.polylines(seen, [corners], True, ORANGE, max(1, size // 128))
    for place in placed(points).tolist():
        cv2.circle(seen, place, max(1, size // 64), RED, cv2.FILLED)


def _needed(landmarks: Landmarks | None, box: npt.NDArray[np.float64] | None, view: View) -> npt.NDArray[np.float64]:
    """The landmarks ``[5, 2]`` of a view that can't do without."""
    points = None if landmarks is None else np.asarray(landmarks, np.float64).reshape(5, 2)
    if points is not None and np.isfinite(points).all():
        return points
    asked = "view.mark_landmarks" if view.align == "none" else f"view.align={view.align}"
    if box is None:
        raise ModelError(
            f"{asked} cannot be used on ready-cut crops: they have no landmarks; use faces found by extract, or a "
            "view without it"
        )
    found = "none" if points is None or np.isnan(points).all() else points.round(2).tolist()
    raise ImageError(
        f"{asked} needs the five landmarks of the face, it has {found}; use a detector that finds landmarks, or a "
        "view without it"
    )


def _interpolation(name: str) -> int:
    import cv2

    codes = {"nearest": cv2.INTER_NEAREST, "linear": cv2.INTER_LINEAR, "area": cv2.INTER_AREA, "cubic": cv2.INTER_CUBIC}
    return int(codes[name])


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


def _outside(box: npt.NDArray[np.float64], image: Image) -> ImageError:
    height, width = image.shape[:2]
    return ImageError(f"the box x, y, w, h = {box.round(2).tolist()} takes in no pixel of the {width}x{height} picture")
