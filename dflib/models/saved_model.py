"""Models as SavedModels: uint8 RGB of their view in, p_fake out.

Normalisation, and the conversion of P(real) to p_fake, are part of the graph.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from dflib.errors import ModelError
from dflib.models import graph_check

Scorer = Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.float32]]
"""Takes uint8 RGB ``[B, size, size, 3]`` and returns p_fake, float32 ``[B]``, 1 = fake."""

SIGNATURE = "serving_default"


def save(network: Any, folder: Path, size: int, positive: Literal["fake", "real"]) -> None:
    """Exports a network as a SavedModel with the signature ``score(images) -> p_fake``.

    Args:
        network: a ``tf_keras.Model`` of :func:`dflib.models.networks.build`.
        folder: target folder; created if it does not exist.
        size: side of the input in pixels.
        positive: the class whose probability the network returns. For ``real`` the graph returns one minus it.

    Raises:
        ModelError: the input or output of the network has another shape.
    """
    from dflib.runtime.tensorflow_setup import tensorflow

    tf = tensorflow()
    if tuple(network.input_shape) != (None, size, size, 3) or tuple(network.output_shape) != (None, 1):
        raise ModelError(
            f"{network.name}: its input is {network.input_shape} and its output {network.output_shape}; "
            f"a model that scores this view takes {(None, size, size, 3)} and returns (None, 1)"
        )
    module = tf.Module(name="model")
    module.network = network

    @tf.function(input_signature=[tf.TensorSpec([None, size, size, 3], tf.uint8, "images")])  # type: ignore[untyped-decorator]
    def score(images: Any) -> dict[str, Any]:
        p_positive = network(tf.cast(images, tf.float32), training=False)[:, 0]
        return {"p_fake": p_positive if positive == "fake" else 1.0 - p_positive}

    module.score = score
    tf.saved_model.save(module, str(folder), signatures={SIGNATURE: score.get_concrete_function()})


def load(folder: Path, threads: int | None = None, source: str | None = None) -> Scorer:
    """Loads a SavedModel that :func:`save` wrote. A SavedModel is a program: one with other operations is refused.

    Args:
        folder: the SavedModel; nobody else may be able to change it. It is not needed after this call.
        threads: see :func:`dflib.runtime.tensorflow_setup.tensorflow`.
        source: URI of the model for messages; None: the folder.

    Raises:
        ModelError: there is no SavedModel, its signature is not that of :func:`save`, or
            :func:`dflib.models.graph_check.check` refuses it.
    """
    from dflib.runtime.tensorflow_setup import tensorflow

    tf = tensorflow(threads)
    source = source or str(folder)
    graph_check.check(folder, source)
    try:
        loaded = tf.saved_model.load(str(folder))
    except Exception as error:
        # TensorFlow's loader meets damaged graphs with KeyError, IndexError, AttributeError and many others.
        detail = f"{type(error).__name__}: {str(error)[:500]}"
        raise ModelError(f"{source}: can't load a SavedModel ({detail}); train or import the model again") from None
    signature = loaded.signatures.get(SIGNATURE)
    takes = {} if signature is None else signature.structured_input_signature[1]
    if signature is None or set(signature.structured_outputs) != {"p_fake"} or set(takes) != {"images"}:
        raise ModelError(f"{source}: this SavedModel does not return p_fake; train or import the model again")

    shape = tuple(takes["images"].shape[1:])

    def score(images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        # The signature does not check this: a flattening layer would turn one larger image into several rows.
        if images.shape[1:] != shape:
            raise ModelError(
                f"{source}: takes images of shape {shape}, got {images.shape[1:]}; use the view of the model"
            )
        # This reference keeps the loaded object alive; its variables are deleted with it.
        assert loaded is not None
        p_fake: npt.NDArray[np.float32] = signature(images=tf.constant(images, tf.uint8))["p_fake"].numpy()
        return p_fake

    return score
