"""The notebooks are committed without output; tests/jobs/test_demo_run.py executes them on the tables of the demo."""

from pathlib import Path

import nbformat
import pytest

from tests.jobs.places import HOME

NOTEBOOKS = sorted((HOME / "notebooks").glob("*.ipynb"))


def test_notebooks_are_found() -> None:
    assert [path.stem for path in NOTEBOOKS] == ["01_explore_tables", "02_error_analysis"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_is_committed_without_output(path: Path) -> None:
    cells = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    assert cells
    assert not [cell for cell in cells if cell.outputs or cell.execution_count is not None]
