"""Binary cross-entropy: -y log p - (1 - y) log(1 - p), with the natural logarithm."""

from typing import Any

from dflib.training.losses import Loss


def _build() -> Any:
    from dflib.runtime.tensorflow_setup import tensorflow

    return tensorflow().keras.losses.BinaryCrossentropy()


PART = Loss(_build)
