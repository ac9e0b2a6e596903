"""The devices that a process trains on, and how batches are divided among them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dflib.errors import ClusterError, TrainingError
from dflib.training.spec import FitSpec


@dataclass(frozen=True)
class Distribution:
    """TensorFlow's strategy, and the sizes of batches under it.

    Attributes:
        strategy: a ``tf.distribute.Strategy``.
        devices: TensorFlow devices of this process.
        workers: number of processes that train together.
        batch_size: the global batch, over all devices of all workers.
        accumulate: micro-batches of a batch that pass through the network one after another.
    """

    strategy: Any
    devices: list[str]
    workers: int
    batch_size: int
    accumulate: int

    @classmethod
    def create(cls, spec: FitSpec) -> "Distribution":
        """All GPUs that this process sees, together with those of the other workers; or the CPU.

        Call before TensorFlow runs anything: it connects the workers, and configures devices.

        Raises:
            ClusterError: a GPU is required and none is visible.
        """
        strategy, devices = _strategy(spec)
        train = spec.settings()
        return cls(strategy, devices, spec.workers, train.batch_size, train.accumulate)

    @property
    def replicas(self) -> int:
        """Devices of all workers that share a batch."""
        return int(self.strategy.num_replicas_in_sync)

    @property
    def split_by_keras(self) -> bool:
        """Whether datasets deliver global batches, which Keras splits among the devices of this process.

        Otherwise datasets deliver the batch of one device: another worker's part is not available here, and the
        micro-batches of each device need its part to be divisible.
        """
        return self.workers == 1 and self.accumulate == 1

    @property
    def dataset_batch_size(self) -> int:
        """Rows in each batch of the datasets."""
        return self.batch_size if self.split_by_keras else self.batch_size // self.replicas

    @property
    def worker_batch_size(self) -> int:
        """Rows of a global batch that this worker processes."""
        return self.batch_size // self.workers

    def check(self) -> None:
        """Checks that a batch can be divided evenly.

        Raises:
            TrainingError: it cannot.
        """
        parts = self.replicas * self.accumulate
        if not self.split_by_keras and self.batch_size % parts:
            raise TrainingError(
                f"train.batch_size={self.batch_size} cannot be divided among {self.replicas} devices (all workers "
                f"together) with train.accumulate={self.accumulate} micro-batches each; make it a multiple of {parts}"
            )

    def distribute(self, make: Callable[[], Any]) -> Any:
        """The dataset that ``make`` returns, as ``Model.fit`` takes it under this strategy.

        Without :attr:`split_by_keras` each worker has a dataset of its own.  All must have the same number of steps:
        Keras stops all workers when one of them runs out of data.
        """
        return (
            make() if self.split_by_keras else self.strategy.distribute_datasets_from_function(lambda context: make())
        )


def _strategy(spec: FitSpec) -> tuple[Any, list[str]]:
    import tensorflow as tf

    gpus = [device.name.removeprefix("/physical_device:") for device in tf.config.list_physical_devices("GPU")]
    if spec.gpu_required and not gpus:
        raise ClusterError(
            "cluster.gpu=required, but TensorFlow sees no GPU for training; install tensorflow[and-cuda] and the "
            "driver there, or set cluster.gpu=auto to use the CPU"
        )
    if spec.workers > 1:
        # The variable TF_CONFIG holds the addresses of the workers and the index of this one.
        return tf.distribute.MultiWorkerMirroredStrategy(), gpus or ["CPU"]
    devices = spec.devices
    if not devices:
        devices = gpus
    elif all(device.startswith("CPU") for device in devices):
        # Several logical devices on one CPU, to test mirroring without GPUs.
        logical = [tf.config.LogicalDeviceConfiguration() for _ in devices]
        tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], logical)
    if devices:
        return tf.distribute.MirroredStrategy(devices), devices
    return tf.distribute.get_strategy(), ["CPU"]
