"""Fits a network on a training set, in a process of its own: ``python -m dflib.training.fit SPEC.json``.

A checkpoint is saved after every epoch and every ``train.checkpoint_steps`` steps.  A training that was killed resumes
from the last one, with the batches, the dropout and the epoch's figures of an uninterrupted training.

Standard output carries messages as JSON lines: the devices, the figures of each epoch, the current step now and then,
or an error.
"""

import json
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

from dflib.config import TrainConfig
from dflib.errors import DflibError
from dflib.storage import Storage
from dflib.training import examples, losses
from dflib.training.accumulate import with_accumulation
from dflib.training.callback import training_callback
from dflib.training.checkpoints import Checkpoints, best_weights
from dflib.training.data import TrainingData
from dflib.training.distribution import Distribution
from dflib.training.folder_mirror import FolderMirror
from dflib.training.spec import RESULT_FILE, FitResult, FitSpec
from dflib.training.state import TrainingState

Send = Callable[[dict[str, Any]], None]

SEED_FOR_0 = 2**31 - 2
"""TensorFlow's global seed where ``train.seed`` is 0: the largest that it distinguishes."""


def fit(spec: FitSpec, send: Send) -> None:
    """Trains a network and leaves ``saved_model/``, ``examples.npz`` and ``result.json`` in the work folder.

    Args:
        spec: the settings.
        send: called with each message: the devices, an epoch's figures, or the current step.

    Raises:
        ClusterError: a GPU is required and none is visible.
        CountError: the rows read differ from those that the training set promises.
        TrainingError: the loss is not finite, no image can be read, or the batch cannot be divided.
    """
    from dflib.runtime import tensorflow_setup

    tf = tensorflow_setup.tensorflow()
    import tf_keras

    # First of all: workers connect when TensorFlow starts.
    distribution = Distribution.create(spec)
    send({"devices": distribution.devices})
    distribution.check()
    train, folder = spec.settings(), Path(spec.folder)
    storage = Storage(**spec.storage)
    state = TrainingState.read(folder)
    tf_keras.utils.set_random_seed(train.seed)
    if train.seed == 0:
        # With 0, TensorFlow can't take seeds of operations that are tensors, such as those of the feed's shuffling.
        tf.random.set_seed(SEED_FOR_0)
    # Dropout then draws from generators whose state can be saved, with a stream of its own on each device.
    tf_keras.backend.experimental.enable_tf_random_generator()
    data = TrainingData(spec, storage, distribution)
    data.check()
    mirror = None if spec.remote is None else FolderMirror(storage, folder, spec.remote)
    tf_keras.mixed_precision.set_global_policy(train.precision)
    with distribution.strategy.scope():
        model = _compiled(spec, train, distribution)
        checkpoints = Checkpoints(model, state, folder, mirror)
        checkpoints.restore()
    if not (folder / examples.EXAMPLES_FILE).is_file():
        examples.write(folder / examples.EXAMPLES_FILE, data.examples(), train.augment, train.seed)
    _train(model, spec, train, distribution, data, state, checkpoints, send)
    parameters = _save_best(spec, train, state, folder)
    # The first worker knows all unreadable images, also those before a restart; the others those since their start.
    unreadable = state.unreadable if spec.worker == 0 else data.unreadable
    result = FitResult(
        tuple(state.history), state.best, parameters, unreadable, tuple(distribution.devices), storage.counters.retries
    )
    (folder / RESULT_FILE).write_text(result.to_json())


def _compiled(spec: FitSpec, train: TrainConfig, distribution: Distribution) -> Any:
    """The network, compiled, with its optimizer built; call within the scope of the strategy."""
    import tf_keras

    from dflib.models import networks

    network = networks.build(train.network, train.view.size, _backbone(spec), distribution.replicas > 1)
    model = with_accumulation(network, train.accumulate)
    model.compile(
        optimizer=tf_keras.optimizers.Adam(train.learning_rate),
        loss=losses.load(train.loss).build(),
        metrics=[tf_keras.metrics.BinaryAccuracy(name="accuracy")],
        weighted_metrics=[],
    )
    # The model's optimizer, not the one passed: for mixed_float16 Keras wraps it in one that scales the loss.
    model.optimizer.build(model.trainable_variables)
    return model


def _train(
    model: Any,
    spec: FitSpec,
    train: TrainConfig,
    distribution: Distribution,
    data: TrainingData,
    state: TrainingState,
    checkpoints: Checkpoints,
    send: Send,
) -> None:
    """Trains until the state is finished."""
    import tensorflow as tf

    steps = spec.steps_per_epoch
    validation = data.validation()
    try:
        while not state.finished(train):
            model.fit(
                data.training((len(state.history) * steps + state.step) * distribution.worker_batch_size),
                validation_data=validation,
                # An interrupted epoch is completed by a call of its own.
                steps_per_epoch=steps - state.step,
                validation_steps=data.validation_steps,
                initial_epoch=len(state.history),
                epochs=len(state.history) + 1 if state.step else train.epochs,
                callbacks=[training_callback(train, state, steps, checkpoints, lambda: data.unreadable, send)],
                verbose=0,
            )
    except tf.errors.OpError:
        if data.error is not None:
            raise data.error from None
        raise


def _save_best(spec: FitSpec, train: TrainConfig, state: TrainingState, folder: Path) -> int:
    """Saves the best epoch's weights as a SavedModel, and returns the number of parameters.

    The network is built again, outside the strategy, in float32 and with dropout without generators: the SavedModel
    must depend on none of them.
    """
    import tf_keras

    from dflib.models import networks, saved_model

    tf_keras.mixed_precision.set_global_policy("float32")
    tf_keras.backend.experimental.disable_tf_random_generator()
    model = networks.build(train.network, train.view.size, _backbone(spec))
    model.load_weights(best_weights(folder, state))
    saved_model.save(model, folder / "saved_model", train.view.size, positive="fake")
    return int(model.count_params())


def _backbone(spec: FitSpec) -> Path | None:
    return Path(spec.backbone) if spec.backbone else None


def main() -> int:
    """Trains with the spec named on the command line, and returns the exit code."""
    # Standard output carries messages only; what libraries print goes to the log, on standard error.
    channel: TextIO = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    threading.Thread(target=_exit_with_parent, daemon=True).start()

    def send(message: dict[str, Any]) -> None:
        channel.write(json.dumps(message) + "\n")
        channel.flush()

    try:
        fit(FitSpec(**json.loads(Path(sys.argv[1]).read_text())), send)
    except DflibError as error:
        send({"error": type(error).__name__, "text": str(error)})
        return 1
    return 0


def _exit_with_parent() -> None:
    """Exits when standard input closes: the parent process has ended, however that happened."""
    # Not through sys.stdin: a waiting thread would hold its lock, which is fatal when the interpreter shuts down.
    while os.read(0, 1024):
        pass
    os._exit(3)


if __name__ == "__main__":
    sys.exit(main())
