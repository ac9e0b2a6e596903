"""The mechanism of named parts."""

import re
import sys
from pathlib import Path

import pytest

from dflib.errors import ConfigError
from dflib.parts import Kind, Part

SHAPES = Kind(
    "shape",
    "Shapes",
    "made_shapes",
    Part("circle", "round"),
    Part("polygon", "N corners", argument=r"[3-9]"),
    Part("star", "N points", argument=r"\d+", default="5"),
    Part("blob", "any", extra="clay", requires="no_such_module"),
)


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package with the modules of :data:`SHAPES`, which note when they are imported."""
    folder = tmp_path / "made_shapes"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    for part in SHAPES:
        (folder / f"{part.name}.py").write_text(f"PART = 'the {part.name}'\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in [name for name in sys.modules if name.startswith("made_shapes")]:
        monkeypatch.delitem(sys.modules, name)
    return folder


def test_names_keep_the_order_of_the_list() -> None:
    assert SHAPES.names == ("circle", "polygon", "star", "blob")
    assert [part.usage for part in SHAPES] == ["circle", "polygon:N", "star[:N]", "blob"]


@pytest.mark.parametrize("text", ["circle", "polygon:3", "star", "star:12", "blob"])
def test_check_returns_a_valid_text(text: str) -> None:
    assert SHAPES.check(text) == text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cirle", "unknown shape 'cirle'; did you mean circle?"),
        ("xyz", "unknown shape 'xyz'; known: circle, polygon, star, blob"),
        ("", "unknown shape ''; known: circle, polygon, star, blob"),
        ("circle:3", "shape circle takes no argument, but has '3'"),
        ("polygon", "shape polygon: '' is not a valid argument; write polygon:N"),
        ("polygon:2", "shape polygon: '2' is not a valid argument; write polygon:N"),
        ("polygon:33", "shape polygon: '33' is not a valid argument; write polygon:N"),
        ("star:", "shape star: '' is not a valid argument; write star[:N]"),
        ("star:x", "shape star: 'x' is not a valid argument; write star[:N]"),
    ],
)
def test_check_rejects_an_invalid_text(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        SHAPES.check(text)


def test_check_of_an_empty_kind_says_that_none_is_known() -> None:
    with pytest.raises(ValueError, match="unknown hue 'red'; known: none"):
        Kind("hue", "Hues", "x").check("red")


@pytest.mark.parametrize(
    ("text", "expected"),
    [("circle", ("circle", "")), ("polygon:4", ("polygon", "4")), ("star", ("star", "5")), ("star:7", ("star", "7"))],
)
def test_split_gives_name_and_argument_or_its_default(text: str, expected: tuple[str, str]) -> None:
    assert SHAPES.split(text) == expected


def test_load_imports_the_module_of_the_part_only(package: Path) -> None:
    assert SHAPES.load("star:3") == "the star"
    assert {name for name in sys.modules if name.startswith("made_shapes")} == {"made_shapes", "made_shapes.star"}


def test_load_names_the_extra_of_a_missing_package(package: Path) -> None:
    with pytest.raises(ConfigError, match=re.escape("shape blob needs the Python package no_such_module")) as caught:
        SHAPES.load("blob")
    assert 'pip install -c constraints.txt "dflib[clay]"' in str(caught.value)
    assert "made_shapes.blob" not in sys.modules
