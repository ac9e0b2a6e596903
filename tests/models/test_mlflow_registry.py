"""Models and aliases in MLflow, on a store of files that MLflow itself reads back."""

from pathlib import Path
from typing import Any

import mlflow
import pytest

from dflib.models import aliases, mlflow_registry, model_files
from dflib.models.mlflow_registry import MODEL_ID, NAME, MlflowError
from dflib.storage import Storage
from dflib.tables.schemas import MODELS
from dflib.tables.store import Tables
from tests.score_rows import model
from tests.table_rows import add

pytestmark = pytest.mark.spark


@pytest.fixture(autouse=True)
def file_store(monkeypatch: pytest.MonkeyPatch) -> None:
    """MLflow asks for a word before it uses a folder instead of a data base."""
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")


def add_model(tables: Tables, root: Path, name: str, **changes: Any) -> Path:
    """A row of ``models`` with files; returns their folder."""
    folder = root / name
    (folder / "variables").mkdir(parents=True)
    (folder / "saved_model.pb").write_bytes(name.encode())
    (folder / "variables" / "variables.index").write_bytes(b"1")
    row = model(name) | {"uri": f"file://{folder}", "sha256": model_files.folder_sha256(folder)} | changes
    add(tables, MODELS, [row])
    return folder


def versions(uri: str) -> dict[str, Any]:
    client = mlflow.MlflowClient(tracking_uri=uri, registry_uri=uri)
    return {version.tags[MODEL_ID]: version for version in client.search_model_versions(f"name='{NAME}'")}


def test_models_and_aliases_are_copied_once(tables: Tables, storage: Storage, tmp_path: Path) -> None:
    uri = f"file://{tmp_path}/mlruns"
    settings = '{"train": {"epochs": 24, "view": {"size": 64}}}'
    folder = add_model(tables, tmp_path, "one", settings=settings, metrics=[("val_loss", 0.25)], training_set="s")
    add_model(tables, tmp_path, "two")
    aliases.assign(tables, "champion", "one", "ana@gate", None)
    first = mlflow_registry.copy(tables, storage, uri)
    assert (sorted(first.models), first.aliases) == (["one", "two"], ("champion",))
    again = mlflow_registry.copy(tables, storage, uri)
    assert (again.models, again.aliases) == ((), ())

    client = mlflow.MlflowClient(tracking_uri=uri, registry_uri=uri)
    found = versions(uri)
    assert set(found) == {"one", "two"}
    run = client.get_run(found["one"].run_id)
    assert run.data.metrics == {"val_loss": 0.25}
    assert run.data.params == {"network": "meso4", "train.epochs": "24", "train.view.size": "64"}
    assert run.data.tags["dflib.training_set"] == "s" and '"size":64' in run.data.tags["dflib.view"].replace(" ", "")
    assert run.info.status == "FINISHED"
    local = Path(client.download_artifacts(run.info.run_id, "model", str(tmp_path)))
    assert model_files.folder_sha256(local) == model_files.folder_sha256(folder)
    assert client.get_model_version_by_alias(NAME, "champion").version == found["one"].version


def test_a_changed_alias_follows(tables: Tables, storage: Storage, tmp_path: Path) -> None:
    uri = f"file://{tmp_path}/mlruns"
    for name in ("one", "two"):
        add_model(tables, tmp_path, name)
    aliases.assign(tables, "champion", "one", "ana@gate", None)
    mlflow_registry.copy(tables, storage, uri)
    aliases.assign(tables, "champion", "two", "ana@gate", None)
    assert mlflow_registry.copy(tables, storage, uri).aliases == ("champion",)
    client = mlflow.MlflowClient(tracking_uri=uri, registry_uri=uri)
    assert client.get_model_version_by_alias(NAME, "champion").tags[MODEL_ID] == "two"


def test_an_mlflow_that_does_not_answer_is_a_clear_error(
    tables: Tables, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(MlflowError, match=r"http://127\.0\.0\.1:9: "):
        mlflow_registry.copy(tables, storage, "http://127.0.0.1:9")
