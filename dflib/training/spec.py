"""What the driver and the child process that trains exchange: the child's settings, an epoch's figures, the result."""

import json
from dataclasses import asdict, dataclass, field
from typing import Any

from dflib.config import TrainConfig

RESULT_FILE = "result.json"
"""Name of the result in the work folder."""


@dataclass(frozen=True)
class FitSpec:
    """Settings of one child process; written as JSON into its work folder.

    Attributes:
        train: the section ``train`` of the configuration, as JSON.
        files: URIs of each split's Parquet files, with the number of rows of each.
        folder: local work folder, for checkpoints and results.
        remote: URI to which the work folder is copied; None if it needs no copy.
        storage: state of the :class:`~dflib.storage.Storage` to use.
        backbone: local HDF5 file of backbone weights; None: random initialisation.
        devices: TensorFlow devices to train on; empty: all GPUs of the machine, or its CPU if it has none.
        gpu_required: whether to fail if no GPU is visible.
        worker: index of this process among the workers, from 0.
        workers: number of processes that train together.
    """

    train: dict[str, Any]
    files: dict[str, dict[str, int]]
    folder: str
    remote: str | None
    storage: dict[str, Any]
    backbone: str | None = None
    devices: list[str] = field(default_factory=list)
    gpu_required: bool = False
    worker: int = 0
    workers: int = 1

    def settings(self) -> TrainConfig:
        """The section ``train``, validated."""
        return TrainConfig.model_validate(self.train)

    @property
    def steps_per_epoch(self) -> int:
        """Steps of ``train.batch_size`` faces; the last step of an epoch may reach into the next pass over the set."""
        return -(-sum(self.files["train"].values()) // self.settings().batch_size)


@dataclass(frozen=True)
class Epoch:
    """Figures of one epoch; ``epoch`` counts from 1, accuracies are shares of faces, without class weights."""

    epoch: int
    loss: float
    accuracy: float
    val_loss: float
    val_accuracy: float
    seconds: float


@dataclass(frozen=True)
class FitResult:
    """Result of a finished training.

    Attributes:
        history: all epochs, including those before a restart.
        best: number of the epoch whose weights were kept.
        parameters: number of parameters of the network.
        unreadable: images by split that could not be decoded or cut, and were left out.
        devices: TensorFlow devices that were used.
        retries: storage requests that were retried by the processes that trained; those of lost attempts are unknown.
    """

    history: tuple[Epoch, ...]
    best: int
    parameters: int
    unreadable: dict[str, int]
    devices: tuple[str, ...]
    retries: int = 0

    @classmethod
    def parse(cls, content: bytes) -> "FitResult":
        """The result that :meth:`to_json` wrote."""
        found = json.loads(content)
        history = tuple(Epoch(**epoch) for epoch in found.pop("history"))
        return cls(**{**found, "history": history, "devices": tuple(found["devices"])})

    def to_json(self) -> str:
        """The content of :data:`RESULT_FILE`."""
        return json.dumps(asdict(self))

    @property
    def best_epoch(self) -> Epoch:
        """Figures of the epoch whose weights were kept."""
        return self.history[self.best - 1]

    @property
    def seconds(self) -> float:
        """Total duration of all epochs."""
        return sum(epoch.seconds for epoch in self.history)
