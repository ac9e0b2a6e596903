"""The child process that trains, with SGD instead of Adam; it records the loss of every step.

With Adam, gradients that are zero except for rounding errors would become whole steps.

    python tests/training/recording_fit.py SPEC.json STEPS.json MODE [KILL_AFTER]

MODE is ``random``; ``deterministic``, without dropout and shuffling; or ``plain``, without batch normalisation either:
over several workers its variance is computed as E[x^2] - E[x]^2, which loses digits.  With KILL_AFTER the process kills
itself after that many steps.  The elements that the last layer's dropout sets to zero are appended to the file DROPPED
beside STEPS.json, one line for each step and device.
"""

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import tensorflow as tf
import tf_keras

from dflib.training import fit

MODE = sys.argv[3]
KILL_AFTER = int(sys.argv[4]) if len(sys.argv) > 4 else None
LOSSES: list[float] = []


class LossRecorder(tf_keras.callbacks.Callback):
    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        LOSSES.append(float(logs["loss"]))
        if len(LOSSES) == KILL_AFTER:
            os.kill(os.getpid(), signal.SIGKILL)


class RecordingDropout(tf_keras.layers.Dropout):
    def call(self, inputs: Any, training: Any = None) -> Any:
        outputs = super().call(inputs, training=training)
        # Of the last layer only: the inputs of the first dropout come from a ReLU and contain zeros themselves.
        if training and self.name.endswith("_1"):
            dropped = tf.reshape(tf.cast(outputs == 0, tf.int32), [-1])
            tf.print(dropped, summarize=-1, output_stream=f"file://{Path(sys.argv[2]).parent / 'DROPPED'}")
        return outputs


def main() -> int:
    tf.keras.layers.Dropout = RecordingDropout
    if MODE != "random":
        tf.keras.layers.Dropout = lambda rate: tf_keras.layers.Activation("linear")
        tf.data.Dataset.shuffle = lambda self, *arguments, **options: self
    if MODE == "plain":
        tf.keras.layers.BatchNormalization = lambda **options: tf_keras.layers.Activation("linear")
    tf_keras.optimizers.Adam = tf_keras.optimizers.SGD
    keras_fit = tf_keras.Model.fit
    tf_keras.Model.fit = lambda self, *arguments, callbacks, **options: keras_fit(
        self, *arguments, callbacks=[LossRecorder(), *callbacks], **options
    )
    code = fit.main()
    Path(sys.argv[2]).write_text(json.dumps(LOSSES))
    return code


if __name__ == "__main__":
    sys.exit(main())
