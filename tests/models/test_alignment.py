"""Alignment by landmarks, against the transforms and warps of skimage, and numpy."""

import cv2
import numpy as np
import pytest
from scipy import ndimage
from skimage.transform import SimilarityTransform, rotate, warp

from dflib.config import View
from dflib.errors import ImageError, ModelError
from dflib.models.view import SIDE, alignment, cut, cut_row

NAN, INF = float("nan"), float("inf")
FACE = np.array([[-30.0, -26], [30, -26], [0, 0], [-22, 26], [22, 26]])
"""A frontal face: nose at 0, 0; eyes 60 apart and 52 above the mouth."""
HALF = SimilarityTransform(translation=(0.5, 0.5))


def view(size: int = 256, **changes: object) -> View:
    fields = {"margin": 0.3, "square": True, "interpolation": "linear", "blank_face": False, "align": "landmarks"}
    return View(size=size, **(fields | {"padding": "reflect"} | changes))  # type: ignore[arg-type]


def placed(scale: float, degrees: float, nose: tuple[float, float]) -> np.ndarray:
    """The face scaled, rotated clockwise, with its nose at ``nose``."""
    return SimilarityTransform(scale=scale, rotation=np.deg2rad(degrees), translation=nose)(FACE)


@pytest.fixture(scope="module")
def scene() -> np.ndarray:
    """A 400x360 image of smooth noise, so that every place looks different."""
    smooth = ndimage.gaussian_filter(np.random.default_rng(5).normal(size=(400, 360, 3)), (5, 5, 0))
    return np.clip(128 + 45 * smooth / smooth.std(), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("size", [128, 256, 380])
@pytest.mark.parametrize("margin", [0.0, 0.3, 1.0])
@pytest.mark.parametrize(
    ("scale", "degrees", "nose"), [(1, 0, (180, 190)), (0.4, 25, (20, 300)), (1.7, -70, (200, 150)), (1, 179, (9, 9))]
)
def test_alignment_centres_the_nose_and_levels_the_eyes(
    scale: float, degrees: float, nose: tuple[float, float], margin: float, size: int
) -> None:
    landmarks = placed(scale, degrees, nose)
    to_view = alignment(landmarks.ravel(), view(size, margin=margin))
    seen = landmarks @ to_view[:, :2].T + to_view[:, 2]
    assert seen[0, 1] == pytest.approx(seen[1, 1], abs=0.01)
    assert seen[0, 0] < seen[1, 0]
    assert seen[2] == pytest.approx((size / 2, size / 2), abs=0.01)
    # The eyes are further apart than eyes and mouth, so their distance sets the size.
    expected = FACE * size / (SIDE * 60 * (1 + margin)) + size / 2
    reference = SimilarityTransform.from_estimate(landmarks, expected)
    assert to_view == pytest.approx(reference.params[:2], abs=1e-6)


def test_alignment_takes_its_size_from_the_longer_distance() -> None:
    turned = FACE * (0.5, 1)  # a head turned sideways: eyes 30 apart, still 52 from the mouth
    linear = alignment(turned, view(256))[:, :2]
    assert np.hypot(*linear[0]) == pytest.approx(256 / (2.2 * 52 * 1.3))


@pytest.mark.parametrize("size", [224, 380])
@pytest.mark.parametrize(
    ("scale", "degrees", "nose"), [(1, 0, (180, 190)), (1.3, 33, (170, 200)), (0.9, -50, (30, 380)), (1, 20, (350, 4))]
)
def test_cut_with_align_matches_skimage(
    scene: np.ndarray, scale: float, degrees: float, nose: tuple[float, float], size: int
) -> None:
    """In the middle of the image, and across its mirrored corners."""
    landmarks = placed(scale, degrees, nose)
    expected = FACE * size / (2.2 * 60 * 1.3) + size / 2
    # The coordinates of skimage are those of pixel centres.
    centres = HALF + SimilarityTransform.from_estimate(landmarks, expected) + HALF.inverse
    warped = warp(scene, centres.inverse, output_shape=(size, size), order=1, mode="reflect", preserve_range=True)
    difference = np.abs(cut(scene, (1, 1, 5, 5), landmarks, view(size)) - warped)
    # OpenCV rounds coordinates to 1/32 of a pixel.
    assert difference.mean() < 0.6 and difference.max() < 6


@pytest.mark.parametrize("interpolation", ["linear", "area", "cubic"])
@pytest.mark.parametrize("scale", [0.5, 1, 2.3])
def test_cut_with_align_maps_a_spot_on_the_nose_to_the_centre(interpolation: str, scale: float) -> None:
    nose = (171.3, 203.8)
    rows, columns = np.mgrid[0:400, 0:360] + 0.5
    spot = 255 * np.exp(-((columns - nose[0]) ** 2 + (rows - nose[1]) ** 2) / (2 * (8 * scale) ** 2))
    image = np.repeat(spot.round().astype(np.uint8)[:, :, None], 3, axis=2)
    seen = cut(image, None, placed(scale, 40, nose), view(128, interpolation=interpolation))
    weight = seen[:, :, 0].astype(float)
    assert np.array(ndimage.center_of_mass(weight)) + 0.5 == pytest.approx((64, 64), abs=0.1)


@pytest.mark.parametrize("degrees", [-60, -15, 8, 90])
def test_cut_with_align_is_invariant_to_rotation(scene: np.ndarray, degrees: float) -> None:
    square = scene[:360, :360]
    landmarks = placed(0.8, 0, (180, 180))
    # skimage rotates counter-clockwise around the centre of the image.
    turned = rotate(square, degrees, order=3, mode="reflect", preserve_range=True).round().astype(np.uint8)
    upright = cut(square, None, landmarks, view(256))
    again = cut(turned, None, placed(0.8, -degrees, (180, 180)), view(256))
    assert np.abs(upright.astype(int) - again).mean() < 1
    unaligned = view(256, align="none")
    assert np.abs(cut(square, None, None, unaligned).astype(int) - cut(turned, None, None, unaligned)).mean() > 20


def test_cut_with_align_and_area_averages_a_shrunk_image() -> None:
    """Stripes of one pixel become grey; sampling alone would keep some of them."""
    stripes = np.zeros((400, 400, 3), np.uint8)
    stripes[:, ::2] = 255
    landmarks = placed(2.2, 0, (200, 200))
    seen = {name: cut(stripes, None, landmarks, view(64, interpolation=name)) for name in ("area", "linear")}
    assert seen["area"].std() < 25 < seen["linear"].std()
    assert seen["area"].mean() == pytest.approx(127.5, abs=2)


def test_cut_with_align_pads_beyond_the_edge(scene: np.ndarray) -> None:
    # The view spans -200 to 200 in both directions: the nose is in the upper left corner of the image.
    landmarks = FACE * 400 / (2.2 * 60 * 1.3)
    seen = {name: cut(scene, None, landmarks, view(400, padding=name)) for name in ("edge", "reflect")}
    wide = {name: np.pad(scene, ((200, 0), (200, 0), (0, 0)), mode=name)[:400, :400] for name in seen}
    for name, expected in wide.items():
        assert np.array_equal(seen[name], expected)


def test_cut_with_align_ignores_the_box(scene: np.ndarray) -> None:
    landmarks = placed(1, 10, (180, 190))
    views = [cut(scene, box, landmarks, view()) for box in (None, (NAN,) * 4, (5, 5, 9, 9), (100, 100, 90, 120))]
    assert all(np.array_equal(one, views[0]) for one in views)


def test_cut_with_align_draws_marks_aligned(scene: np.ndarray) -> None:
    grey = np.full_like(scene, 90)
    seen = cut(grey, (100, 100, 160, 180), placed(1, 30, (180, 190)), view(256, mark_landmarks=True))
    labels, count = ndimage.label((seen == (255, 0, 0)).all(axis=2))
    assert count == 5
    rows, columns = np.array(ndimage.center_of_mass(labels > 0, labels, range(1, 6))).T + 0.5
    expected = FACE * 256 / (2.2 * 60 * 1.3) + 128
    assert sorted(columns) == pytest.approx(sorted(expected[:, 0]), abs=0.51)
    assert sorted(rows) == pytest.approx(sorted(expected[:, 1]), abs=0.51)


@pytest.mark.parametrize("asked", [{"align": "landmarks"}, {"align": "none", "mark_landmarks": True}])
@pytest.mark.parametrize("landmarks", [None, (NAN,) * 10, (1.0,) * 9 + (NAN,), (1.0,) * 9 + (INF,)])
def test_cut_refuses_a_face_without_required_landmarks(
    scene: np.ndarray, landmarks: tuple[float, ...] | None, asked: dict[str, object]
) -> None:
    with pytest.raises(ImageError, match="needs the five landmarks"):
        cut(scene, (100, 100, 90, 120), landmarks, view(**asked))
    encoded = cv2.imencode(".png", scene)[1].tobytes()
    with pytest.raises(ImageError, match="needs the five landmarks"):
        cut_row(encoded, (100, 100, 90, 120), landmarks, view(**asked))
    for box in (None, (NAN,) * 4):
        with pytest.raises(ModelError, match="ready-cut crops"):
            cut(scene, box, landmarks, view(**asked))


@pytest.mark.parametrize(
    ("landmarks", "message"),
    [
        (np.tile([[50.0, 60.0]], (5, 1)), "give no orientation of the face"),
        (FACE * (0, 1) + 200, "give no orientation of the face"),
        (FACE - (90, -200), "outside the 360x400 image"),
        (FACE - (-1e12, 200), "outside the 360x400 image"),
    ],
)
def test_cut_refuses_degenerate_landmarks(scene: np.ndarray, landmarks: np.ndarray, message: str) -> None:
    with pytest.raises(ImageError, match=message):
        cut(scene, (100, 100, 90, 120), landmarks, view())


@pytest.mark.parametrize("bad", [NAN, INF])
def test_alignment_refuses_landmarks_that_are_not_finite(bad: float) -> None:
    landmarks = FACE.copy()
    landmarks[3, 1] = bad
    with pytest.raises(ImageError, match="give no orientation of the face"):
        alignment(landmarks, view())
