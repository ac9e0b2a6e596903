"""The files that a training is resumed from: the checkpoint, the best weights and the state, in the work folder.

Keras' ``BackupAndRestore`` saves neither the figures of the current epoch nor the best weights, so the end by
``patience`` would change with every restart.
"""

import shutil
from pathlib import Path
from typing import Any

from dflib.training.folder_mirror import FolderMirror
from dflib.training.state import STATE_FILE, TrainingState


class Checkpoints:
    """Saves a model while it trains, and restores it.

    A checkpoint holds the weights, the optimizer and the random generators of dropout.  It counts once the state that
    names it is written, so a process killed at any moment leaves the previous checkpoint or the new one.
    """

    def __init__(self, model: Any, state: TrainingState, folder: Path, mirror: FolderMirror | None) -> None:
        """
        Args:
            model: a compiled ``tf_keras.Model`` whose optimizer is built. Call within the scope of its strategy.
            state: what is saved with each checkpoint.
            folder: the work folder.
            mirror: the remote copy of the folder, updated with each checkpoint; None: there is none.
        """
        import tensorflow as tf

        self._model = model
        self._state = state
        self._folder = folder
        self._mirror = mirror
        generators = _dropout_generators(model)
        self._checkpoint = tf.train.Checkpoint(model=model, optimizer=model.optimizer, dropout=generators)

    def restore(self) -> None:
        """Restores the checkpoint of the state; does nothing at the beginning of a training.

        Call within the scope of the model's strategy.
        """
        if self._state.history or self._state.step:
            self._checkpoint.read(str(self._folder / self._state.checkpoint)).assert_existing_objects_matched()

    def save(self) -> None:
        """Saves checkpoint and state, deletes older files, and updates the remote copy."""
        self._checkpoint.write(str(self._folder / self._state.checkpoint))
        self._state.write(self._folder)
        _delete_old(self._folder, self._state)
        if self._mirror is not None:
            self._mirror.send(last=STATE_FILE)

    def save_best_weights(self) -> None:
        """Saves the current weights as those of the state's best epoch."""
        self._model.save_weights(best_weights(self._folder, self._state))


def best_weights(folder: Path, state: TrainingState) -> Path:
    """HDF5 file of the best epoch's weights."""
    return folder / f"best-{state.best}.h5"


def _delete_old(folder: Path, state: TrainingState) -> None:
    """Deletes the checkpoints and weights that the state does not refer to."""
    keep = (f"{state.checkpoint}.", f"best-{state.best}.")
    for path in folder.iterdir():
        if path.name.startswith(("checkpoint-", "best-")) and not path.name.startswith(keep):
            # TensorFlow writes a checkpoint into a temporary folder, which remains after a kill.
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def _dropout_generators(model: Any) -> list[Any]:
    """The random generators of dropout, layer by layer; Keras leaves them out of a model's checkpoints."""
    import tf_keras

    random_layer = tf_keras.__internal__.layers.BaseRandomLayer
    return [layer._random_generator for layer in model.layers if isinstance(layer, random_layer)]
