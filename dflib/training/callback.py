"""The Keras callback that records epochs and steps, saves checkpoints, and stops the training."""

import math
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from dflib.config import TrainConfig
from dflib.errors import TrainingError
from dflib.training.checkpoints import Checkpoints
from dflib.training.spec import Epoch
from dflib.training.state import TrainingState

STEP_SECONDS = 5.0
"""Minimum time between messages about steps."""


def training_callback(
    train: TrainConfig,
    state: TrainingState,
    steps_per_epoch: int,
    checkpoints: Checkpoints,
    unreadable: Callable[[], dict[str, int]],
    send: Callable[[dict[str, Any]], None],
) -> Any:
    """A new ``tf_keras.callbacks.Callback`` for one call of ``fit``, which may begin within an epoch.

    Args:
        train: ``checkpoint_steps``, ``monitor``, ``epochs`` and ``patience``.
        state: updated after each epoch, and with each checkpoint.
        steps_per_epoch: steps of a whole epoch.
        checkpoints: save the state.
        unreadable: returns the images left out of a pass so far, by split.
        send: called with the figures of each epoch, and now and then with the current step.
    """
    import tf_keras

    class TrainingCallback(tf_keras.callbacks.Callback):  # type: ignore[misc]
        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            self.first_step, self.earlier_seconds, self.earlier_sums = state.step, state.seconds, state.sums
            self.started = self.last_sent = time.monotonic()

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            if self.earlier_sums:
                # fit resets the metrics, and creates their variables in its first step: so not in on_epoch_begin.
                for variable, earlier in zip(self.metric_variables(), self.earlier_sums, strict=True):
                    variable.assign(variable.read_value() + earlier)
                self.earlier_sums = []
            step = self.first_step + batch + 1
            if train.checkpoint_steps and step % train.checkpoint_steps == 0 and step < steps_per_epoch:
                state.step, state.seconds = step, self.epoch_seconds()
                state.sums = [float(variable.read_value()) for variable in self.metric_variables()]
                self.save()
            if time.monotonic() - self.last_sent >= STEP_SECONDS:
                self.last_sent = time.monotonic()
                send({"epoch": len(state.history) + 1, "step": step})

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            figures = {name: float(logs[name]) for name in ("loss", "accuracy", "val_loss", "val_accuracy")}
            if not all(map(math.isfinite, figures.values())):
                raise TrainingError(
                    f"epoch {epoch + 1}: {figures}: not all of them are finite; lower train.learning_rate"
                )
            row = Epoch(epoch=epoch + 1, seconds=round(self.epoch_seconds(), 3), **figures)
            if state.add(row, train.monitor):
                checkpoints.save_best_weights()
            self.save()
            # Keras keeps the iterator of validation for all epochs, and reports no validation figures from the epoch
            # on in which it had fewer than validation_steps batches, which one unreadable image can cause.
            self.model._eval_data_handler = None
            send(asdict(row))
            self.model.stop_training = state.finished(train)

        def metric_variables(self) -> list[Any]:
            return [variable for metric in self.model.metrics for variable in metric.variables]

        def epoch_seconds(self) -> float:
            """Duration of the current epoch, including its steps before a restart."""
            return self.earlier_seconds + time.monotonic() - self.started

        def save(self) -> None:
            for split, count in unreadable().items():
                state.unreadable[split] = max(count, state.unreadable.get(split, 0))
            checkpoints.save()

    return TrainingCallback()
