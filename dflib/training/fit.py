"""Fits a network on a training set, in a process of its own: ``python -m dflib.training.fit SPEC.json``.

The best weights and a checkpoint are kept after every epoch, so that a killed training goes on at the epoch that
it had reached.  It speaks JSON lines on standard output: an epoch's figures, a step now and then, or an error.
"""

import json
import math
import os
import sys
import threading
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TextIO

from dflib.config import Train
from dflib.errors import ClusterError, DflibError, TrainingError
from dflib.storage import Storage
from dflib.training.accumulate import in_parts
from dflib.training.feed import Feed, Part
from dflib.training.launch import RESULT, Epoch, Spec

EXAMPLES = 8
"""Pictures of each class kept for the training page."""

STEP_SECONDS = 5.0
"""Time between messages about steps."""


@dataclass
class State:
    """How far a training has come; written whole after every epoch."""

    history: list[Epoch] = field(default_factory=list)
    best: int = 0
    unreadable: dict[str, int] = field(default_factory=dict)

    @classmethod
    def read(cls, folder: Path) -> "State":
        """The state in a work folder; the beginning when there is none."""
        path = folder / "state.json"
        if not path.is_file():
            return cls()
        found = json.loads(path.read_text())
        return cls([Epoch(**epoch) for epoch in found["history"]], found["best"], found["unreadable"])

    def write(self, folder: Path) -> None:
        """Replaces the state in one move: it is what makes an epoch's checkpoint count."""
        temporary = folder / ".state.json"
        temporary.write_text(json.dumps(asdict(self)))
        temporary.replace(folder / "state.json")

    def add(self, epoch: Epoch, monitor: str) -> bool:
        """Adds an epoch; whether it is the best so far."""
        self.history.append(epoch)
        sign = 1 if monitor == "val_accuracy" else -1
        value = sign * getattr(epoch, monitor)
        if self.best == 0 or value > sign * getattr(self.history[self.best - 1], monitor):
            self.best = epoch.epoch
            return True
        return False

    def finished(self, train: Train) -> bool:
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
    from dflib.models import framework, networks, saved

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
    done = len(state.history)
    # After a kill the seeds move on, or the first epochs' orders and warps would come again.
    seed = train.seed + done
    tf_keras.utils.set_random_seed(seed)
    parts = {split: Part(spec.files[split], spec.rows[split]) for split in ("train", "validation")}
    # Each worker judges by all of the validation rows: the same figures, in the same number of steps.
    shares = {"train": (spec.worker, spec.workers), "validation": (0, 1)}
    feeds = {
        split: Feed(part, train.view, storage, seed, train.cache_bytes, shares[split]) for split, part in parts.items()
    }
    for feed in feeds.values():
        feed.check()
    backbone = Path(spec.backbone) if spec.backbone else None
    tf_keras.mixed_precision.set_global_policy(train.precision)
    with strategy.scope():
        shared = strategy.num_replicas_in_sync > 1
        model = in_parts(networks.build(train.network, train.view.size, backbone, shared), train.accumulate)
        model.compile(
            optimizer=tf_keras.optimizers.Adam(train.optimizer_rate),
            loss=train.loss,
            metrics=[tf_keras.metrics.BinaryAccuracy(name="accuracy")],
            weighted_metrics=[],
        )
        # Of the model: for float16 it is one that scales the loss.
        model.optimizer.build(model.trainable_variables)
        checkpoint = tf.train.Checkpoint(model=model, optimizer=model.optimizer)
        if done:
            checkpoint.read(str(folder / f"checkpoint-{done}")).assert_existing_objects_matched()
    if not (folder / "examples.npz").is_file():
        np.savez(folder / "examples.npz", **_examples(Feed(parts["train"], train.view, storage, seed, 0), train))

    class Keeper(tf_keras.callbacks.Callback):  # type: ignore[misc]
        """Keeps what a later run needs, and ends the training when it no longer improves."""

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            self.started = self.said = time.monotonic()

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            if time.monotonic() - self.said >= STEP_SECONDS:
                self.said = time.monotonic()
                say({"epoch": len(state.history) + 1, "step": batch + 1})

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            names = ("loss", "accuracy", "val_loss", "val_accuracy")
            figures = {name: float(logs[name]) for name in names}
            if not all(map(math.isfinite, figures.values())):
                raise TrainingError(f"epoch {epoch + 1}: {figures}: not a number; lower train.optimizer_rate")
            seconds = round(time.monotonic() - self.started, 3)
            row = Epoch(epoch=epoch + 1, seconds=seconds, **figures)
            better = state.add(row, train.monitor)
            state.unreadable = {split: feed.unreadable for split, feed in feeds.items()}
            checkpoint.write(str(folder / f"checkpoint-{row.epoch}"))
            if better:
                model.save_weights(folder / f"best-{row.epoch}.h5")
            state.write(folder)
            _tidy(folder, state)
            if spec.remote is not None:
                storage.upload_folder(folder, spec.remote)
            say(asdict(row))
            self.model.stop_training = state.finished(train)

    steps = judging = None
    if spec.workers == 1 and train.accumulate == 1:
        given, judged = feeds["train"].train(train.batch, train.augment), feeds["validation"].judge(train.batch)
    else:
        # Datasets of each worker's own, of as many steps on all of them: one that ended sooner would stop the others.
        # Their batches are whole, and so are the parts of these.
        replicas = strategy.num_replicas_in_sync
        if train.batch % (replicas * train.accumulate):
            raise TrainingError(
                f"train.batch={train.batch} can't be shared by {replicas} devices of all workers in train.accumulate="
                f"{train.accumulate} parts each; make it a multiple of {replicas * train.accumulate}"
            )
        own = train.batch // replicas
        steps = -(-spec.rows["train"] // train.batch)
        given = strategy.distribute_datasets_from_function(
            lambda context: feeds["train"].train(own, train.augment, repeat=True)
        )
        judged = strategy.distribute_datasets_from_function(lambda context: feeds["validation"].judge(own))
        judging = -(-spec.rows["validation"] // (own * replicas // spec.workers))
    if not state.finished(train):
        try:
            model.fit(
                given,
                validation_data=judged,
                steps_per_epoch=steps,
                validation_steps=judging,
                initial_epoch=done,
                epochs=train.epochs,
                callbacks=[Keeper()],
                verbose=0,
            )
        except tf.errors.OpError:
            problem = next((feed.problem for feed in feeds.values() if feed.problem), None)
            if problem is not None:
                raise problem from None
            raise
    # Outside the strategy and in float32: what is saved knows of neither.
    tf_keras.mixed_precision.set_global_policy("float32")
    model = networks.build(train.network, train.view.size, backbone)
    model.load_weights(folder / f"best-{state.best}.h5")
    saved.save(model, folder / "saved_model", train.view.size, positive="fake")
    # Of the first worker all that were seen, also before a restart; of the others those of this start.
    unreadable = state.unreadable if spec.worker == 0 else {split: feed.unreadable for split, feed in feeds.items()}
    result = {
        "history": [asdict(epoch) for epoch in state.history],
        "best": state.best,
        "parameters": int(model.count_params()),
        "unreadable": unreadable,
        "devices": devices,
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


def _examples(feed: Feed, train: Train) -> dict[str, Any]:
    """A few pictures of each class as the network sees them, before and after augmentation."""
    import numpy as np
    import tensorflow as tf

    from dflib.training import augment

    found = {}
    for label, name in enumerate(("real", "fake")):
        chosen = feed.examples().filter(lambda picture, of, weight, label=label: of == label).take(EXAMPLES)
        pictures = np.stack([picture for picture, _, _ in chosen.as_numpy_iterator()])
        parameters = augment.draw(tf.constant(len(pictures)), train.augment, [train.seed, label])
        warped = augment.warp(pictures, parameters).numpy()
        found[name], found[f"{name}_augmented"] = pictures, np.clip(warped + 0.5, 0, 255).astype(np.uint8)
    return found


def _tidy(folder: Path, state: State) -> None:
    """Deletes the checkpoints and weights that no later run will ask for."""
    keep = (f"checkpoint-{len(state.history)}.", f"best-{state.best}.")
    for path in folder.iterdir():
        if path.name.startswith(("checkpoint-", "best-")) and not path.name.startswith(keep):
            path.unlink()


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
