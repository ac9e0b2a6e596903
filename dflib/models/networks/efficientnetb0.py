"""EfficientNetB0 with the head of S3 and S4: global max pooling, dense 512, dropout .2, dense 128, sigmoid.

Tan and Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", 2019.
"""

from pathlib import Path
from typing import Any

from dflib.models.networks import Network

# The published weights were trained with inputs divided by the square root of the deviation once more; Keras
# Applications adds that as a layer, but only when it downloads the weights itself.
_IMAGENET_DEVIATION = (0.229, 0.224, 0.225)


def construct(size: int, backbone_file: Path | None, synchronized: bool) -> Any:
    """EfficientNetB0; see :attr:`dflib.models.networks.Network.construct`.

    S3 uses a dropout of .5. This is S4's .2, with which the published results were made.

    Raises:
        ModelError: the file does not hold the weights of the backbone.
    """
    from dflib.models.importers import keras_hdf5
    from dflib.runtime.tensorflow_setup import tensorflow

    keras = tensorflow().keras
    backbone = keras.applications.EfficientNetB0(
        include_top=False, weights=None, input_shape=(size, size, 3), pooling="max"
    )
    if backbone_file is not None:
        keras_hdf5.load_weights(backbone, backbone_file.read_bytes(), str(backbone_file))
        normalization = next(layer for layer in backbone.layers if isinstance(layer, keras.layers.Normalization))
        mean, variance, count = normalization.get_weights()
        normalization.set_weights([mean, variance * _IMAGENET_DEVIATION, count])
    x = keras.layers.Dense(512, activation="relu")(backbone.output)
    x = keras.layers.Dropout(0.2)(x)
    x = keras.layers.Dense(128, activation="relu")(x)
    # float32 also under mixed precision.
    x = keras.layers.Dense(1, activation="sigmoid", dtype="float32")(x)
    return keras.Model(backbone.input, x, name="efficientnetb0")


PART = Network(
    construct,
    # The backbone halves the side five times.
    smallest_size=32,
    published_size=128,
    backbone="ImageNet weights of Keras Applications without top, efficientnetb0_notop.h5",
)
