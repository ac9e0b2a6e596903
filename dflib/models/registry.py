"""The table ``models`` and the SavedModels that its rows describe."""

import hashlib
import json
import re
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
from dflib.models import aliases, model_files, saved_model
from dflib.storage import Storage
from dflib.tables.schemas import MODELS
from dflib.tables.store import Tables

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")

_loaded: dict[tuple[str, str], saved_model.Scorer] = {}


@dataclass(frozen=True)
class Model:
    """A row of ``models``; the fields are its columns (:data:`dflib.tables.schemas.MODELS`)."""

    model_id: str
    network: str
    uri: str
    sha256: str
    imported_sha256: str | None
    variables_sha256: str | None
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
    """Checks that ``model_id`` can be the name of a model.

    Args:
        model_id: the name.
        key: configuration key that holds it, for messages.

    Raises:
        ConfigError: it is reserved, or contains other characters than a name may have.
    """
    if model_id in (*aliases.RESERVED, aliases.CHAMPION):
        raise ConfigError(
            f"{key}={model_id}: this name is reserved, since score.model gives it a meaning; choose another"
        )
    if not _NAME.fullmatch(model_id):
        raise ConfigError(
            f"{key}={model_id!r}: a model's name has 1 to 128 letters, digits, dots, dashes and underscores, and "
            "begins with a letter or digit"
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
    imported_sha256: str | None = None,
    extractor: str | None = None,
    training_set: str | None = None,
    settings: Mapping[str, Any] | None = None,
    metrics: Mapping[str, float] | None = None,
) -> bool:
    """Registers a model under a permanent name: uploads its SavedModel and adds its row.

    Registering the same model again changes nothing. It is the same when variables, network, view, positive class,
    origin and settings are equal. Files are not compared, because TensorFlow writes different ones at each export.

    Args:
        tables: holds ``models``.
        storage: writes the files.
        models_root: URI; the SavedModel is stored as ``<models_root>/<model_id>-<hash>``.
        folder: local SavedModel of :func:`dflib.models.saved_model.save`.
        model_id, network, view, positive, origin, imported_sha256, extractor, training_set, metrics: columns of
            ``models``.
        settings: everything that determined the result, as plain values; stored as JSON.

    Returns:
        Whether the model is new.

    Raises:
        ConfigError: the name is not allowed.
        ModelError: the name belongs to another model, or the SavedModel can't score its view.
    """
    from dflib.runtime.tensorflow_setup import flavour

    check_name(model_id, "model_id")
    if model_id in aliases.current(tables):
        raise ModelError(f"{model_id}: this is an alias and can't be the name of a model; choose another")
    sha256 = model_files.folder_sha256(folder)
    # The hash separates models of one name whose tables share models_root.
    uri = uris.join(models_root, f"{model_id}-{sha256[:12]}")
    row = {
        "model_id": model_id,
        "network": network,
        "uri": uri,
        "sha256": sha256,
        "imported_sha256": imported_sha256,
        "variables_sha256": variables_sha256(folder),
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
        # Not from the row, which older versions wrote without it; and so a damaged model is noticed.
        with model_files.verified_copy(storage, present["uri"], present["sha256"]) as registered:
            if variables_sha256(registered) != row["variables_sha256"]:
                different.append("weights")
        if different:
            raise ModelError(
                f"{model_id}: a model of this name exists already and differs in {', '.join(different)}; "
                "names are permanent: choose another"
            )
        return False
    _check_score(folder, view)
    # Leftovers of a killed upload.
    storage.delete_folder(uri)
    storage.upload_folder(folder, uri)
    tables.insert_new(MODELS, MODELS.frame(tables.spark, [row]))
    return True


def find(tables: Tables, model: str) -> Model:
    """The row of a model.

    Args:
        model: its model_id, or an alias.

    Raises:
        ModelError: there is no such model; the message lists models and aliases.
    """
    rows = newest_first(tables)
    named = aliases.current(tables)
    model_id = named[model].model_id if model in named else model
    row = next((row for row in rows if row["model_id"] == model_id), None)
    if row is None:
        raise ModelError(f"{tables.uri(MODELS)}: there is no model {_missing(model, rows, named)}")
    values = row.asDict()
    try:
        view = View.model_validate_json(values.pop("view"))
    except ValidationError as error:
        raise ModelError(
            f"{tables.uri(MODELS)}: {row['model_id']}: invalid view: {error}; import or train it again"
        ) from None
    return Model(view=view, **values)


def find_all(tables: Tables, wanted: str) -> list[Model]:
    """The models that ``score.model`` names: one, or all that have an alias (``aliased``), the champion first.

    Raises:
        ModelError: there is no such model.
    """
    if wanted != aliases.ALIASED:
        return [find(tables, wanted)]
    named = aliases.current(tables)
    in_order = sorted(named, key=lambda alias: (alias != aliases.CHAMPION, alias))
    model_ids = list(dict.fromkeys(named[alias].model_id for alias in in_order))
    if not model_ids:
        return [find(tables, aliases.CHAMPION)]  # raises, with the fix
    return [find(tables, model_id) for model_id in model_ids]


def _missing(model: str, rows: list[Row], named: Mapping[str, aliases.Alias]) -> str:
    if not rows:
        return "yet; run train or import_model first"
    known = ", ".join(row["model_id"] for row in rows[:20])
    text = f"{model!r}; the models are {known} (newest first)"
    if named:
        return f"{text}, the aliases {', '.join(f'{alias.alias} ({alias.model_id})' for alias in named.values())}"
    return f"{text}; no alias is set, run promote MODEL --as {aliases.CHAMPION}"


def newest_first(tables: Tables) -> list[Row]:
    """All rows of ``models``, the newest first."""
    return tables.read(MODELS).orderBy(F.desc("created_at"), F.desc("model_id")).collect()


def is_control(row: Row) -> bool:
    """Whether the model is a control: trained on shuffled labels, or on images without the face."""
    settings = json.loads(row["settings"] or "{}").get("decided_by", {}).get("train", {})
    return bool(settings.get("shuffle_labels") or json.loads(row["view"]).get("blank_face"))


def open_model(storage: Storage, uri: str, sha256: str, threads: int | None = None) -> tuple[saved_model.Scorer, bool]:
    """The scorer of a model, and whether this call loaded it. The process keeps it for later tasks.

    Raises:
        ModelError: its files do not have this hash, or :func:`dflib.models.saved_model.load` refuses them.
        StorageError: they are missing or can't be read.
    """
    key = (uri, sha256)
    if key in _loaded:
        return _loaded[key], False
    # One model at a time, or reused workers would accumulate them.
    _loaded.clear()
    with model_files.verified_copy(storage, uri, sha256) as folder:
        _loaded[key] = saved_model.load(folder, threads, uri)
    return _loaded[key], True


def variables_sha256(folder: Path) -> str:
    """SHA-256 in hex over the variables of a SavedModel: their paths in the network, shapes and values.

    It identifies a model: unlike the files, it is the same each time the same weights are exported.
    """
    from dflib.runtime.tensorflow_setup import tensorflow

    checkpoint = tensorflow().train.load_checkpoint(str(folder / "variables" / "variables"))
    total = hashlib.sha256()
    for name, shape in sorted(checkpoint.get_variable_to_shape_map().items()):
        # Everything else is TensorFlow's object graph, whose names depend on what the process built before.
        if name.endswith("/.ATTRIBUTES/VARIABLE_VALUE"):
            total.update(f"{name}\0{shape}\0".encode())
            total.update(checkpoint.get_tensor(name).tobytes())
    return total.hexdigest()


def _check_score(folder: Path, view: View) -> None:
    """Raises :class:`ModelError` unless the SavedModel returns a probability for a grey image of the view's size."""
    import numpy as np

    p_fake = saved_model.load(folder)(np.full((1, view.size, view.size, 3), 127, np.uint8))
    if p_fake.shape != (1,) or not 0 <= p_fake[0] <= 1:
        raise ModelError(
            f"{folder}: the score of a grey image is {p_fake}, which is no probability; train or import the model again"
        )
