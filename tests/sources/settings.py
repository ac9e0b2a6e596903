"""The section ``sources`` for tests: the values of ``conf/base.yml``, as the data set ``d``."""

from pathlib import Path
from typing import Any

import yaml

from dflib.config import SourcesConfig

BASE = yaml.safe_load((Path(__file__).parents[2] / "conf" / "base.yml").read_text())["sources"]


def sources(**changes: Any) -> SourcesConfig:
    """The section with these changes; paths become text."""
    texts = {key: str(value) if isinstance(value, Path) else value for key, value in changes.items()}
    return SourcesConfig.model_validate(BASE | {"dataset": "d"} | texts)
