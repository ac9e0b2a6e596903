"""The view, against pictures whose every pixel says where it was, and against cv2 calls written out by hand."""

import cv2
import numpy as np
import pytest

from dflib.config import View
from dflib.errors import ImageError, ModelError
from dflib.models.view import BLANK_GROWN, GREY, cut, cut_row, decode_rgb

NAN = float("nan")


def view(size: int, **changes: object) -> View:
    fields = {"margin": 0.0, "square": False, "interpolation": "nearest", "blank_face": False} | changes
    return View(size=size, **fields)  # type: ignore[arg-type]


@pytest.fixture
def places() -> np.ndarray:
    """A 100x80 picture: red is the column, green the row, blue 200."""
    rows, columns = np.mgrid[0:80, 0:100]
    return np.dstack([columns, rows, np.full_like(rows, 200)]).astype(np.uint8)


def test_a_box_is_cut_to_the_pixel(places: np.ndarray) -> None:
    seen = cut(places, (30, 20, 16, 16), None, view(16))
    assert np.array_equal(seen, places[20:36, 30:46])


def test_the_margin_is_a_share_of_the_box_on_each_side(places: np.ndarray) -> None:
    seen = cut(places, (40, 30, 20, 10), None, view(64, margin=0.5))
    expected = cv2.resize(places[25:45, 30:70], (64, 64), interpolation=cv2.INTER_NEAREST)
    assert np.array_equal(seen, expected)


def test_without_square_the_region_is_clipped_and_stretched(places: np.ndarray) -> None:
    seen = cut(places, (2, 60, 20, 20), None, view(40, margin=0.5))
    # Wanted x -8 to 32 and y 50 to 90; there is x 0 to 32 and y 50 to 80.
    assert np.array_equal(seen, cv2.resize(places[50:80, 0:32], (40, 40), interpolation=cv2.INTER_NEAREST))


def test_square_grows_the_shorter_side_around_the_centre(places: np.ndarray) -> None:
    seen = cut(places, (40, 20, 10, 30), None, view(30, square=True))
    assert np.array_equal(seen, places[20:50, 30:60])


def test_square_repeats_the_edge_where_the_picture_ends(places: np.ndarray) -> None:
    seen = cut(places, (90, 70, 10, 10), None, view(20, margin=0.5, square=True))
    assert np.array_equal(seen[:15, :15], places[65:80, 85:100])
    assert (seen[:, 15:, 0] == 99).all()
    assert (seen[15:, :, 1] == 79).all()


@pytest.mark.parametrize("box", [None, (NAN, NAN, NAN, NAN)])
@pytest.mark.parametrize("square", [True, False])
def test_a_ready_cut_crop_is_taken_whole(places: np.ndarray, box: tuple[float, ...] | None, square: bool) -> None:
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
def test_each_interpolation_is_that_of_cv2(name: str, code: int) -> None:
    noise = np.random.default_rng(4).integers(0, 255, (90, 90, 3), np.uint8)
    seen = cut(noise, None, None, view(32, interpolation=name))
    assert np.array_equal(seen, cv2.resize(noise, (32, 32), interpolation=code))


def test_blank_face_leaves_only_the_surroundings(places: np.ndarray) -> None:
    seen = cut(places, (40, 30, 20, 20), None, view(40, margin=0.5, blank_face=True))
    grown = int(20 * BLANK_GROWN)
    inside = np.zeros((40, 40), bool)
    inside[10 - grown : 30 + grown, 10 - grown : 30 + grown] = True
    assert (seen[inside] == GREY).all()
    assert np.array_equal(seen[~inside], places[20:60, 30:70][~inside])


def test_blank_face_covers_landmarks_outside_of_the_box(places: np.ndarray) -> None:
    chin_below = [45.0, 35, 55, 35, 50, 40, 45, 45, 50, 57]
    seen = cut(places, (40, 30, 20, 20), chin_below, view(40, margin=0.5, blank_face=True))
    assert (seen[36, 10:30] == GREY).all()
    assert not (seen[38] == GREY).all(axis=1).any()


def test_blank_face_does_not_change_the_picture_given(places: np.ndarray) -> None:
    before = places.copy()
    cut(places, (40, 30, 20, 20), None, view(40, margin=0.5, blank_face=True))
    assert np.array_equal(places, before)


def test_blank_face_of_a_ready_cut_crop_is_refused(places: np.ndarray) -> None:
    with pytest.raises(ModelError, match="ready-cut crops"):
        cut(places, None, None, view(40, margin=0.5, blank_face=True))


def test_blank_face_without_surroundings_is_refused(places: np.ndarray) -> None:
    with pytest.raises(ModelError, match="leaves nothing to see"):
        cut(places, (40, 30, 20, 20), None, view(40, blank_face=True))


@pytest.mark.parametrize("square", [True, False])
@pytest.mark.parametrize("box", [(200, 10, 20, 20), (10, -50, 20, 20), (10, 10, 0, 20), (10, NAN, 20, 20)])
def test_a_box_that_takes_in_nothing_is_an_error(places: np.ndarray, box: tuple[float, ...], square: bool) -> None:
    with pytest.raises(ImageError):
        cut(places, box, None, view(32, square=square))


def test_decoding_gives_rgb(places: np.ndarray) -> None:
    encoded = cv2.imencode(".png", cv2.cvtColor(places, cv2.COLOR_RGB2BGR))[1].tobytes()
    assert np.array_equal(decode_rgb(encoded), places)
    assert np.array_equal(cut_row(encoded, (30, 20, 16, 16), None, view(16)), places[20:36, 30:46])


@pytest.mark.parametrize(
    "encoded", [b"", b"no picture", b"\xff\xd8\xff\xe0" + bytes(64), b"\x89PNG\r\n\x1a\n" + bytes(9)]
)
def test_bytes_that_are_no_picture_are_an_error(encoded: bytes) -> None:
    with pytest.raises(ImageError, match="picture"):
        decode_rgb(encoded)
