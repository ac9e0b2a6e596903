"""Gradient accumulation gives the gradients of the whole batch."""

from typing import Any

import numpy as np
import pytest

from dflib.parts import catalog
from dflib.training import losses
from dflib.training.accumulate import with_accumulation

ROWS = 24
"""Three batches of 8."""


def weights_and_history(micro_batches: int, loss: str) -> list[Any]:
    """The weights after two epochs, and the loss and accuracy of each."""
    import tf_keras

    tf_keras.utils.set_random_seed(3)
    faces = tf_keras.Input((12,))
    network = tf_keras.Model(faces, tf_keras.layers.Dense(1, activation="sigmoid")(tf_keras.layers.Dense(5)(faces)))
    model = with_accumulation(network, micro_batches)
    model.compile(
        tf_keras.optimizers.SGD(0.5),
        loss=losses.load(loss).build(),
        metrics=[tf_keras.metrics.BinaryAccuracy(name="accuracy")],
        weighted_metrics=[],
    )
    random = np.random.default_rng(1)
    x, y = random.normal(size=(ROWS, 12)).astype("f4"), random.integers(0, 2, (ROWS, 1)).astype("f4")
    weights = random.uniform(0.2, 3, ROWS).astype("f4")
    history = model.fit(x, y, sample_weight=weights, batch_size=8, epochs=2, shuffle=False, verbose=0).history
    return [*network.get_weights(), np.array(history["loss"]), np.array(history["accuracy"])]


@pytest.mark.parametrize("loss", catalog.LOSSES.names)
@pytest.mark.parametrize("micro_batches", [2, 4, 8])
def test_accumulation_trains_as_whole_batches_do(micro_batches: int, loss: str) -> None:
    whole = weights_and_history(1, loss)
    for expected, found in zip(whole, weights_and_history(micro_batches, loss), strict=True):
        np.testing.assert_allclose(expected, found, atol=2e-6)


def test_accumulation_of_one_is_the_model_itself() -> None:
    model = object()
    assert with_accumulation(model, 1) is model
