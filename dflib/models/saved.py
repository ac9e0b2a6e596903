"""Models as SavedModels: uint8 RGB of their view in, p_fake out, normalisation and direction inside the graph."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from dflib.errors import ModelError

Scorer = Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.float32]]
"""uint8 RGB ``[B, size, size, 3]`` to p_fake, float32 ``[B]``, 1 = fake."""

SIGNATURE = "serving_default"


def save(network: Any, folder: Path, size: int, positive: Literal["fake", "real"]) -> None:
    """Exports a network as a SavedModel with the signature ``score(images) -> p_fake``.

    Args:
        network: a ``tf_keras.Model`` as :func:`dflib.models.networks.build` makes them.
        folder: where; made when it is not there.
        size: side of the input in pixels.
        positive: the class that the network's output 1 means; ``real`` is turned round inside the graph.

    Raises:
        ModelError: the network's input or output has another shape.
    """
    from dflib.runtime.tensorflow_setup import tensorflow

    tf = tensorflow()
    if tuple(network.input_shape) != (None, size, size, 3) or tuple(network.output_shape) != (None, 1):
        raise ModelError(
            f"{network.name}: takes {network.input_shape} and gives {network.output_shape}; a model that can be saved "
            f"takes {(None, size, size, 3)} and gives (None, 1)"
        )
    module = tf.Module(name="model")
    module.network = network

    @tf.function(input_signature=[tf.TensorSpec([None, size, size, 3], tf.uint8, "images")])  # type: ignore[untyped-decorator]
    def score(images: Any) -> dict[str, Any]:
        p_positive = network(tf.cast(images, tf.float32), training=False)[:, 0]
        return {"p_fake": p_positive if positive == "fake" else 1.0 - p_positive}

    module.score = score
    tf.saved_model.save(module, str(folder), signatures={SIGNATURE: score.get_concrete_function()})


def load(folder: Path, threads: int | None = None) -> Scorer:
    """Loads a SavedModel that :func:`save` wrote. Only for our own: a SavedModel is a program.

    Args:
        folder: the SavedModel.
        threads: as for :func:`dflib.runtime.tensorflow_setup.tensorflow`.

    Raises:
        ModelError: there is no SavedModel, or it has not the signature of :func:`save`.
    """
    from dflib.runtime.tensorflow_setup import tensorflow

    tf = tensorflow(threads)
    try:
        loaded = tf.saved_model.load(str(folder))
    except (OSError, ValueError, tf.errors.OpError) as error:
        raise ModelError(f"{folder}: no SavedModel can be loaded ({error}); train or import the model anew") from None
    signature = loaded.signatures.get(SIGNATURE)
    takes = {} if signature is None else signature.structured_input_signature[1]
    if signature is None or set(signature.structured_outputs) != {"p_fake"} or set(takes) != {"images"}:
        raise ModelError(f"{folder}: a SavedModel, but not one that gives p_fake; train or import the model anew")

    shape = tuple(takes["images"].shape[1:])

    def score(images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        # A signature does not check this: a flattening layer would make several rows of one larger picture.
        if images.shape[1:] != shape:
            raise ModelError(f"{folder}: takes pictures of {shape}, not of {images.shape[1:]}; its view is another")
        # The name keeps the loaded object alive: its variables go when it is collected.
        assert loaded is not None
        p_fake: npt.NDArray[np.float32] = signature(images=tf.constant(images, tf.uint8))["p_fake"].numpy()
        return p_fake

    return score
