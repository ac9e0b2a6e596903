"""Weights from Keras HDF5 files, read as numbers only.

A foreign file is never unpickled or executed: its arrays are put into a network that dflib has built, layer
after layer, each checked for its shape.
"""

import io
from typing import Any

import numpy as np
import numpy.typing as npt

from dflib.errors import ModelError

_MEND = "give the HDF5 weights of exactly this network, or set the network to that of the file"


def load(network: Any, content: bytes, name: str) -> None:
    """Puts the arrays of an HDF5 weights file into a network.

    The file's layers that have weights are matched with the network's in order, as Keras numbers names by
    chance.  Files made by ``save_weights`` and whole models (their ``model_weights``) are read.  Links to
    other files, virtual and external data sets are refused.

    Args:
        network: a ``tf_keras.Model``.
        content: the file.
        name: its URI or path, for messages.

    Raises:
        ModelError: the file is not HDF5 or damaged, or its layers are not those of the network; the network
            is then left as it was.
    """
    import h5py

    layers = [layer for layer in network.layers if layer.weights]
    try:
        with h5py.File(io.BytesIO(content), "r") as file:
            root = _group(file, "model_weights") if "model_weights" in file else file
            if "layer_names" not in root.attrs:
                raise ModelError(f"{name}: HDF5, but not Keras weights (it has no layer_names); {_MEND}")
            groups = [(layer, _group(root, layer)) for layer in _texts(root.attrs["layer_names"])]
            filled = [(layer, group, _texts(group.attrs["weight_names"])) for layer, group in groups]
            filled = [entry for entry in filled if entry[2]]
            if len(filled) != len(layers):
                raise ModelError(
                    f"{name}: holds {len(filled)} layers with weights, {network.name} has {len(layers)}; {_MEND}"
                )
            values = [_arrays(name, layer, entry, network.name) for layer, entry in zip(layers, filled, strict=True)]
    except (OSError, KeyError, RuntimeError, ValueError, TypeError) as error:
        # What h5py raises on files that are no HDF5, cut short or inconsistent.
        raise ModelError(
            f"{name}: not a readable HDF5 weights file ({type(error).__name__}: {error}); {_MEND}"
        ) from None
    for layer, arrays in zip(layers, values, strict=True):
        layer.set_weights(arrays)


def _arrays(name: str, layer: Any, entry: tuple[str, Any, list[str]], network: str) -> list[npt.NDArray[np.float32]]:
    stored_name, group, weight_names = entry
    wanted = [tuple(weight.shape) for weight in layer.weights]
    data_sets = [_data_set(group, weight) for weight in weight_names]
    stored = [data_set.shape for data_set in data_sets]
    # Shapes before contents: a small file can declare an array that fills the memory.
    if stored != wanted:
        raise ModelError(
            f"{name}: layer {stored_name} has the shapes {stored}, {layer.name} of {network} has {wanted}; {_MEND}"
        )
    arrays = []
    for weight, data_set in zip(weight_names, data_sets, strict=True):
        if data_set.dtype.kind not in "fiu":
            raise ModelError(f"{name}: {weight} holds {data_set.dtype}, not numbers; {_MEND}")
        values = np.asarray(data_set[()])
        if not np.isfinite(values).all():
            raise ModelError(f"{name}: {weight} holds values that are not finite; get the file anew")
        arrays.append(values)
    return arrays


def _group(parent: Any, path: str) -> Any:
    import h5py

    found = _walk(parent, path)
    if not isinstance(found, h5py.Group):
        raise ValueError(f"{path} is not a group")
    return found


def _data_set(parent: Any, path: str) -> Any:
    import h5py

    found = _walk(parent, path)
    if not isinstance(found, h5py.Dataset) or found.is_virtual or found.external:
        raise ValueError(f"{path} is not an array of this file")
    return found


def _walk(parent: Any, path: str) -> Any:
    """The object below ``parent``, through hard links only: others may lead out of the file."""
    import h5py

    for part in path.split("/"):
        link = parent.get(part, getlink=True) if isinstance(parent, h5py.Group) else None
        if not isinstance(link, h5py.HardLink):
            raise ValueError(f"{path} is not there, or leads out of the file")
        parent = parent[part]
    return parent


def _texts(values: Any) -> list[str]:
    return [value.decode() if isinstance(value, bytes) else str(value) for value in np.atleast_1d(values)]
