"""Fits a network on a training set, in a process of its own: ``python -m dflib.training.fit SPEC.json``.

A checkpoint is kept after every epoch and every ``train.checkpoint_steps`` steps, so that a killed training goes on at
the step that was saved last, with the batches, the dropout and the figures of the epoch that it would have had.
(Keras' ``BackupAndRestore`` keeps neither these figures nor the best weights, and with them the end by ``patience``: what it
saved and what they say would be of different steps.)  It speaks JSON lines on standard output: an epoch's figures, a
step now and then, or an error.
"""

import json
import math
import os
import shutil
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TextIO

from dflib.config import TrainConfig
from dflib.errors import ClusterError, DflibError, TrainingError
from dflib.storage import Storage
from dflib.training.accumulate import in_parts
from dflib.training.feed import Feed, Part
from dflib.training.launch import RESULT, Epoch, Mirror, Spec

EXAMPLES = 8
"""Pictures of each class kept for the training page."""

STATE = "state.json"
"""Name of the state in the work folder."""

STEP_SECONDS = 5.0
"""Time between messages about steps."""


@dataclass
class State:
    """How far a training has come; written whole with every checkpoint.

    Attributes:
        history: the epochs that are done.
        step: steps done of the epoch after these.
        seconds, sums: that they took, and what Keras has summed up for the epoch's figures.
        best: number of the best epoch; 0 before the first.
        unreadable: pictures left out of a pass, by split.
    """

    history: list[Epoch] = field(default_factory=list)
    step: int = 0
    seconds: float = 0.0
    sums: list[float] = field(default_factory=list)
    best: int = 0
    unreadable: dict[str, int] = field(default_factory=dict)

    @classmethod
    def parse(cls, content: bytes) -> "State":
        """What :meth:`write` wrote.

        Raises:
            ValueError: it is not that, or of a version that kept whole epochs only.
        """
        found = json.loads(content)
        if not isinstance(found, dict) or "step" not in found:
            raise ValueError("it does not say which step it is of")
        try:
            return cls(**{**found, "history": [Epoch(**epoch) for epoch in found["history"]]})
        except (TypeError, KeyError) as error:
            raise ValueError(str(error)) from None

    @classmethod
    def read(cls, folder: Path) -> "State":
        """The state in a work folder; the beginning when there is none.

        Raises:
            TrainingError: what is there can't be used.
        """
        path = folder / STATE
        try:
            return cls.parse(path.read_bytes()) if path.is_file() else cls()
        except ValueError as error:
            raise TrainingError(f"{path}: no training goes on from it ({error}); delete the work folder") from None

    def write(self, folder: Path) -> None:
        """Replaces the state in one move: it is what makes a checkpoint count."""
        temporary = folder / f".{STATE}"
        temporary.write_text(json.dumps(asdict(self)))
        temporary.replace(folder / STATE)

    @property
    def checkpoint(self) -> str:
        """Name of the checkpoint that belongs to it."""
        return f"checkpoint-{len(self.history)}-{self.step}"

    def add(self, epoch: Epoch, monitor: str) -> bool:
        """Adds an epoch; whether it is the best so far."""
        self.history.append(epoch)
        self.step, self.seconds, self.sums = 0, 0.0, []
        sign = 1 if monitor == "val_accuracy" else -1
        value = sign * getattr(epoch, monitor)
        if self.best == 0 or value > sign * getattr(self.history[self.best - 1], monitor):
            self.best = epoch.epoch
            return True
        return False

    def finished(self, train: TrainConfig) -> bool:
        """Whether all epochs are done, or ``patience`` of them went by without improvement."""
        done = len(self.history)
        return done >= train.epochs or (done > 0 and done - self.best >= train.patience)


def fit(spec: Spec, say: Any) -> None:
    """Trains as told and leaves ``saved_model/``, ``examples.npz`` and ``result.json`` in the work folder.

    Args:
        spec: what to do.
        say: called with a dict of the devices, of an epoch's figures, or of a step.

    Raises:
        CountError: the rows delivered are not those promised.
        TrainingError: the loss is no number, or no picture could be read.
    """
    from dflib.models import networks, saved_model
    from dflib.runtime import tensorflow_setup as framework

    framework.tensorflow()
    import numpy as np
    import tensorflow as tf
    import tf_keras

    # Before anything else runs: workers meet when TensorFlow starts.
    strategy, devices = _strategy(spec)
    say({"devices": devices})
    train, folder = spec.settings(), Path(spec.folder)
    storage = Storage(**spec.storage)
    state = State.read(folder)
    steps = spec.steps
    tf_keras.utils.set_random_seed(train.seed)
    # What dropout draws from has a state then that can be kept, and on each device a stream of its own.
    tf_keras.backend.experimental.enable_tf_random_generator()
    parts = {split: Part(spec.files[split]) for split in ("train", "validation")}
    # Each worker judges by all of the validation rows: the same figures, in the same number of steps.
    shares = {"train": (spec.worker, spec.workers), "validation": (0, 1)}

    def feed_of(split: str, cache_bytes: int = train.cache_bytes) -> Feed:
        return Feed(parts[split], train.view, storage, train.seed, cache_bytes, shares[split])

    feeds = {split: feed_of(split) for split in parts}
    for split, feed in feeds.items():
        feed.check()
        # What has no picture at all would be looked through for ever.
        if not any(True for _ in feed_of(split, 0).examples().take(1)):
            raise TrainingError(
                f"none of the {feed.rows} pictures of {split} that are for worker {spec.worker} of {spec.workers} can "
                "be read: look for warnings about them above; with few faces, lower train.workers"
            )
    backbone = Path(spec.backbone) if spec.backbone else None
    tf_keras.mixed_precision.set_global_policy(train.precision)
    with strategy.scope():
        shared = strategy.num_replicas_in_sync > 1
        model = in_parts(networks.build(train.network, train.view.size, backbone, shared), train.accumulate)
        model.compile(
            optimizer=tf_keras.optimizers.Adam(train.learning_rate),
            loss=train.loss,
            metrics=[tf_keras.metrics.BinaryAccuracy(name="accuracy")],
            weighted_metrics=[],
        )
        # Of the model: for float16 it is one that scales the loss.
        model.optimizer.build(model.trainable_variables)
        checkpoint = tf.train.Checkpoint(model=model, optimizer=model.optimizer, dropout=_generators(model))
        if state.history or state.step:
            checkpoint.read(str(folder / state.checkpoint)).assert_existing_objects_matched()
    if not (folder / "examples.npz").is_file():
        np.savez(folder / "examples.npz", **_examples(Feed(parts["train"], train.view, storage, train.seed, 0), train))

    class Keeper(tf_keras.callbacks.Callback):  # type: ignore[misc]
        """Keeps what a later run needs, and ends the training when it no longer improves."""

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            self.begun, self.earlier, self.sums = state.step, state.seconds, state.sums
            self.started = self.said = time.monotonic()

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            if self.sums:
                # Keras begins each call of fit with empty sums, and makes them in its first step.
                for variable, earlier in zip(self.variables(), self.sums, strict=True):
                    variable.assign(variable.read_value() + earlier)
                self.sums = []
            step = self.begun + batch + 1
            if train.checkpoint_steps and step % train.checkpoint_steps == 0 and step < steps:
                state.step, state.seconds = step, self.seconds()
                state.sums = [float(variable.read_value()) for variable in self.variables()]
                self.save()
            if time.monotonic() - self.said >= STEP_SECONDS:
                self.said = time.monotonic()
                say({"epoch": len(state.history) + 1, "step": step})

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            found = {name: float(logs[name]) for name in ("loss", "accuracy", "val_loss", "val_accuracy")}
            if not all(map(math.isfinite, found.values())):
                raise TrainingError(f"epoch {epoch + 1}: {found}: not a number; lower train.learning_rate")
            row = Epoch(epoch=epoch + 1, seconds=round(self.seconds(), 3), **found)
            if state.add(row, train.monitor):
                model.save_weights(folder / f"best-{row.epoch}.h5")
            self.save()
            # Keras keeps this for all epochs, and gives none of them figures any more when one had less than
            # ``validation_steps`` batches: one unreadable picture may cost the last one.
            self.model._eval_data_handler = None
            say(asdict(row))
            self.model.stop_training = state.finished(train)

        def variables(self) -> list[Any]:
            return [variable for metric in self.model.metrics for variable in metric.variables]

        def seconds(self) -> float:
            """Of this epoch, those before a kill included."""
            return self.earlier + time.monotonic() - self.started

        def save(self) -> None:
            for split, feed in feeds.items():
                state.unreadable[split] = max(feed.unreadable, state.unreadable.get(split, 0))
            checkpoint.write(str(folder / state.checkpoint))
            state.write(folder)
            _tidy(folder, state)
            if mirror is not None:
                mirror.send(last=STATE)

    replicas = strategy.num_replicas_in_sync
    alone = spec.workers == 1 and train.accumulate == 1
    if not alone and train.batch_size % (replicas * train.accumulate):
        raise TrainingError(
            f"train.batch_size={train.batch_size} can't be shared by {replicas} devices of all workers in "
            f"train.accumulate={train.accumulate} parts each; make it a multiple of {replicas * train.accumulate}"
        )
    # Of a device; Keras shares a batch out itself where all devices are of one process.
    own = train.batch_size if alone else train.batch_size // replicas

    def data(make: Callable[[], Any]) -> Any:
        """Datasets of each worker's own, of as many steps on all of them: one that ended sooner would stop all."""
        return make() if alone else strategy.distribute_datasets_from_function(lambda context: make())

    judged = data(lambda: feeds["validation"].judge(own))
    judging = None if alone else -(-feeds["validation"].rows // (own * replicas // spec.workers))
    mirror = None if spec.remote is None else Mirror(storage, folder, spec.remote)
    try:
        while not state.finished(train):
            begin = (len(state.history) * steps + state.step) * (train.batch_size // spec.workers)
            # A new one for each call: what it counts, it counts by pass, and this one may begin within a pass.
            feeds["train"] = feed_of("train")
            model.fit(
                data(lambda begin=begin: feeds["train"].train(own, train.augment, begin)),  # type: ignore[misc]
                validation_data=judged,
                # An epoch that was broken off comes to its end by itself.
                steps_per_epoch=steps - state.step,
                validation_steps=judging,
                initial_epoch=len(state.history),
                epochs=len(state.history) + 1 if state.step else train.epochs,
                callbacks=[Keeper()],
                verbose=0,
            )
    except tf.errors.OpError:
        problem = next((feed.problem for feed in feeds.values() if feed.problem), None)
        if problem is not None:
            raise problem from None
        raise
    # Outside the strategy, in float32 and without generators: what is saved knows of none of them.
    tf_keras.mixed_precision.set_global_policy("float32")
    tf_keras.backend.experimental.disable_tf_random_generator()
    model = networks.build(train.network, train.view.size, backbone)
    model.load_weights(folder / f"best-{state.best}.h5")
    saved_model.save(model, folder / "saved_model", train.view.size, positive="fake")
    # Of the first worker all that were seen, also before a restart; of the others those of this start.
    unreadable = state.unreadable if spec.worker == 0 else {split: feed.unreadable for split, feed in feeds.items()}
    result = {
        "history": [asdict(epoch) for epoch in state.history],
        "best": state.best,
        "parameters": int(model.count_params()),
        "unreadable": unreadable,
        "devices": devices,
        "retries": storage.counters.retries,
    }
    (folder / RESULT).write_text(json.dumps(result))


def _strategy(spec: Spec) -> tuple[Any, list[str]]:
    """All GPUs that this process sees under one mirrored strategy, with those of the other workers; or the CPU.

    Raises:
        ClusterError: it sees none and one is required.
    """
    import tensorflow as tf

    gpus = [device.name.removeprefix("/physical_device:") for device in tf.config.list_physical_devices("GPU")]
    if spec.gpu_required and not gpus:
        raise ClusterError(
            "cluster.gpu=required, but TensorFlow sees no GPU for training; install tensorflow[and-cuda] and the "
            "driver there, or say cluster.gpu=auto to use the CPU"
        )
    if spec.workers > 1:
        # Who they are and which of them this is stands in TF_CONFIG.
        return tf.distribute.MultiWorkerMirroredStrategy(), gpus or ["CPU"]
    devices = spec.devices
    if not devices:
        devices = gpus
    elif all(device.startswith("CPU") for device in devices):
        # Several devices out of one CPU, so that mirroring can be tried where there is no GPU.
        parts = [tf.config.LogicalDeviceConfiguration() for _ in devices]
        tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], parts)
    if devices:
        return tf.distribute.MirroredStrategy(devices), devices
    return tf.distribute.get_strategy(), ["CPU"]


def _generators(model: Any) -> list[Any]:
    """The states of dropout, layer by layer, which Keras leaves out of checkpoints of a model."""
    import tf_keras

    chance = tf_keras.__internal__.layers.BaseRandomLayer
    return [layer._random_generator for layer in model.layers if isinstance(layer, chance)]


def _examples(feed: Feed, train: TrainConfig) -> dict[str, Any]:
    """A few pictures of each class as the network sees them, before and after augmentation."""
    import numpy as np
    import tensorflow as tf

    from dflib.training import augment

    found = {}
    for label, name in enumerate(("real", "fake")):
        chosen = feed.examples().filter(lambda picture, of, weight, label=label: of == label).take(EXAMPLES)
        readable = [picture for picture, _, _ in chosen.as_numpy_iterator()]
        if not readable:
            raise TrainingError(f"no picture of a {name} face of the training set can be read")
        pictures = np.stack(readable)
        parameters = augment.draw(tf.constant(len(pictures)), train.augment, [train.seed, label])
        warped = augment.warp(pictures, parameters).numpy()
        found[name], found[f"{name}_augmented"] = pictures, np.clip(warped + 0.5, 0, 255).astype(np.uint8)
    return found


def _tidy(folder: Path, state: State) -> None:
    """Deletes the checkpoints and weights that no later run will ask for."""
    keep = (f"{state.checkpoint}.", f"best-{state.best}.")
    for path in folder.iterdir():
        if path.name.startswith(("checkpoint-", "best-")) and not path.name.startswith(keep):
            # A folder is what a kill in the middle of writing a checkpoint leaves.
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def main() -> int:
    """Reads the spec named on the command line, trains, and answers with an exit code."""
    # Only messages may stand on standard output; what libraries print goes to the log.
    channel: TextIO = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    threading.Thread(target=_end_with_parent, daemon=True).start()

    def say(message: dict[str, Any]) -> None:
        channel.write(json.dumps(message) + "\n")
        channel.flush()

    try:
        fit(Spec(**json.loads(Path(sys.argv[1]).read_text())), say)
    except DflibError as error:
        say({"error": type(error).__name__, "text": str(error)})
        return 1
    return 0


def _end_with_parent() -> None:
    """Standard input closes when the parent ends, whichever way: then nobody waits for this process any more."""
    # Not through sys.stdin: its lock, held by a waiting thread, is fatal at the interpreter's own end.
    while os.read(0, 1024):
        pass
    os._exit(3)


if __name__ == "__main__":
    sys.exit(main())
