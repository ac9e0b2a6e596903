"""Rooms of dflib import one way: a room imports only rooms that come before it."""

import ast
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "dflib"
ORDER = (
    "errors", "parts", "uris", "config", "storage", "runtime", "tables", "sources", "media", "extraction", "datasets",
    "models", "pages", "training", "checks", "scoring", "reporting", "proof", "operations", "upkeep", "steps", "cli",
)  # fmt: skip


def imports(path: Path) -> Iterator[str]:
    """Rooms that a module imports, also inside functions."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module == "dflib":
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("dflib."):
            yield (node.module or "").split(".")[1]
        elif isinstance(node, ast.Import):
            yield from (alias.name.split(".")[1] for alias in node.names if alias.name.startswith("dflib."))


def test_every_room_has_a_place_in_the_order() -> None:
    rooms = {path.stem for path in PACKAGE.iterdir() if path.name[0] not in "_." and path.suffix in ("", ".py")}
    assert rooms == set(ORDER)


def test_no_room_imports_a_later_one() -> None:
    checked, wrong = 0, []
    for path in PACKAGE.rglob("*.py"):
        room = path.relative_to(PACKAGE).with_suffix("").parts[0]
        for other in imports(path) if room in ORDER else ():
            checked += 1
            # ``from dflib import __version__`` names no room.
            if other in ORDER and ORDER.index(other) > ORDER.index(room):
                wrong.append(f"{path.relative_to(PACKAGE)} imports {other}")
    assert checked > 300 and not wrong
