"""Registers a model from a weights file that was made elsewhere."""

import hashlib
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from dflib.config import WeightsConfig
from dflib.errors import ConfigError, ModelError
from dflib.models import importers, registry, saved_model
from dflib.storage import Storage
from dflib.tables.store import Tables


@dataclass(frozen=True)
class ImportResult:
    """Result of an import.

    Attributes:
        model_id: name of the model.
        parameters: number of parameters of the network.
        new: whether a row was added to ``models``; False also in a dry run.
    """

    model_id: str
    parameters: int
    new: bool


def check(settings: WeightsConfig) -> tuple[str, str, Literal["real", "fake"]]:
    """Returns path, name and positive class.

    Raises:
        ConfigError: one of them is not set, or the name is not allowed.
    """
    if settings.path is None or settings.name is None:
        raise ConfigError("set weights.path to the weights file and weights.name to the name of the model")
    registry.check_name(settings.name, "weights.name")
    if settings.positive is None:
        raise ConfigError("set weights.positive to the class whose probability the network returns: real or fake")
    return settings.path, settings.name, settings.positive


def import_model(
    tables: Tables, storage: Storage, models_root: str, settings: WeightsConfig, dry_run: bool
) -> ImportResult:
    """Loads a weights file into its network and registers it as a model that returns p_fake.

    Args:
        tables: holds ``models``.
        storage: reads the weights file, writes the model.
        models_root: URI of the folder of all models.
        settings: file, format, network, name, positive class and view.
        dry_run: reads and checks the file, writes nothing.

    Raises:
        ConfigError: a setting is missing, or the name is not allowed.
        ModelError: the file does not hold weights of this network, or the name belongs to another model.
        StorageError: the file can't be read.
    """
    path, name, positive = check(settings)
    model_format = importers.load(settings.format)
    size = storage.stat(path).size
    if size > model_format.largest:
        raise ModelError(
            f"{path}: {size:,} bytes are more than a {settings.format} file may have ({model_format.largest:,}); "
            "set weights.path to a weights file"
        )
    content = storage.read(path)
    sha256 = hashlib.sha256(content).hexdigest()
    network = model_format.read(content, path, settings.network, settings.view.size)
    new = False
    if not dry_run:
        with tempfile.TemporaryDirectory(prefix="dflib-import-") as scratch:
            folder = Path(scratch) / "model"
            saved_model.save(network, folder, settings.view.size, positive)
            new = registry.register(
                tables,
                storage,
                models_root,
                folder,
                model_id=name,
                network=settings.network,
                view=settings.view,
                positive=positive,
                origin=path,
                imported_sha256=sha256,
                settings={"weights_sha256": sha256},
            )
    return ImportResult(name, int(network.count_params()), new)
