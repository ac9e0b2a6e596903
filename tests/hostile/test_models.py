"""SavedModels that may have been made or damaged on purpose."""

from pathlib import Path

import pytest

from tests.hostile import census


@pytest.mark.hostile
def test_each_model_is_right_or_refused(tmp_path: Path) -> None:
    census.check(census.take("tests.hostile.models", tmp_path), tried=100)
