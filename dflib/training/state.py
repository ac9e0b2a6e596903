"""How far a training has come: the file ``state.json`` of its work folder."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from dflib.config import TrainConfig
from dflib.errors import TrainingError
from dflib.training.spec import Epoch

STATE_FILE = "state.json"
"""Name of the state in the work folder."""


@dataclass
class TrainingState:
    """Progress of a training; written with every checkpoint, and always as a whole.

    Attributes:
        history: completed epochs.
        step: completed steps of the current epoch.
        seconds: duration of these steps.
        sums: values of the variables behind Keras' metrics after these steps.
        best: number of the best epoch; 0 before the first.
        unreadable: images left out of a pass, by split.
    """

    history: list[Epoch] = field(default_factory=list)
    step: int = 0
    seconds: float = 0.0
    sums: list[float] = field(default_factory=list)
    best: int = 0
    unreadable: dict[str, int] = field(default_factory=dict)

    @classmethod
    def parse(cls, content: bytes) -> "TrainingState":
        """The state that :meth:`write` wrote.

        Raises:
            ValueError: the content is something else, or from a version that saved whole epochs only.
        """
        found = json.loads(content)
        if not isinstance(found, dict) or "step" not in found:
            raise ValueError("it has no key step")
        try:
            return cls(**{**found, "history": [Epoch(**epoch) for epoch in found["history"]]})
        except (TypeError, KeyError) as error:
            raise ValueError(str(error)) from None

    @classmethod
    def read(cls, folder: Path) -> "TrainingState":
        """The state in a work folder; a new one if there is none.

        Raises:
            TrainingError: the file cannot be used.
        """
        path = folder / STATE_FILE
        try:
            return cls.parse(path.read_bytes()) if path.is_file() else cls()
        except ValueError as error:
            raise TrainingError(f"{path}: cannot resume from this file ({error}); delete the work folder") from None

    def write(self, folder: Path) -> None:
        """Replaces the file atomically; a checkpoint counts from this moment on."""
        temporary = folder / f".{STATE_FILE}"
        temporary.write_text(json.dumps(asdict(self)))
        temporary.replace(folder / STATE_FILE)

    @property
    def checkpoint(self) -> str:
        """Name of the checkpoint that belongs to this state."""
        return f"checkpoint-{len(self.history)}-{self.step}"

    def add(self, epoch: Epoch, monitor: str) -> bool:
        """Adds a completed epoch.

        Args:
            epoch: its figures.
            monitor: the figure that decides which epoch is best, ``val_loss`` or ``val_accuracy``.

        Returns:
            Whether it is the best epoch so far.
        """
        self.history.append(epoch)
        self.step, self.seconds, self.sums = 0, 0.0, []
        sign = 1 if monitor == "val_accuracy" else -1
        value = sign * getattr(epoch, monitor)
        if self.best == 0 or value > sign * getattr(self.history[self.best - 1], monitor):
            self.best = epoch.epoch
            return True
        return False

    def finished(self, train: TrainConfig) -> bool:
        """Whether all epochs are done, or the last ``train.patience`` of them brought no improvement."""
        done = len(self.history)
        return done >= train.epochs or (done > 0 and done - self.best >= train.patience)
