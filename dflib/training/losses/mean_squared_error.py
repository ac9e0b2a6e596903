"""Mean squared error of the probability, (y - p)²: the Brier score.

The published code of MesoNet trains with it (Afchar, Nozick, Yamagishi and Echizen, "MesoNet: a Compact Facial Video
Forgery Detection Network", 2018).
"""

from typing import Any

from dflib.training.losses import Loss


def _build() -> Any:
    from dflib.runtime.tensorflow_setup import tensorflow

    return tensorflow().keras.losses.MeanSquaredError()


PART = Loss(_build)
