"""The ``models`` table and the SavedModels that its rows stand for."""

import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError
from pyspark.sql import Row
from pyspark.sql import functions as F

from dflib import uris
from dflib.config import View
from dflib.errors import ConfigError, ModelError
from dflib.models import saved_model
from dflib.storage import Storage, local_path
from dflib.tables.schemas import MODELS
from dflib.tables.store import Tables

LATEST = "latest"
_RESERVED = (LATEST, "all")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")

_verified: set[tuple[str, str]] = set()
_loaded: dict[tuple[str, str], saved_model.Scorer] = {}


@dataclass(frozen=True)
class Model:
    """A row of ``models``; the fields are its columns."""

    model_id: str
    network: str
    uri: str
    sha256: str
    flavour: str
    view: View
    origin: str
    positive: str
    extractor: str | None
    training_set: str | None
    settings: str | None
    metrics: Mapping[str, float] | None
    created_at: datetime


def check_name(model_id: str, key: str) -> None:
    """Refuses what can't be a model's name; ``key`` is the configuration's key that gave it.

    Raises:
        ConfigError: with the reason.
    """
    if model_id in _RESERVED:
        raise ConfigError(f"{key}={model_id}: this name has a meaning of its own in score.model; choose another")
    if not _NAME.fullmatch(model_id):
        raise ConfigError(
            f"{key}={model_id!r}: a model's name is 1 to 128 letters, digits, dots, dashes and underscores, "
            "a letter or digit first"
        )


def register(
    tables: Tables,
    storage: Storage,
    models_root: str,
    folder: Path,
    *,
    model_id: str,
    network: str,
    view: View,
    positive: Literal["fake", "real"],
    origin: str,
    extractor: str | None = None,
    training_set: str | None = None,
    settings: Mapping[str, Any] | None = None,
    metrics: Mapping[str, float] | None = None,
) -> bool:
    """Gives a model its name for ever: uploads its SavedModel and adds its row.

    A name is never given twice.  Registering the same again (same variables, network, view, direction, origin
    and training) changes nothing; the files of two exports of one network differ, so variables are compared.

    Args:
        tables: where ``models`` is.
        storage: where the files go.
        models_root: the SavedModel is put below it, at ``<models_root>/<model_id>``.
        folder: local SavedModel of :func:`dflib.models.saved_model.save`.
        model_id, network, view, positive, origin, extractor, training_set, metrics: the columns of ``models``.
        settings: all that decided the result, as plain values; kept as JSON.

    Returns:
        Whether it is new.

    Raises:
        ConfigError: the name is not allowed.
        ModelError: it belongs to another model; or the SavedModel can't score its view.
    """
    from dflib.runtime.tensorflow_setup import flavour

    check_name(model_id, "model_id")
    sha256 = folder_sha256(folder)
    # The hash keeps the folder from those of other tables that use the same root.
    uri = uris.join(models_root, f"{model_id}-{sha256[:12]}")
    row = {
        "model_id": model_id,
        "network": network,
        "uri": uri,
        "sha256": sha256,
        "flavour": flavour(),
        "view": view.model_dump_json(),
        "origin": origin,
        "positive": positive,
        "extractor": extractor,
        "training_set": training_set,
        "settings": None if settings is None else json.dumps(settings, sort_keys=True),
        "metrics": None if metrics is None else {name: float(value) for name, value in metrics.items()},
        "created_at": datetime.now(UTC),
    }
    present = tables.read(MODELS).where(F.col("model_id") == model_id).first()
    if present is not None:
        compared = ("network", "view", "origin", "positive", "extractor", "training_set", "settings")
        different = [name for name in compared if present[name] != row[name]]
        if _variables(fetch(storage, present["uri"], present["sha256"])) != _variables(folder):
            different.append("weights")
        if different:
            raise ModelError(
                f"{model_id}: a model of this name is there already and differs in {', '.join(different)}; "
                "names are never given twice: choose another"
            )
        return False
    _try(folder, view)
    # A killed run may have left a part of an upload.
    storage.delete_folder(uri)
    storage.upload_folder(folder, uri)
    tables.insert_new(MODELS, tables.spark.createDataFrame([row], MODELS.spark_schema()))
    return True


def find(tables: Tables, model: str) -> Model:
    """The row of a model by name, or for ``latest`` the newest that is no control.

    Raises:
        ModelError: there is none; the message names those that there are.
    """
    rows = _newest_first(tables)
    if not rows:
        raise ModelError(f"{tables.uri(MODELS)}: no model is there yet; run train or import_model first")
    row = next((row for row in rows if model == row["model_id"] or (model == LATEST and not _is_control(row))), None)
    if row is None:
        known = ", ".join(row["model_id"] for row in rows[:20])
        raise ModelError(f"{tables.uri(MODELS)}: no model {model!r}; there are {known} (newest first)")
    values = row.asDict()
    try:
        view = View.model_validate_json(values.pop("view"))
    except ValidationError as error:
        raise ModelError(f"{tables.uri(MODELS)}: {row['model_id']}: view is not one: {error}; import it anew") from None
    return Model(view=view, **values)


def latest_id(tables: Tables) -> str | None:
    """The model that ``latest`` stands for; None when there is none but controls."""
    return next((row["model_id"] for row in _newest_first(tables) if not _is_control(row)), None)


def _newest_first(tables: Tables) -> list[Row]:
    return tables.read(MODELS).orderBy(F.desc("created_at"), F.desc("model_id")).collect()


def _is_control(row: Row) -> bool:
    """Whether a model was made to learn nothing: its labels were shuffled, or it does not see the face."""
    settings = json.loads(row["settings"] or "{}").get("decided_by", {}).get("train", {})
    return bool(settings.get("shuffle_labels") or json.loads(row["view"]).get("blank_face"))


def fetch(storage: Storage, uri: str, sha256: str) -> Path:
    """A local folder with the files of a SavedModel, checked once a process against its hash.

    Local ones are used where they lie; others are copied once a machine and user, to a folder named by the hash.

    Raises:
        ModelError: the files are not those of the hash.
        StorageError: they are not there or can't be read.
    """
    folder = local_path(uri) or _copy(storage, uri, sha256)
    if (uri, sha256) not in _verified:
        _check(folder, uri, sha256)
        _verified.add((uri, sha256))
    return folder


def open_model(storage: Storage, uri: str, sha256: str, threads: int | None = None) -> tuple[saved_model.Scorer, bool]:
    """The scorer of a model, kept by the process for later tasks, and whether it had to be loaded now."""
    key = (uri, sha256)
    if key in _loaded:
        return _loaded[key], False
    # One model at a time: reused workers would collect them.
    _loaded.clear()
    _loaded[key] = saved_model.load(fetch(storage, uri, sha256), threads)
    return _loaded[key], True


def folder_sha256(folder: Path) -> str:
    """SHA-256 over the files of a folder, in order of their paths, paths and lengths included, in hex."""
    total = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        content = path.read_bytes()
        total.update(f"{path.relative_to(folder).as_posix()}\0{len(content)}\0".encode())
        total.update(content)
    return total.hexdigest()


def _try(folder: Path, view: View) -> None:
    """Scores one grey picture, so that no model gets a name that can't."""
    import numpy as np

    p_fake = saved_model.load(folder)(np.full((1, view.size, view.size, 3), 127, np.uint8))
    if p_fake.shape != (1,) or not 0 <= p_fake[0] <= 1:
        raise ModelError(f"{folder}: gives {p_fake} for one grey picture, which is no probability; train it anew")


def _check(folder: Path, uri: str, sha256: str) -> None:
    found = folder_sha256(folder)
    if found != sha256:
        raise ModelError(
            f"{uri}: its files are not those that were registered (SHA-256 {found}, in models {sha256}); "
            "restore them, or import or train the model under a new name"
        )


def _copy(storage: Storage, uri: str, sha256: str) -> Path:
    # Of this user alone: what lies here is loaded as a program.
    cache = Path(tempfile.gettempdir()) / f"dflib-models-{os.getuid()}"
    cache.mkdir(mode=0o700, exist_ok=True)
    if cache.stat().st_uid != os.getuid() or cache.stat().st_mode & 0o077:
        raise ModelError(f"{cache}: belongs to another user or is open to others; remove it")
    folder = cache / sha256
    if not folder.is_dir():
        arriving = Path(tempfile.mkdtemp(dir=cache))
        try:
            storage.download_folder(uri, arriving)
            _check(arriving, uri, sha256)
            try:
                arriving.rename(folder)
            except OSError:
                # Another worker of this machine was first.
                if not folder.is_dir():
                    raise
        finally:
            shutil.rmtree(arriving, ignore_errors=True)
    return folder


def _variables(folder: Path) -> str:
    """Hash of a SavedModel's variables alone, by their place in the network and value."""
    from dflib.runtime.tensorflow_setup import tensorflow

    checkpoint = tensorflow().train.load_checkpoint(str(folder / "variables" / "variables"))
    total = hashlib.sha256()
    for name, shape in sorted(checkpoint.get_variable_to_shape_map().items()):
        # The rest is TensorFlow's own table of objects, which holds names made by counting.
        if name.endswith("/.ATTRIBUTES/VARIABLE_VALUE"):
            total.update(f"{name}\0{shape}\0".encode())
            total.update(checkpoint.get_tensor(name).tobytes())
    return total.hexdigest()
