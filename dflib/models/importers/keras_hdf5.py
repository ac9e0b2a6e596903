"""HDF5 weights files of Keras 2.

Only arrays are read from a file. They are put into a network that dflib has built, layer by layer, after a check of
their shapes; nothing in the file is unpickled or executed.
"""

import io
from typing import Any

import numpy as np
import numpy.typing as npt

from dflib.errors import ModelError
from dflib.models import networks
from dflib.models.importers import ModelFormat

_FIX = "use HDF5 weights of exactly this network, or set the network to that of the file"


def read(content: bytes, source: str, network: str, size: int) -> Any:
    """A new network with the weights of a file; see :attr:`dflib.models.importers.ModelFormat.read`."""
    model = networks.build(network, size)
    load_weights(model, content, source)
    return model


def load_weights(network: Any, content: bytes, source: str) -> None:
    """Puts the arrays of an HDF5 weights file into a network.

    The layers of the file that have weights are matched with those of the network by order, because Keras numbers
    layer names per process. Accepts files of ``save_weights`` and whole models (their ``model_weights``). Refuses links
    to other files, and virtual and external data sets.

    Args:
        network: a ``tf_keras.Model``.
        content: the file.
        source: URI or path of the file, for messages.

    Raises:
        ModelError: the file is not HDF5 or damaged, or its layers differ from those of the network. The network is
            then unchanged.
    """
    import h5py

    layers = [layer for layer in network.layers if layer.weights]
    try:
        with h5py.File(io.BytesIO(content), "r") as file:
            root = _group(file, "model_weights") if "model_weights" in file else file
            if "layer_names" not in root.attrs:
                raise ModelError(f"{source}: HDF5, but not Keras weights (it has no layer_names); {_FIX}")
            groups = [(layer, _group(root, layer)) for layer in _texts(root.attrs["layer_names"])]
            filled = [(layer, group, _texts(group.attrs["weight_names"])) for layer, group in groups]
            filled = [entry for entry in filled if entry[2]]
            if len(filled) != len(layers):
                raise ModelError(
                    f"{source}: holds {len(filled)} layers with weights, {network.name} has {len(layers)}; {_FIX}"
                )
            values = [_arrays(source, layer, entry, network.name) for layer, entry in zip(layers, filled, strict=True)]
    except (OSError, KeyError, RuntimeError, ValueError, TypeError) as error:
        # h5py raises any of these on files that are not HDF5, truncated or inconsistent.
        raise ModelError(
            f"{source}: not a readable HDF5 weights file ({type(error).__name__}: {error}); {_FIX}"
        ) from None
    for layer, arrays in zip(layers, values, strict=True):
        layer.set_weights(arrays)


def _arrays(source: str, layer: Any, entry: tuple[str, Any, list[str]], network: str) -> list[npt.NDArray[np.float32]]:
    stored_name, group, weight_names = entry
    wanted = [tuple(weight.shape) for weight in layer.weights]
    data_sets = [_data_set(group, weight) for weight in weight_names]
    stored = [data_set.shape for data_set in data_sets]
    # Shapes are checked before contents are read: a small file can declare an array larger than memory.
    if stored != wanted:
        raise ModelError(
            f"{source}: layer {stored_name} has the shapes {stored}, {layer.name} of {network} has {wanted}; {_FIX}"
        )
    arrays = []
    for weight, data_set in zip(weight_names, data_sets, strict=True):
        if data_set.dtype.kind not in "fiu":
            raise ModelError(f"{source}: {weight} holds {data_set.dtype}, not numbers; {_FIX}")
        values = np.asarray(data_set[()])
        if not np.isfinite(values).all():
            raise ModelError(f"{source}: {weight} holds values that are not finite; download the file again")
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
    """The object at ``path`` below ``parent``. Follows hard links only, since other links may leave the file."""
    import h5py

    for part in path.split("/"):
        link = parent.get(part, getlink=True) if isinstance(parent, h5py.Group) else None
        if not isinstance(link, h5py.HardLink):
            raise ValueError(f"{path} does not exist or points outside the file")
        parent = parent[part]
    return parent


def _texts(values: Any) -> list[str]:
    return [value.decode() if isinstance(value, bytes) else str(value) for value in np.atleast_1d(values)]


# The largest networks of the catalog have under a tenth of this.
PART = ModelFormat(read, largest=1 << 30)
