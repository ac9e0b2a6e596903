"""Copies models and aliases to an MLflow tracking server and its model registry (``models.mlflow``).

The tables stay the truth: a copy that failed, such as in an outage of MLflow, is made up for by the next one.  Each
model of ``models`` becomes a run with its SavedModel, and a version of the registered model :data:`NAME`.
"""

import json
import logging
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dflib.errors import ConfigError, DflibError, ModelError, StorageError
from dflib.models import aliases, model_files, registry
from dflib.storage import Storage
from dflib.tables.store import Tables

log = logging.getLogger(__name__)

NAME = "dflib"
"""The registered model, and the experiment of its runs."""
MODEL_ID = "dflib.model_id"
"""Tag of runs and versions."""
_MAX_PARAM = 6000
"""Characters of a parameter that MLflow stores."""


class MlflowError(DflibError):
    """MLflow could not be reached or refused."""


@dataclass(frozen=True)
class Copied:
    """What was new in MLflow: models, and aliases that were set or removed."""

    models: tuple[str, ...]
    aliases: tuple[str, ...]


def check(uri: str | None) -> None:
    """Raises :class:`ConfigError` when ``models.mlflow`` is set and the client is not installed."""
    if uri is not None:
        try:
            import mlflow  # noqa: F401
        except ImportError:
            raise ConfigError(f"models.mlflow={uri}: MLflow is not installed; pip install 'dflib[mlflow]'") from None


def copy(tables: Tables, storage: Storage, uri: str) -> Copied:
    """Copies the models that MLflow lacks, and sets its aliases to those of the tables.

    Args:
        tables: holds ``models`` and ``aliases``.
        storage: reads the SavedModels.
        uri: of the tracking server, or ``file://`` of a folder.

    Raises:
        MlflowError: MLflow can't be reached or refuses.
    """
    import mlflow
    from mlflow.exceptions import MlflowException

    try:
        client = mlflow.MlflowClient(tracking_uri=uri, registry_uri=uri)
        return _copy(client, tables, storage)
    except (MlflowException, OSError) as error:
        raise MlflowError(f"{uri}: {str(error).partition(chr(10))[0]}") from error


def _copy(client: Any, tables: Tables, storage: Storage) -> Copied:
    experiment = client.get_experiment_by_name(NAME)
    experiment_id = client.create_experiment(NAME) if experiment is None else experiment.experiment_id
    if not any(model.name == NAME for model in client.search_registered_models()):
        client.create_registered_model(NAME, description="Models of dflib; the tables of dflib are the truth")
    versions = {
        version.tags.get(MODEL_ID): version.version for version in client.search_model_versions(f"name='{NAME}'")
    }
    new = []
    for row in reversed(registry.newest_first(tables)):
        if row["model_id"] in versions:
            continue
        try:
            model = registry.find(tables, row["model_id"])
            versions[model.model_id] = _add(client, experiment_id, model, storage)
        except (ModelError, StorageError) as error:
            log.warning("%s is not copied to MLflow: %s", row["model_id"], error)
            continue
        new.append(model.model_id)
    return Copied(tuple(new), tuple(_set_aliases(client, tables, versions)))


def _add(client: Any, experiment_id: str, model: registry.Model, storage: Storage) -> Any:
    """Makes the run and the version of a model; returns the version."""
    tags = {
        MODEL_ID: model.model_id,
        "mlflow.runName": model.model_id,
        "dflib.sha256": model.sha256,
        "dflib.view": model.view.model_dump_json(),
        "dflib.positive": model.positive,
        "dflib.origin": model.origin,
        "dflib.flavour": model.flavour,
        "dflib.training_set": model.training_set or "",
        "dflib.extractor": model.extractor or "",
    }
    run = client.create_run(experiment_id, tags=tags)
    run_id = run.info.run_id
    for name, value in _params(model).items():
        client.log_param(run_id, name, value)
    for name, number in (model.metrics or {}).items():
        client.log_metric(run_id, name, number)
    with model_files.verified_copy(storage, model.uri, model.sha256) as folder:
        client.log_artifacts(run_id, str(folder), "model")
    with tempfile.TemporaryDirectory() as temporary:
        card = Path(temporary) / "model.json"
        card.write_text(json.dumps(tags | {"uri": model.uri}, indent=2))
        client.log_artifact(run_id, str(card))
    client.set_terminated(run_id)
    source = f"{run.info.artifact_uri}/model"
    version = client.create_model_version(NAME, source, run_id, tags={MODEL_ID: model.model_id})
    return version.version


def _params(model: registry.Model) -> dict[str, str]:
    """Network, and the settings of its training by dotted names, as MLflow's parameters."""
    found = {"network": model.network}

    def flatten(prefix: str, value: Any) -> None:
        if isinstance(value, Mapping):
            for key, held in value.items():
                flatten(f"{prefix}.{key}" if prefix else str(key), held)
        else:
            found[prefix] = str(value)[:_MAX_PARAM]

    flatten("", json.loads(model.settings or "{}"))
    return found


def _set_aliases(client: Any, tables: Tables, versions: Mapping[Any, Any]) -> list[str]:
    """Makes MLflow's aliases those of the tables; returns those that changed."""
    wanted = {alias.alias: versions.get(alias.model_id) for alias in aliases.current(tables).values()}
    present = dict(client.get_registered_model(NAME).aliases)
    changed = []
    for alias, version in wanted.items():
        if version is not None and str(present.get(alias)) != str(version):
            client.set_registered_model_alias(NAME, alias, version)
            changed.append(alias)
    for alias in set(present) - set(wanted):
        client.delete_registered_model_alias(NAME, alias)
        changed.append(alias)
    return sorted(changed)
