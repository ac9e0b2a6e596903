"""HDF5 weights files that may be damaged on purpose."""

from pathlib import Path

import pytest

from tests.hostile import census


@pytest.mark.hostile
def test_each_weights_file_is_right_or_refused(tmp_path: Path) -> None:
    census.check(census.take("tests.hostile.weights", tmp_path), tried=500)
