"""The page: self-contained, complete, and safe with hostile names."""

import base64
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest

from dflib.cli.package import pack
from dflib.tables.store import Tables
from tests.reporting.conftest import SURELY_WRONG, Reported, run
from tests.score_rows import ScoreRows, assign

HOSTILE = "<script>alert('x')</script>\"&\x1b[31m"


class Page(HTMLParser):
    """Tags, the values of the attributes that may fetch something, and the text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.sources: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.sources += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "data", "action")]

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.spark
def test_the_page_is_whole_and_needs_nothing_else(reported: Reported) -> None:
    source = reported.page.read_text()
    page = Page(source)
    assert all(uri.startswith(("data:image/svg+xml;base64,", "data:image/jpeg;base64,")) for uri in page.sources)
    assert not {"script", "link", "iframe", "object"} & set(page.tags)
    assert "@import" not in source and "url(" not in source
    for heading in ("How far that can be trusted", "Confusion", "All metrics", "Rules of pooling", "Slices"):
        assert heading in page.text
    assert sum(uri.startswith("data:image/svg") for uri in page.sources) == 4
    crops = [base64.b64decode(uri.partition(",")[2]) for uri in page.sources if "jpeg" in uri]
    assert 3 <= len(crops) <= 11
    for crop in crops:
        assert max(cv2.imdecode(np.frombuffer(crop, np.uint8), cv2.IMREAD_COLOR).shape) == 112
    assert SURELY_WRONG in page.text and "can't be read" in page.text
    assert "UNREADABLE" in page.text


@pytest.mark.spark
def test_hostile_names_one_class_and_the_run_rule(tables: Tables, tmp_path: Path) -> None:
    rows = ScoreRows(model_id=HOSTILE)
    for number in range(6):
        name = f"{HOSTILE}{number}"
        rows.video(f"t/{name}", [[0.9], [0.4]], label="FAKE", group=name, chunk=HOSTILE)
    rows.video("t/x", failed=HOSTILE)
    rows.write(tables)
    assign(tables, {f"{HOSTILE}{number}": "validation" for number in range(6)})
    text = run(tables, tmp_path, rules=("run",)).text
    (path,) = (tmp_path / "reports").iterdir()
    page = Page(path.read_text())
    assert "script" not in page.tags
    assert page.text.count(f"t/{HOSTILE}") == 3
    assert f"chunk={HOSTILE}" in page.text and f"{HOSTILE}-" not in path.name
    assert "\x1b" not in text and "on all:" in text
    # An imported model takes the splits that were assigned.
    assert "split=validation" in page.text
    assert "is no probability" in page.text and re.search(r"log loss +–", text)
    # One class has no ROC, and a rank no reliability: only the two distributions are left.
    assert sum(uri.startswith("data:image/svg") for uri in page.sources) == 2
    assert "With one class only" in page.text


def test_the_template_is_found_in_a_packed_dflib(tmp_path: Path) -> None:
    archive = pack(tmp_path)
    code = (
        "import dflib, jinja2; loader = jinja2.PackageLoader('dflib.reporting', '');"
        "loader.get_source(jinja2.Environment(), 'report.html.j2'); print(dflib.__file__)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(archive)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith(str(archive))
