"""The child that trains, with SGD. Notes the loss of every step, and leaves nothing to chance, if told so.

SGD, since Adam makes whole steps of gradients that are zero but for the last bits.

    python tests/training/fit_noting_steps.py SPEC.json STEPS.json HOW

HOW is ``as_it_is``; ``certain``, without dropout and shuffling; or ``plain``, without batch normalisation either: over
several workers its variance is E[x^2] - E[x]^2, which has fewer digits.  With a number behind that it kills itself
after as many steps.  What dropout leaves out of the last layer is noted in DROPPED beside STEPS.json, a line a step and
device.
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

HOW = sys.argv[3]
STEPS: list[float] = []
LAST = int(sys.argv[4]) if len(sys.argv) > 4 else None


class Steps(tf_keras.callbacks.Callback):
    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        STEPS.append(float(logs["loss"]))
        if len(STEPS) == LAST:
            os.kill(os.getpid(), signal.SIGKILL)


class NotedDropout(tf_keras.layers.Dropout):
    def call(self, inputs: Any, training: Any = None) -> Any:
        given = super().call(inputs, training=training)
        # What the first one is given comes from a ReLU, and has zeros of its own.
        if training and self.name.endswith("_1"):
            left_out = tf.reshape(tf.cast(given == 0, tf.int32), [-1])
            tf.print(left_out, summarize=-1, output_stream=f"file://{Path(sys.argv[2]).parent / 'DROPPED'}")
        return given


def main() -> int:
    tf.keras.layers.Dropout = NotedDropout
    if HOW != "as_it_is":
        tf.keras.layers.Dropout = lambda rate: tf_keras.layers.Activation("linear")
        tf.data.Dataset.shuffle = lambda self, *given, **named: self
    if HOW == "plain":
        tf.keras.layers.BatchNormalization = lambda **named: tf_keras.layers.Activation("linear")
    tf_keras.optimizers.Adam = tf_keras.optimizers.SGD
    plain = tf_keras.Model.fit
    tf_keras.Model.fit = lambda self, *given, callbacks, **named: plain(
        self, *given, callbacks=[Steps(), *callbacks], **named
    )
    code = fit.main()
    Path(sys.argv[2]).write_text(json.dumps(STEPS))
    return code


if __name__ == "__main__":
    sys.exit(main())
