"""Views, against images whose pixel values encode their position, and against explicit cv2 calls.

Tests of alignment are in ``test_alignment.py``.
"""

import cv2
import numpy as np
import pytest
from scipy import ndimage

from dflib.config import View
from dflib.errors import ImageError, ModelError
from dflib.models.view import BLANK_GROWN, GREY, ORANGE, RED, cut, cut_row, decode_rgb

NAN = float("nan")
LANDMARKS = [45.0, 35, 55, 35, 50, 40, 46, 45, 54, 45]


def view(size: int, **changes: object) -> View:
    fields = {"margin": 0.0, "square": False, "interpolation": "nearest", "blank_face": False} | changes
    return View(size=size, **fields)  # type: ignore[arg-type]


@pytest.fixture
def places() -> np.ndarray:
    """A 100x80 image: red is the column, green the row, blue 200."""
    rows, columns = np.mgrid[0:80, 0:100]
    return np.dstack([columns, rows, np.full_like(rows, 200)]).astype(np.uint8)


def test_cut_is_exact_to_the_pixel(places: np.ndarray) -> None:
    seen = cut(places, (30, 20, 16, 16), None, view(16))
    assert np.array_equal(seen, places[20:36, 30:46])


def test_cut_adds_the_margin_on_each_side_as_a_share_of_the_box(places: np.ndarray) -> None:
    seen = cut(places, (40, 30, 20, 10), None, view(64, margin=0.5))
    expected = cv2.resize(places[25:45, 30:70], (64, 64), interpolation=cv2.INTER_NEAREST)
    assert np.array_equal(seen, expected)


def test_cut_without_square_clips_and_stretches_the_region(places: np.ndarray) -> None:
    seen = cut(places, (2, 60, 20, 20), None, view(40, margin=0.5))
    # x from -8 to 32 and y from 50 to 90, clipped to x from 0 and y to 80.
    assert np.array_equal(seen, cv2.resize(places[50:80, 0:32], (40, 40), interpolation=cv2.INTER_NEAREST))


def test_cut_with_square_grows_the_shorter_side_around_the_centre(places: np.ndarray) -> None:
    seen = cut(places, (40, 20, 10, 30), None, view(30, square=True))
    assert np.array_equal(seen, places[20:50, 30:60])


def test_cut_with_square_repeats_the_edge_of_the_image(places: np.ndarray) -> None:
    seen = cut(places, (90, 70, 10, 10), None, view(20, margin=0.5, square=True))
    assert np.array_equal(seen[:15, :15], places[65:80, 85:100])
    assert (seen[:, 15:, 0] == 99).all()
    assert (seen[15:, :, 1] == 79).all()


@pytest.mark.parametrize("box", [None, (NAN, NAN, NAN, NAN)])
@pytest.mark.parametrize("square", [True, False])
def test_cut_takes_a_ready_cut_crop_whole(places: np.ndarray, box: tuple[float, ...] | None, square: bool) -> None:
    seen = cut(places, box, None, view(50, margin=0.3, square=square))
    assert np.array_equal(seen, cv2.resize(places, (50, 50), interpolation=cv2.INTER_NEAREST))


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("nearest", cv2.INTER_NEAREST),
        ("linear", cv2.INTER_LINEAR),
        ("area", cv2.INTER_AREA),
        ("cubic", cv2.INTER_CUBIC),
    ],
)
def test_cut_interpolates_as_cv2(name: str, code: int) -> None:
    noise = np.random.default_rng(4).integers(0, 255, (90, 90, 3), np.uint8)
    seen = cut(noise, None, None, view(32, interpolation=name))
    assert np.array_equal(seen, cv2.resize(noise, (32, 32), interpolation=code))


def test_cut_with_blank_face_leaves_only_the_surroundings(places: np.ndarray) -> None:
    seen = cut(places, (40, 30, 20, 20), None, view(40, margin=0.5, blank_face=True))
    grown = int(20 * BLANK_GROWN)
    inside = np.zeros((40, 40), bool)
    inside[10 - grown : 30 + grown, 10 - grown : 30 + grown] = True
    assert (seen[inside] == GREY).all()
    assert np.array_equal(seen[~inside], places[20:60, 30:70][~inside])


def test_cut_with_blank_face_covers_landmarks_outside_the_box(places: np.ndarray) -> None:
    chin_below = [45.0, 35, 55, 35, 50, 40, 45, 45, 50, 57]
    seen = cut(places, (40, 30, 20, 20), chin_below, view(40, margin=0.5, blank_face=True))
    assert (seen[36, 10:30] == GREY).all()
    assert not (seen[38] == GREY).all(axis=1).any()


def test_cut_with_blank_face_leaves_its_input_unchanged(places: np.ndarray) -> None:
    before = places.copy()
    cut(places, (40, 30, 20, 20), None, view(40, margin=0.5, blank_face=True))
    assert np.array_equal(places, before)


def test_cut_refuses_blank_face_of_a_ready_cut_crop(places: np.ndarray) -> None:
    with pytest.raises(ModelError, match="ready-cut crops"):
        cut(places, None, None, view(40, margin=0.5, blank_face=True))


def test_cut_refuses_blank_face_without_surroundings(places: np.ndarray) -> None:
    with pytest.raises(ModelError, match="leaves nothing visible"):
        cut(places, (40, 30, 20, 20), None, view(40, blank_face=True))


@pytest.mark.parametrize("square", [True, False])
@pytest.mark.parametrize("box", [(200, 10, 20, 20), (10, -50, 20, 20), (10, 10, 0, 20), (10, NAN, 20, 20)])
def test_cut_refuses_a_box_without_pixels(places: np.ndarray, box: tuple[float, ...], square: bool) -> None:
    with pytest.raises(ImageError):
        cut(places, box, None, view(32, square=square))


def test_decode_rgb_returns_rgb(places: np.ndarray) -> None:
    encoded = cv2.imencode(".png", cv2.cvtColor(places, cv2.COLOR_RGB2BGR))[1].tobytes()
    assert np.array_equal(decode_rgb(encoded), places)
    assert np.array_equal(cut_row(encoded, (30, 20, 16, 16), None, view(16)), places[20:36, 30:46])


@pytest.mark.parametrize(
    "encoded", [b"", b"no image", b"\xff\xd8\xff\xe0" + bytes(64), b"\x89PNG\r\n\x1a\n" + bytes(9)]
)
def test_decode_rgb_refuses_bytes_that_are_no_image(encoded: bytes) -> None:
    with pytest.raises(ImageError, match=r"^the image (has no bytes|cannot be decoded)"):
        decode_rgb(encoded)


# Regions computed by hand for two boxes in a 400x400 image; the second crosses its left and lower edge.
MIDDLE, CORNER = (120.0, 90.0, 90.0, 120.0), (10.0, 300.0, 90.0, 120.0)
REGIONS = {
    (MIDDLE, 0.0, False): (120, 90, 210, 210),
    (MIDDLE, 0.3, False): (93, 54, 237, 246),
    (MIDDLE, 1 / 3, False): (90, 50, 240, 250),
    (MIDDLE, 0.0, True): (105, 90, 225, 210),
    (MIDDLE, 0.3, True): (69, 54, 261, 246),
    (MIDDLE, 1 / 3, True): (65, 50, 265, 250),
    (CORNER, 0.0, False): (10, 300, 100, 400),
    (CORNER, 0.3, False): (0, 264, 127, 400),
    (CORNER, 1 / 3, False): (0, 260, 130, 400),
    (CORNER, 0.0, True): (-5, 300, 115, 420),
    (CORNER, 0.3, True): (-41, 264, 151, 456),
    (CORNER, 1 / 3, True): (-45, 260, 155, 460),
}


@pytest.fixture(scope="module")
def scene() -> np.ndarray:
    """A 400x400 image of smooth noise, so that every place looks different."""
    noise = np.random.default_rng(6).normal(size=(400, 400, 3))
    smooth = ndimage.gaussian_filter(noise, (4, 4, 0))
    return np.clip(128 + 45 * smooth / smooth.std(), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("size", [128, 224, 256, 299, 380])
@pytest.mark.parametrize(
    ("box", "margin", "square", "padding"),
    [(*key, padding) for key in REGIONS for padding in (("edge", "reflect") if key[2] else ("edge",))],
)
def test_cut_matches_numpy_padding_and_scipy_sampling(
    scene: np.ndarray, box: tuple[float, ...], margin: float, square: bool, padding: str, size: int
) -> None:
    seen = cut(scene, box, None, view(size, margin=margin, square=square, interpolation="linear", padding=padding))
    left, top, right, bottom = REGIONS[box, margin, square]
    wide = np.pad(scene, ((100, 100), (100, 100), (0, 0)), mode=padding)
    region = wide[top + 100 : bottom + 100, left + 100 : right + 100].astype(float)
    rows, columns = ((np.arange(size) + 0.5) * side / size - 0.5 for side in region.shape[:2])
    places = np.meshgrid(rows, columns, indexing="ij")
    expected = np.dstack([ndimage.map_coordinates(region[:, :, c], places, order=1, mode="nearest") for c in range(3)])
    assert np.abs(seen - expected).max() <= 1


def test_cut_reflects_repeatedly_where_the_image_is_smaller_than_the_padding() -> None:
    small = np.random.default_rng(8).integers(0, 256, (5, 7, 3), np.uint8)
    seen = cut(small, (0, 0, 5, 5), None, view(25, margin=2.0, square=True, padding="reflect"))
    assert np.array_equal(seen, np.pad(small, ((10, 10), (10, 8), (0, 0)), mode="reflect"))
    line = small[:1]
    seen = cut(line, (0, 0, 3, 3), None, view(3, square=True, padding="reflect"))
    assert np.array_equal(seen, np.repeat(line[:, :3], 3, axis=0))


@pytest.mark.parametrize("changes", [{"margin": 0.5}, {"margin": 0.5, "square": True}])
@pytest.mark.parametrize("size", [128, 256])
def test_cut_with_mark_landmarks_draws_landmarks_and_box_in_place(
    places: np.ndarray, changes: dict[str, object], size: int
) -> None:
    # The region is 40x40 pixels from (30, 20) on, so a pixel is size / 40 wide.
    scale = size / 40
    seen = cut(places, (40, 30, 20, 20), LANDMARKS, view(size, mark_landmarks=True, **changes))
    labels, count = ndimage.label((seen == RED).all(axis=2))
    assert count == 5
    found = np.array(ndimage.center_of_mass(labels > 0, labels, range(1, 6)))[:, ::-1] + 0.5
    wanted = (np.array(LANDMARKS).reshape(5, 2) - (30, 20)) * scale
    for dot in wanted:
        assert np.abs(found - dot).max(axis=1).min() <= 0.51
    # A filled circle of radius 2 in 128 pixels.
    assert (labels > 0).sum() / 5 == pytest.approx(np.pi * (size / 64) ** 2, rel=0.35)
    rows, columns = np.nonzero((seen == ORANGE).all(axis=2))
    edges = columns.min(), rows.min(), columns.max(), rows.max()
    assert edges == pytest.approx((10 * scale, 10 * scale, 30 * scale, 30 * scale), abs=1)
    untouched = ~((seen == RED) | (seen == ORANGE)).all(axis=2)
    assert np.array_equal(seen[untouched], cut(places, (40, 30, 20, 20), None, view(size, **changes))[untouched])


def test_cut_with_mark_landmarks_leaves_its_input_unchanged(places: np.ndarray) -> None:
    before = places.copy()
    marked = cut(places, (0, 0, 80, 80), LANDMARKS, view(80, mark_landmarks=True))
    assert np.array_equal(places, before)
    assert not np.array_equal(marked, before[:, :80])


def test_view_reads_and_writes_json_of_older_models_unchanged() -> None:
    older = '{"size":256,"margin":0.3,"square":true,"interpolation":"area","blank_face":false}'
    read = View.model_validate_json(older)
    assert read == view(256, margin=0.3, square=True, interpolation="area")
    assert (read.align, read.padding, read.mark_landmarks, read.transforms) == ("none", "edge", False, ())
    # Written unchanged, so that registering such a model again changes nothing.
    assert read.model_dump_json() == older
    newer = read.model_copy(update={"align": "landmarks", "padding": "reflect"})
    assert View.model_validate_json(newer.model_dump_json()) == newer
