"""Weights files become models of the registry."""

import hashlib
from pathlib import Path

import numpy as np
import pytest

from dflib.config import View, WeightsConfig
from dflib.errors import ConfigError, ModelError
from dflib.models import networks, registry
from dflib.models.import_model import ImportResult, check, import_model
from dflib.storage import local_path
from dflib.tables.schemas import MODELS
from dflib.tables.store import Tables

VIEW = View(size=32, margin=0.3, square=True, interpolation="nearest", blank_face=False)


@pytest.fixture
def settings(tmp_path: Path) -> WeightsConfig:
    networks.build("meso4", 32).save_weights(tmp_path / "weights.h5")
    path = f"file://{tmp_path}/weights.h5"
    return WeightsConfig(path=path, format="keras_hdf5", network="meso4", name="imported", positive="real", view=VIEW)


@pytest.mark.spark
def test_import_model_repeated_changes_nothing(tables: Tables, settings: WeightsConfig, tmp_path: Path) -> None:
    root = f"file://{tmp_path}/models"
    first = import_model(tables, tables.storage, root, settings, dry_run=False)
    # 28,073 at 256 pixels less those of the first dense layer: 1024 inputs there, 16 here.
    assert first == ImportResult("imported", 28_073 - (1024 - 16) * 16, True)
    model = registry.find(tables, "imported")
    assert (model.view, model.positive, model.origin) == (VIEW, "real", settings.path)
    assert model.imported_sha256 == hashlib.sha256((tmp_path / "weights.h5").read_bytes()).hexdigest()
    assert not import_model(tables, tables.storage, root, settings, dry_run=False).new
    assert tables.version(MODELS) == 1


@pytest.mark.spark
def test_import_model_on_three_roots_gives_one_hash_of_variables(
    tables: Tables, settings: WeightsConfig, tmp_path: Path
) -> None:
    """TensorFlow writes other files each time; what identifies the model is the hash of its variables."""
    models = []
    for number in range(3):
        own = Tables(tables.spark, f"file://{tmp_path}/{number}/tables", tables.storage)
        import_model(own, own.storage, f"file://{tmp_path}/{number}/models", settings, dry_run=False)
        models.append(registry.find(own, "imported"))
    assert len({model.variables_sha256 for model in models}) == 1
    assert len({model.imported_sha256 for model in models}) == 1
    assert len({model.sha256 for model in models}) == 3
    folder = local_path(models[0].uri)
    assert folder is not None and models[0].variables_sha256 == registry.variables_sha256(folder)


@pytest.mark.spark
def test_import_model_refuses_other_weights_under_the_name(
    tables: Tables, settings: WeightsConfig, tmp_path: Path
) -> None:
    root = f"file://{tmp_path}/models"
    import_model(tables, tables.storage, root, settings, dry_run=False)
    networks.build("meso4", 32).save_weights(tmp_path / "weights.h5")
    with pytest.raises(ModelError, match="differs in settings, weights"):
        import_model(tables, tables.storage, root, settings, dry_run=False)


@pytest.mark.spark
def test_import_model_dry_run_reads_the_file_and_writes_nothing(
    tables: Tables, settings: WeightsConfig, tmp_path: Path
) -> None:
    imported = import_model(tables, tables.storage, f"file://{tmp_path}/models", settings, dry_run=True)
    assert not imported.new
    assert not tables.exists(MODELS)
    assert not (tmp_path / "models").exists()
    (tmp_path / "weights.h5").write_bytes(np.arange(100).tobytes())
    with pytest.raises(ModelError, match=r"weights\.h5: not a readable HDF5"):
        import_model(tables, tables.storage, f"file://{tmp_path}/models", settings, dry_run=True)


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ("path", r"weights\.path .* weights\.name"),
        ("name", r"weights\.path .* weights\.name"),
        ("positive", "real or fake"),
    ],
)
def test_check_refuses_a_missing_setting(settings: WeightsConfig, missing: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check(settings.model_copy(update={missing: None}))
