"""The child that trains, with nothing left to chance: no dropout, no shuffling. Notes the loss of every step.

It goes down the gradient by SGD: Adam makes whole steps of gradients that are zero but for the last bits.

    python tests/training/fit_without_chance.py SPEC.json STEPS.json plain

``plain`` leaves batch normalisation out too: over several workers its variance is E[x^2] - E[x]^2, which has fewer
digits.  ``shuffled`` shuffles.  With a number behind that it kills itself after as many steps.
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

STEPS: list[float] = []
LAST = int(sys.argv[4]) if len(sys.argv) > 4 else None


class Steps(tf_keras.callbacks.Callback):
    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        STEPS.append(float(logs["loss"]))
        if len(STEPS) == LAST:
            os.kill(os.getpid(), signal.SIGKILL)


def main() -> int:
    class NoDropout(tf_keras.layers.Dropout):
        def __init__(self, rate: float) -> None:
            super().__init__(0.0)

    tf.keras.layers.Dropout = NoDropout
    if sys.argv[3] == "plain":
        tf.keras.layers.BatchNormalization = lambda **named: tf_keras.layers.Activation("linear")
    tf_keras.optimizers.Adam = tf_keras.optimizers.SGD
    plain = tf_keras.Model.fit
    tf_keras.Model.fit = lambda self, *given, callbacks, **named: plain(
        self, *given, callbacks=[Steps(), *callbacks], **named
    )
    if sys.argv[3] != "shuffled":
        tf.data.Dataset.shuffle = lambda self, *given, **named: self
    code = fit.main()
    Path(sys.argv[2]).write_text(json.dumps(STEPS))
    return code


if __name__ == "__main__":
    sys.exit(main())
