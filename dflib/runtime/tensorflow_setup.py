"""Imports TensorFlow in one place, with Keras 2 (tf-keras) as ``tf.keras``."""

import os
import sys
from typing import Any

from dflib.errors import ModelError


def tensorflow(threads: int | None = None) -> Any:
    """Imports TensorFlow and returns it; call it inside functions, never at the top of a module.

    Keras 3 cannot train on several workers, so ``tf.keras`` must be tf-keras, which the environment decides at the
    first import. GPU memory is allocated as needed, since workers share a GPU.

    Args:
        threads: limit for the threads of one operation, and for concurrent operations; None: TensorFlow's default (all
            cores). Effective only before the first operation of this process.

    Raises:
        ModelError: the environment selects Keras 3 as ``tf.keras``.
    """
    setting = os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
    if setting.lower() not in ("1", "true"):
        raise ModelError(
            f"TF_USE_LEGACY_KERAS is {setting!r} in this process's environment; models need tf-keras: "
            "set it to 1 or leave it unset"
        )
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    first = "tensorflow" not in sys.modules
    import tensorflow as tf
    import tf_keras

    if tf.keras.Model is not tf_keras.Model:
        raise ModelError(
            "tensorflow was imported in this process before TF_USE_LEGACY_KERAS was set, so tf.keras is Keras 3; "
            "set TF_USE_LEGACY_KERAS=1 in the environment (the dflib command does)"
        )
    if first:
        for gpu in tf.config.list_physical_devices("GPU"):
            tf.config.experimental.set_memory_growth(gpu, True)
        if threads is not None:
            tf.config.threading.set_intra_op_parallelism_threads(threads)
            tf.config.threading.set_inter_op_parallelism_threads(threads)
    return tf


def flavour() -> str:
    """Framework and versions, for the model's row."""
    tf = tensorflow()
    import tf_keras

    return f"tf-keras {tf_keras.__version__}, tensorflow {tf.__version__}"
