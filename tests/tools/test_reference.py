"""The reference pages of the documentation."""

from pathlib import Path

import pytest

from dflib.config import Config
from dflib.config.load import known_keys
from dflib.parts import catalog
from dflib.tables.schemas import TABLES
from tools import reference


def test_every_key_of_the_configuration_is_documented_with_a_meaning() -> None:
    text = reference.configuration()
    for key in known_keys(Config):
        row = next((line for line in text.splitlines() if line.startswith(f"| `{key}` |")), None)
        assert row is not None, f"{key} is missing"
        assert row.rstrip(" |").count("|") == 4, f"{key} has no meaning: add a docstring to its field"


def test_every_column_of_every_table_is_documented() -> None:
    text = reference.tables()
    for table in TABLES.values():
        section = text.partition(f"\n## {table.name}\n")[2].partition("\n## ")[0]
        assert [line.split("`")[1] for line in section.splitlines() if line.startswith("| `")] == table.schema.names


def test_check_fails_when_a_page_is_out_of_date(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(reference, "PAGES", tmp_path)
    monkeypatch.setattr("sys.argv", ["reference"])
    assert reference.main() == 0
    monkeypatch.setattr("sys.argv", ["reference", "--check"])
    assert reference.main() == 0
    page = tmp_path / "tables.md"
    page.write_text(page.read_text().replace("video_id", "videoid"))
    assert reference.main() == 1
    assert "tables.md is out of date" in capsys.readouterr().err


def test_every_part_and_job_is_documented() -> None:
    text = reference.parts()
    for kind in catalog.KINDS:
        assert all(f"| `{part.usage}` | {part.summary}" in text for part in kind)
    jobs = {path.stem for path in (reference.HOME / "jobs").glob("*.py")}
    assert jobs == {line.split("`")[1] for line in reference.commands().splitlines() if line.startswith("| `")}
