"""The table models: names are permanent, files are checked against their hash."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dflib.config import View
from dflib.errors import ConfigError, ModelError
from dflib.models import aliases, networks, registry, saved_model
from dflib.models.model_files import folder_sha256
from dflib.storage import Storage, local_path
from dflib.tables.schemas import MODELS
from dflib.tables.store import Tables

VIEW = View(size=32, margin=0.3, square=True, interpolation="area", blank_face=False)


@pytest.fixture(scope="module")
def network() -> Any:
    return networks.build("meso4", 32)


@pytest.fixture
def folder(network: Any, tmp_path: Path) -> Path:
    saved_model.save(network, tmp_path / "export", 32, "fake")
    return tmp_path / "export"


def register(tables: Tables, root: str, folder: Path, **changes: Any) -> bool:
    fields: dict[str, Any] = {
        "model_id": "m1",
        "network": "meso4",
        "view": VIEW,
        "positive": "fake",
        "origin": "trained",
        "settings": {"epochs": 3},
        "metrics": {"val_loss": 0.5},
    }
    return registry.register(tables, tables.storage, root, folder, **(fields | changes))


@pytest.fixture
def root(tmp_path: Path) -> str:
    return f"file://{tmp_path}/models"


@pytest.mark.spark
def test_find_returns_a_model_by_name_and_by_alias(tables: Tables, root: str, folder: Path) -> None:
    assert register(tables, root, folder)
    assert register(tables, root, folder, model_id="m2")
    first = registry.find(tables, "m1")
    assert (first.model_id, first.network, first.view, first.positive) == ("m1", "meso4", VIEW, "fake")
    assert first.uri == f"{root}/m1-{first.sha256[:12]}"
    assert first.metrics == {"val_loss": 0.5}
    assert first.sha256 == folder_sha256(folder)
    assert (first.imported_sha256, first.variables_sha256) == (None, registry.variables_sha256(folder))
    with pytest.raises(ModelError, match=r"no model 'm3'; the models are m2, m1 \(newest first\); no alias is set"):
        registry.find(tables, "m3")
    aliases.assign(tables, "champion", "m1", "ana", None)
    aliases.assign(tables, "a", "m2", "ana", None)
    aliases.assign(tables, "b", "m2", "ana", None)
    assert registry.find(tables, "champion").model_id == "m1"
    assert [model.model_id for model in registry.find_all(tables, "aliased")] == ["m1", "m2"]
    assert [model.model_id for model in registry.find_all(tables, "b")] == ["m2"]
    with pytest.raises(ModelError, match=r"no model 'm3'; .*, the aliases a \(m2\), b \(m2\), champion \(m1\)"):
        registry.find(tables, "m3")
    with pytest.raises(ModelError, match="b: this is an alias and can't be the name of a model"):
        register(tables, root, folder, model_id="b")


@pytest.mark.spark
def test_find_without_models_names_the_fix(tables: Tables) -> None:
    for wanted in ("champion", "m"):
        with pytest.raises(ModelError, match="run train or import_model first"):
            registry.find(tables, wanted)
    with pytest.raises(ModelError, match="run train or import_model first"):
        registry.find_all(tables, "aliased")


@pytest.mark.spark
def test_register_again_changes_nothing(tables: Tables, root: str, folder: Path, network: Any, tmp_path: Path) -> None:
    register(tables, root, folder)
    before = registry.find(tables, "m1")
    # Another export of the same network: its files differ, its variables are equal.
    saved_model.save(network, tmp_path / "again", 32, "fake")
    assert folder_sha256(tmp_path / "again") != before.sha256
    assert not register(tables, root, tmp_path / "again")
    assert registry.find(tables, "m1") == before
    assert tables.version(MODELS) == 1
    assert folder_sha256(local_path(before.uri)) == before.sha256


@pytest.mark.spark
def test_models_of_an_older_version_keep_working(
    tables: Tables, root: str, folder: Path, network: Any, tmp_path: Path
) -> None:
    """Their table lacks the columns that were added since; their rows hold null there."""
    register(tables, root, folder, model_id="m0")
    later = ["imported_sha256", "variables_sha256"]
    tables.read(MODELS).drop(*later).write.format("delta").save(f"{tmp_path}/older")
    shutil.rmtree(local_path(tables.uri(MODELS)))
    (tmp_path / "older").rename(local_path(tables.uri(MODELS)))
    assert "variables_sha256" not in tables.spark.read.format("delta").load(tables.uri(MODELS)).columns

    model = registry.find(tables, "m0")
    assert (model.model_id, model.imported_sha256, model.variables_sha256) == ("m0", None, None)
    assert folder_sha256(local_path(model.uri)) == model.sha256
    saved_model.save(network, tmp_path / "again", 32, "fake")
    assert not register(tables, root, tmp_path / "again", model_id="m0")
    saved_model.save(networks.build("meso4", 32), tmp_path / "other", 32, "fake")
    with pytest.raises(ModelError, match=r"m0: .* differs in weights;"):
        register(tables, root, tmp_path / "other", model_id="m0")
    assert register(tables, root, folder, model_id="m1", imported_sha256="ab")
    assert registry.find(tables, "m0") == model
    added = registry.find(tables, "m1")
    assert (added.imported_sha256, added.variables_sha256) == ("ab", registry.variables_sha256(folder))


def test_variables_sha256_depends_on_weights_only(network: Any, folder: Path, tmp_path: Path) -> None:
    networks.build("meso4", 32)  # Keras numbers layer names per process
    same = networks.build("meso4", 32)
    same.set_weights(network.get_weights())
    saved_model.save(same, tmp_path / "same", 32, "fake")
    values = network.get_weights()
    values[-1] = np.nextafter(values[-1], np.float32(1))
    same.set_weights(values)
    saved_model.save(same, tmp_path / "other", 32, "fake")
    of_folder, of_same, of_other = map(registry.variables_sha256, (folder, tmp_path / "same", tmp_path / "other"))
    assert of_folder == of_same != of_other


@pytest.mark.spark
def test_register_refuses_another_model_of_the_same_name(
    tables: Tables, root: str, folder: Path, tmp_path: Path
) -> None:
    register(tables, root, folder)
    saved_model.save(networks.build("meso4", 32), tmp_path / "other", 32, "fake")
    with pytest.raises(ModelError, match=r"m1: .* differs in weights;"):
        register(tables, root, tmp_path / "other")
    with pytest.raises(ModelError, match="differs in view, positive, settings;"):
        changed = VIEW.model_copy(update={"margin": 0.1})
        register(tables, root, folder, view=changed, positive="real", settings={"epochs": 4})
    assert tables.version(MODELS) == 1
    kept = registry.find(tables, "m1")
    assert folder_sha256(local_path(kept.uri)) == kept.sha256


@pytest.mark.spark
def test_register_removes_leftovers_of_a_killed_upload(tables: Tables, root: str, folder: Path, tmp_path: Path) -> None:
    name = f"m1-{folder_sha256(folder)[:12]}"
    left = tmp_path / "models" / name / "variables" / "left.over"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"half")
    register(tables, root, folder)
    model = registry.find(tables, "m1")
    assert not left.exists()
    assert folder_sha256(tmp_path / "models" / name) == model.sha256


@pytest.mark.spark
def test_register_refuses_a_model_that_cannot_score_its_view(tables: Tables, root: str, folder: Path) -> None:
    with pytest.raises(ModelError, match=r"takes images of shape \(32, 32, 3\), got \(64, 64, 3\)"):
        register(tables, root, folder, view=VIEW.model_copy(update={"size": 64}))
    assert not tables.exists(MODELS)


@pytest.mark.parametrize(
    "name", ["latest", "all", "champion", "aliased", "", "../up", "a/b", ".hidden", "a b", "x" * 129]
)
def test_check_name_refuses_reserved_and_invalid_names(name: str) -> None:
    with pytest.raises(ConfigError, match=r"weights\.name="):
        registry.check_name(name, "weights.name")


def test_open_model_loads_once_per_process(folder: Path) -> None:
    sha256 = folder_sha256(folder)
    score, loaded = registry.open_model(Storage(), f"file://{folder}", sha256)
    again, reloaded = registry.open_model(Storage(), f"file://{folder}", sha256)
    assert (loaded, reloaded) == (True, False)
    assert again is score


def test_open_model_loads_what_it_hashed(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever replaces the files between hash and load is not loaded; the loader gets a private copy."""
    load, seen = saved_model.load, []

    def swap_and_load(copy: Path, threads: int | None = None, source: str | None = None) -> Any:
        (folder / "saved_model.pb").write_bytes(b"swapped")
        seen.append((copy.parent.stat().st_mode & 0o777, folder_sha256(copy)))
        return load(copy, threads, source)

    monkeypatch.setattr(saved_model, "load", swap_and_load)
    sha256 = folder_sha256(folder)
    uri = f"file://{folder}"
    score, _ = registry.open_model(Storage(), uri, sha256)
    assert seen == [(0o700, sha256)] and 0 <= score(np.full((1, 32, 32, 3), 127, np.uint8))[0] <= 1
    # A worker that loaded the model once does not trust the folder for it.
    registry._loaded.clear()
    with pytest.raises(ModelError, match="differ from the registered ones"):
        registry.open_model(Storage(), uri, sha256)
