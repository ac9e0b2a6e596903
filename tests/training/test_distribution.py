"""How batches are divided among devices."""

from types import SimpleNamespace

import pytest

from dflib.errors import TrainingError
from dflib.training.distribution import Distribution


def distribution(replicas: int, workers: int, batch_size: int, accumulate: int) -> Distribution:
    """Devices are counted only: a process can't have three of them without restarting TensorFlow."""
    strategy = SimpleNamespace(num_replicas_in_sync=replicas)
    return Distribution(strategy, ["CPU"] * (replicas // workers), workers, batch_size, accumulate)


@pytest.mark.parametrize(
    ("replicas", "workers", "batch_size", "accumulate", "multiple"),
    [(3, 1, 8, 4, 12), (1, 1, 8, 3, 3), (2, 2, 9, 1, 2), (4, 2, 20, 2, 8)],
)
def test_check_rejects_a_batch_that_devices_cannot_share(
    replicas: int, workers: int, batch_size: int, accumulate: int, multiple: int
) -> None:
    with pytest.raises(TrainingError, match=f"make it a multiple of {multiple}$"):
        distribution(replicas, workers, batch_size, accumulate).check()
    fitting = distribution(replicas, workers, multiple, accumulate)
    fitting.check()
    assert fitting.dataset_batch_size * replicas == multiple


def test_keras_splits_whole_batches_of_one_process() -> None:
    odd = distribution(3, 1, 8, 1)
    odd.check()
    assert odd.split_by_keras and odd.dataset_batch_size == 8
