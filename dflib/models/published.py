"""Published weights become a model of the registry."""

import hashlib
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from dflib.config import WeightsConfig
from dflib.errors import ConfigError, ModelError
from dflib.models import networks, registry, saved, weights
from dflib.storage import Storage
from dflib.tables.store import Tables

LARGEST = 1 << 30
"""Bytes; the largest networks here hold under a tenth of this."""


@dataclass(frozen=True)
class Imported:
    """What an import did: the model's name, parameters in it, and whether it is new."""

    model_id: str
    parameters: int
    new: bool


def check(source: WeightsConfig) -> tuple[str, str, Literal["real", "fake"]]:
    """Path, name and positive class of the weights.

    Raises:
        ConfigError: one of them is not set, or the name is not allowed.
    """
    if source.path is None or source.name is None:
        raise ConfigError("set weights.path to an HDF5 weights file and weights.name to the name of the model")
    registry.check_name(source.name, "weights.name")
    if source.positive is None:
        raise ConfigError("set weights.positive to the class that the weights call 1: real or fake")
    return source.path, source.name, source.positive


def import_weights(
    tables: Tables, storage: Storage, models_root: str, source: WeightsConfig, dry_run: bool
) -> Imported:
    """Reads a weights file into its network and registers it, turned round to p_fake inside the graph.

    Args:
        tables: where ``models`` is.
        storage: reads the weights, writes the model.
        models_root: models lie below it.
        source: which file, network, name, direction and view.
        dry_run: the file is read and checked, nothing is written.

    Raises:
        ConfigError: ``path`` or ``name`` is not set, or the name is not allowed.
        ModelError: the file is not the weights of this network, or the name belongs to another model.
        StorageError: the file can't be read.
    """
    path, name, positive = check(source)
    size = storage.stat(path).size
    if size > LARGEST:
        raise ModelError(f"{path}: {size} bytes are no weights of {source.network}; give an HDF5 weights file")
    content = storage.read(path)
    network = networks.build(source.network, source.view.size)
    weights.load(network, content, path)
    new = False
    if not dry_run:
        with tempfile.TemporaryDirectory(prefix="dflib-import-") as scratch:
            folder = Path(scratch) / "model"
            saved.save(network, folder, source.view.size, positive)
            new = registry.register(
                tables,
                storage,
                models_root,
                folder,
                model_id=name,
                network=source.network,
                view=source.view,
                positive=positive,
                origin=path,
                settings={"weights_sha256": hashlib.sha256(content).hexdigest()},
            )
    return Imported(name, int(network.count_params()), new)
