"""Transforms of a view: where they are applied, in which order, and what is refused."""

import sys
from types import ModuleType

import numpy as np
import pytest
from pydantic import ValidationError

from dflib.config import View, digest
from dflib.errors import ModelError
from dflib.models import transforms
from dflib.models.transforms import Image, Transform
from dflib.models.view import ORANGE, RED, cut
from dflib.parts import Part
from dflib.parts.catalog import TRANSFORMS

OLDER = {"size": 32, "margin": 0.0, "square": True, "interpolation": "nearest", "blank_face": False}
LANDMARKS = [15.0, 15, 35, 15, 25, 25, 17, 35, 33, 35]


def add(image: Image, argument: str) -> Image:
    return image + np.uint8(argument)


def double(image: Image, argument: str) -> Image:
    assert argument == ""
    return image * np.uint8(2)


def to_bgr(image: Image, argument: str) -> Image:
    return image[:, :, ::-1]


def to_grey(image: Image, argument: str) -> Image:
    return image[:, :, 0]


def to_float(image: Image, argument: str) -> Image:
    return image / 255.0  # type: ignore[return-value]


@pytest.fixture(autouse=True)
def catalog(monkeypatch: pytest.MonkeyPatch) -> None:
    """Five transforms in the catalog, each with a module."""
    for function in (add, double, to_bgr, to_grey, to_float):
        name = function.__name__
        part = Part(name, "a test", argument=r"\d+", default="3") if function is add else Part(name, "a test")
        module = ModuleType(f"{TRANSFORMS.package}.{name}")
        module.PART = Transform(function)  # type: ignore[attr-defined]
        monkeypatch.setitem(TRANSFORMS._parts, name, part)
        monkeypatch.setitem(sys.modules, module.__name__, module)


def view(**changes: object) -> View:
    return View.model_validate(OLDER | changes)


@pytest.fixture
def image() -> Image:
    return np.random.default_rng(1).integers(0, 100, (50, 50, 3), np.uint8)


@pytest.mark.parametrize("box", [None, (10.0, 10.0, 30.0, 30.0)])
def test_cut_applies_transforms_in_order_after_resizing(image: Image, box: tuple[float, ...] | None) -> None:
    plain = cut(image, box, None, view())
    assert plain.shape == (32, 32, 3)
    assert np.array_equal(cut(image, box, None, view(transforms=["add:7", "double"])), (plain + 7) * 2)
    assert np.array_equal(cut(image, box, None, view(transforms=["double", "add"])), plain * 2 + 3)


def test_cut_applies_transforms_after_alignment(image: Image) -> None:
    plain = cut(image, None, LANDMARKS, view(align="landmarks"))
    assert np.array_equal(cut(image, None, LANDMARKS, view(align="landmarks", transforms=["add"])), plain + 3)


def test_cut_draws_marks_over_the_transformed_image(image: Image) -> None:
    box = (5.0, 5.0, 40.0, 40.0)
    seen = cut(image, box, LANDMARKS, view(mark_landmarks=True, transforms=["to_bgr"]))
    marked = ((seen == RED) | (seen == ORANGE)).all(axis=2)
    assert marked.any()
    assert np.array_equal(seen[~marked], cut(image, box, None, view())[:, :, ::-1][~marked])


def test_cut_leaves_its_input_unchanged(image: Image) -> None:
    before = image.copy()
    cut(image, None, None, view(size=50, transforms=["add", "double"]))
    assert np.array_equal(image, before)


@pytest.mark.parametrize(("name", "found"), [("to_grey", r"uint8 \[32, 32\]"), ("to_float", r"float64 \[32, 32, 3\]")])
def test_cut_refuses_a_transform_that_changes_shape_or_type(image: Image, name: str, found: str) -> None:
    with pytest.raises(ModelError, match=f"view.transforms: {name} returned {found} for uint8"):
        cut(image, None, None, view(transforms=[name]))


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["doubel"], "unknown transform 'doubel'; did you mean double"),
        (["add:x"], "'x' is not a valid argument"),
        ("double,double:2", "takes no argument"),
    ],
)
def test_view_refuses_transforms_that_are_not_in_the_catalog(names: object, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        view(transforms=names)


def test_view_takes_a_comma_separated_list() -> None:
    assert view(transforms="add:1, double").transforms == ("add:1", "double")


def test_view_without_transforms_is_written_and_hashed_as_before() -> None:
    assert view().model_dump() == view(transforms=[]).model_dump() == OLDER
    assert View.model_validate_json(view().model_dump_json()) == view()
    assert '"transforms"' not in view().model_dump_json()
    changed = view(transforms=["add:1", "double"])
    assert digest(changed.model_dump()) != digest(view().model_dump())
    assert changed.model_dump_json().endswith(',"transforms":["add:1","double"]}')
    assert View.model_validate_json(changed.model_dump_json()) == changed


def test_load_returns_the_part() -> None:
    assert transforms.load("add:5").apply is add
