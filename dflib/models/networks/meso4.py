"""Meso4: four convolutions and two dense layers.

Afchar, Nozick, Yamagishi and Echizen, "MesoNet: a Compact Facial Video Forgery Detection Network", 2018.
"""

from pathlib import Path
from typing import Any

from dflib.models.networks import Network


def construct(size: int, backbone_file: Path | None, synchronized: bool) -> Any:
    """Meso4; see :attr:`dflib.models.networks.Network.construct`.

    With an input of 256 pixels it has 28,073 parameters, 27,977 of them trainable.
    """
    from dflib.runtime.tensorflow_setup import tensorflow

    layers = tensorflow().keras.layers
    faces = layers.Input((size, size, 3), name="faces")
    x = layers.Rescaling(1 / 255)(faces)
    for filters, kernel, pool in ((8, 3, 2), (8, 5, 2), (16, 5, 2), (16, 5, 4)):
        x = layers.Conv2D(filters, kernel, padding="same", activation="relu")(x)
        x = layers.BatchNormalization(synchronized=synchronized)(x)
        x = layers.MaxPooling2D(pool, padding="same")(x)
    x = layers.Dropout(0.5)(layers.Flatten()(x))
    x = layers.LeakyReLU(0.1)(layers.Dense(16)(x))
    # float32 also under mixed precision.
    x = layers.Dense(1, activation="sigmoid", dtype="float32")(layers.Dropout(0.5)(x))
    return tensorflow().keras.Model(faces, x, name="meso4")


# Four poolings divide the side by 32 in all, rounding up.
PART = Network(construct, smallest_size=16, published_size=256, synchronized_batch_norm=True)
