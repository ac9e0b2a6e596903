"""The list of all parts agrees with the files, and costs nothing to read."""

import ast
import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

from dflib.parts import Kind, catalog

HOME = Path(__file__).parents[2]
KINDS = [pytest.param(kind, id=kind.name) for kind in catalog.KINDS]


def folder(kind: Kind) -> Path:
    return HOME / Path(*kind.package.split("."))


def test_kinds_holds_every_kind_of_the_catalog_once() -> None:
    kinds = [value for value in vars(catalog).values() if isinstance(value, Kind)]
    assert len(kinds) == len(catalog.KINDS) >= 10 and set(map(id, kinds)) == set(map(id, catalog.KINDS))
    for attribute in ("name", "plural", "package"):
        assert len({getattr(kind, attribute) for kind in kinds}) == len(kinds)


@pytest.mark.parametrize("kind", KINDS)
def test_every_part_has_a_module_that_defines_it(kind: Kind) -> None:
    for part in kind:
        tree = ast.parse((folder(kind) / f"{part.name}.py").read_text())
        assigned = {
            target.id
            for node in tree.body
            if isinstance(node, ast.Assign | ast.AnnAssign)
            for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
            if isinstance(target, ast.Name)
        }
        assert "PART" in assigned, f"{kind.package}.{part.name}"


@pytest.mark.parametrize("kind", KINDS)
def test_every_module_that_defines_a_part_is_in_the_list(kind: Kind) -> None:
    modules = {
        path.stem
        for path in folder(kind).glob("*.py")
        if path.stem != "__init__" and re.search(r"^PART\b.*=", path.read_text(), re.MULTILINE)
    }
    assert modules == set(kind.names)


@pytest.mark.parametrize("kind", KINDS)
def test_summaries_are_one_line_and_extras_exist(kind: Kind) -> None:
    extras = re.findall(r'^        "(\w+)": \[', (HOME / "setup.py").read_text(), re.MULTILINE)
    assert "gpu" in extras
    for part in kind:
        assert part.summary and "\n" not in part.summary
        assert (part.extra is None) == (part.requires is None)
        assert part.extra is None or part.extra in extras


@pytest.mark.parametrize("kind", KINDS)
def test_every_installed_part_loads(kind: Kind) -> None:
    for part in kind:
        if part.requires is None or importlib.util.find_spec(part.requires):
            text = part.name if part.argument is None or part.default is not None else f"{part.name}:7"
            assert kind.load(text) is not None


def test_the_catalog_is_read_without_heavy_libraries() -> None:
    code = (
        "import sys; from dflib.parts import catalog; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=HOME, capture_output=True, text=True, check=True)
    heavy = {"tensorflow", "cv2", "av", "numpy", "pyspark", "pandas", "mtcnn", "matplotlib", "boto3", "pydantic"}
    loaded = set(done.stdout.split())
    assert "dflib" in loaded and not heavy & loaded
