"""A batch in parts gives the gradients of the whole."""

from typing import Any

import numpy as np
import pytest

from dflib.training.accumulate import in_parts

ROWS = 24
"""Three batches of 8."""


def weights_after(parts: int, loss: str) -> list[Any]:
    import tf_keras

    tf_keras.utils.set_random_seed(3)
    faces = tf_keras.Input((12,))
    network = tf_keras.Model(faces, tf_keras.layers.Dense(1, activation="sigmoid")(tf_keras.layers.Dense(5)(faces)))
    model = in_parts(network, parts)
    accuracy = tf_keras.metrics.BinaryAccuracy(name="accuracy")
    model.compile(tf_keras.optimizers.SGD(0.5), loss=loss, metrics=[accuracy], weighted_metrics=[])
    random = np.random.default_rng(1)
    x, y = random.normal(size=(ROWS, 12)).astype("f4"), random.integers(0, 2, (ROWS, 1)).astype("f4")
    weights = random.uniform(0.2, 3, ROWS).astype("f4")
    history = model.fit(x, y, sample_weight=weights, batch_size=8, epochs=2, shuffle=False, verbose=0).history
    return [*network.get_weights(), np.array(history["loss"]), np.array(history["accuracy"])]


@pytest.mark.parametrize("loss", ["binary_crossentropy", "mean_squared_error"])
@pytest.mark.parametrize("parts", [2, 4, 8])
def test_weights_are_those_of_whole_batches(parts: int, loss: str) -> None:
    whole = weights_after(1, loss)
    for one, other in zip(whole, weights_after(parts, loss), strict=True):
        np.testing.assert_allclose(one, other, atol=2e-6)
