"""HDF5 weights files of Keras 2.

Only arrays are read from a file, in a process of its own. They are put into a network that dflib has built, layer by
layer, after a check of their shapes; nothing in the file is unpickled or executed.
"""

from typing import Any

from dflib.models import networks
from dflib.models.importers import ModelFormat, hdf5_arrays


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
        ModelError: the file is not HDF5 or damaged, or its layers differ from those of the network; see
            :func:`dflib.models.importers.hdf5_arrays.read`. The network is then unchanged.
    """
    layers = [layer for layer in network.layers if layer.weights]
    wanted = [
        (layer.name, [(tuple(weight.shape), weight.dtype.base_dtype.name) for weight in layer.weights])
        for layer in layers
    ]
    values = hdf5_arrays.read(content, source, network.name, wanted)
    for layer, arrays in zip(layers, values, strict=True):
        layer.set_weights(arrays)


PART = ModelFormat(read, largest=hdf5_arrays.MAX_BYTES)
