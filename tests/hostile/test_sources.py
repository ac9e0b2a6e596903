"""Hostile zips, metadata files and labels CSVs."""

from pathlib import Path

import pytest

from tests.hostile import census

pytestmark = pytest.mark.hostile


def test_zips(tmp_path: Path) -> None:
    census.check(census.take("tests.hostile.zips", tmp_path), 1500)


def test_metadata_and_labels(tmp_path: Path) -> None:
    census.check(census.take("tests.hostile.lists", tmp_path), 500)
