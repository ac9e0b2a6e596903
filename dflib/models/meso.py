"""MesoNet: Afchar, Nozick, Yamagishi and Echizen, "MesoNet: a Compact Facial Video Forgery Detection Network", 2018."""

from typing import Any

SMALLEST = 16
"""Pixels; four poolings divide the side by 32 in all, rounding up."""


def meso4(size: int, shared: bool = False) -> Any:
    """Meso4: four convolutions and two dense layers; at 256 pixels 27,977 trainable of 28,073 parameters.

    Input RGB 0 to 255 ``[B, size, size, 3]``, scaled to [0, 1] by the first layer; output sigmoid ``[B, 1]``.

    Args:
        size: side of the input in pixels.
        shared: whether several GPUs or workers share a batch in training, over all of which it is then normalised.
    """
    from dflib.runtime.tensorflow_setup import tensorflow

    layers = tensorflow().keras.layers
    faces = layers.Input((size, size, 3), name="faces")
    x = layers.Rescaling(1 / 255)(faces)
    for filters, kernel, pool in ((8, 3, 2), (8, 5, 2), (16, 5, 2), (16, 5, 4)):
        x = layers.Conv2D(filters, kernel, padding="same", activation="relu")(x)
        x = layers.BatchNormalization(synchronized=shared)(x)
        x = layers.MaxPooling2D(pool, padding="same")(x)
    x = layers.Dropout(0.5)(layers.Flatten()(x))
    x = layers.LeakyReLU(0.1)(layers.Dense(16)(x))
    # Whatever the layers before it compute in.
    x = layers.Dense(1, activation="sigmoid", dtype="float32")(layers.Dropout(0.5)(x))
    return tensorflow().keras.Model(faces, x, name="meso4")
