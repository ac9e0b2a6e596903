"""Weights files become models of the registry."""

from pathlib import Path

import numpy as np
import pytest

from dflib.config import View, WeightsConfig
from dflib.errors import ConfigError, ModelError
from dflib.models import networks, published, registry
from dflib.tables.schemas import MODELS
from dflib.tables.store import Tables

VIEW = View(size=32, margin=0.3, square=True, interpolation="nearest", blank_face=False)


@pytest.fixture
def source(tmp_path: Path) -> WeightsConfig:
    networks.build("meso4", 32).save_weights(tmp_path / "given.h5")
    return WeightsConfig(path=f"file://{tmp_path}/given.h5", network="meso4", name="given", positive="real", view=VIEW)


@pytest.mark.spark
def test_an_import_twice_changes_nothing(tables: Tables, source: WeightsConfig, tmp_path: Path) -> None:
    root = f"file://{tmp_path}/models"
    first = published.import_weights(tables, tables.storage, root, source, dry_run=False)
    # 28,073 at 256 pixels less the first dense layer's: 1024 inputs there, 16 here.
    assert first == published.Imported("given", 28_073 - (1024 - 16) * 16, True)
    model = registry.find(tables, "given")
    assert (model.view, model.positive, model.origin) == (VIEW, "real", source.path)
    assert not published.import_weights(tables, tables.storage, root, source, dry_run=False).new
    assert tables.version(MODELS) == 1


@pytest.mark.spark
def test_other_weights_under_the_name_are_refused(tables: Tables, source: WeightsConfig, tmp_path: Path) -> None:
    root = f"file://{tmp_path}/models"
    published.import_weights(tables, tables.storage, root, source, dry_run=False)
    networks.build("meso4", 32).save_weights(tmp_path / "given.h5")
    with pytest.raises(ModelError, match="differs in settings, weights"):
        published.import_weights(tables, tables.storage, root, source, dry_run=False)


@pytest.mark.spark
def test_a_dry_run_reads_the_file_and_writes_nothing(tables: Tables, source: WeightsConfig, tmp_path: Path) -> None:
    imported = published.import_weights(tables, tables.storage, f"file://{tmp_path}/models", source, dry_run=True)
    assert not imported.new
    assert not tables.exists(MODELS)
    assert not (tmp_path / "models").exists()
    (tmp_path / "given.h5").write_bytes(np.arange(100).tobytes())
    with pytest.raises(ModelError, match=r"given\.h5: not a readable HDF5"):
        published.import_weights(tables, tables.storage, f"file://{tmp_path}/models", source, dry_run=True)


@pytest.mark.spark
@pytest.mark.parametrize("missing", ["path", "name"])
def test_path_and_name_must_be_set(tables: Tables, source: WeightsConfig, missing: str) -> None:
    with pytest.raises(ConfigError, match=r"weights\.path .* weights\.name"):
        source = source.model_copy(update={missing: None})
        published.import_weights(tables, tables.storage, "file:///nowhere", source, dry_run=False)
