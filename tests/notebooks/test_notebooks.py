"""The notebooks: committed without output, and executed on the tables of the demo."""

import os
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from tests.jobs.places import HOME, DemoRun

NOTEBOOKS = sorted((HOME / "notebooks").glob("*.ipynb"))


def test_notebooks_are_found() -> None:
    assert [path.stem for path in NOTEBOOKS] == ["01_explore_tables", "02_error_analysis"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_is_committed_without_output(path: Path) -> None:
    cells = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    assert cells
    assert not [cell for cell in cells if cell.outputs or cell.execution_count is not None]


@pytest.mark.e2e
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_executes_and_shows_images(path: Path, demo_run: DemoRun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DFLIB_TABLES", str(demo_run.root / "tables"))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(HOME), os.environ.get("PYTHONPATH", "")]))
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(HOME / "notebooks")}}).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert [output for output in outputs if "image/png" in output.get("data", {})]
