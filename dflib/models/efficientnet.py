"""EfficientNet: Tan and Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", 2019."""

from pathlib import Path
from typing import Any

SMALLEST = 32
"""Pixels; the backbone halves the side five times."""

# The published weights were trained with inputs divided by another square root of the deviation; Keras
# Applications adds that as a layer for its own download of the weights only.
_IMAGENET_DEVIATION = (0.229, 0.224, 0.225)


def efficientnetb0(size: int, backbone_file: Path | None) -> Any:
    """EfficientNetB0 with the head of S3 and S4: global max pool, dense 512, drop .2, dense 128, sigmoid.

    S3 drops .5; S4's .2 is taken, whose results are the published ones.

    Input RGB 0 to 255 ``[B, size, size, 3]``, normalised inside; output sigmoid ``[B, 1]``.

    Args:
        size: side of the input in pixels; S3 and S4 use 128.
        backbone_file: Keras Applications' ImageNet weights without top (``efficientnetb0_notop.h5``);
            None starts from random weights.

    Raises:
        ModelError: the file is not such weights.
    """
    from dflib.models import weights
    from dflib.runtime.tensorflow_setup import tensorflow

    keras = tensorflow().keras
    backbone = keras.applications.EfficientNetB0(
        include_top=False, weights=None, input_shape=(size, size, 3), pooling="max"
    )
    if backbone_file is not None:
        weights.load(backbone, backbone_file.read_bytes(), str(backbone_file))
        normalization = next(layer for layer in backbone.layers if isinstance(layer, keras.layers.Normalization))
        mean, variance, count = normalization.get_weights()
        normalization.set_weights([mean, variance * _IMAGENET_DEVIATION, count])
    x = keras.layers.Dense(512, activation="relu")(backbone.output)
    x = keras.layers.Dropout(0.2)(x)
    x = keras.layers.Dense(128, activation="relu")(x)
    # Whatever the layers before it compute in.
    x = keras.layers.Dense(1, activation="sigmoid", dtype="float32")(x)
    return keras.Model(backbone.input, x, name="efficientnetb0")
