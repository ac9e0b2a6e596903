"""Runs :mod:`dflib.training.fit` in a child process, so that TensorFlow's state ends with it.

The child reads its settings from a JSON file, reports its progress as JSON lines, and leaves its result in a work
folder.  After a kill, running it again resumes from the last checkpoint.
"""

import json
import logging
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from dflib import errors
from dflib.config import TrainConfig
from dflib.errors import LostWorkerError
from dflib.runtime.progress import Progress
from dflib.storage import Storage, local_path
from dflib.training.spec import RESULT_FILE, Epoch, FitResult, FitSpec

log = logging.getLogger(__name__)

LOG_FILE = "fit.log"
"""Name of the child's log in the work folder."""

SPEC_FILE = "spec.json"
"""Name of the child's settings in the work folder."""

LAST_LINES = 20
"""Lines of the child's log in the error about an unexpected end."""


@contextmanager
def work_folder(storage: Storage, uri: str) -> Iterator[tuple[Path, str | None]]:
    """A local folder to train in, with the content of ``uri``; TensorFlow writes checkpoints to local disks only.

    Yields:
        The local folder, and the URI to copy it to; None if the folder is ``uri`` itself.
    """
    folder = local_path(uri)
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        yield folder, None
        return
    with tempfile.TemporaryDirectory(prefix="dflib-training-") as name:
        if any(True for _ in storage.list_files(uri)):
            storage.download_folder(uri, Path(name))
        yield Path(name), uri


def run(spec: FitSpec, progress: Progress, environment: Mapping[str, str] | None = None) -> FitResult:
    """Trains in one child process.

    A training that is finished already is not continued; the child saves its model and result again.

    Args:
        spec: the child's settings.
        progress: counts training steps.
        environment: variables for the child, in addition to those of this process.

    Raises:
        LostWorkerError: the child ended without a result.
        DflibError: raised by the child.
    """
    train = spec.settings()
    steps = spec.steps_per_epoch
    progress.start("training steps", steps * train.epochs)

    def receive(message: dict[str, Any]) -> None:
        if "devices" in message:
            log.info("training on %s", ", ".join(message["devices"]))
        elif "step" in message:
            progress.set((message["epoch"] - 1) * steps + message["step"])
        else:
            epoch = Epoch(**message)
            progress.set(epoch.epoch * steps)
            log_epoch(epoch, train)

    run_child(spec, environment or {}, receive)
    progress.finish()
    return FitResult.parse((Path(spec.folder) / RESULT_FILE).read_bytes())


def log_epoch(epoch: Epoch, train: TrainConfig) -> None:
    """Logs the figures of an epoch as one line."""
    log.info(
        "epoch %d of %d: loss %.4f, accuracy %.3f, validation loss %.4f, accuracy %.3f (%.1f s)",
        epoch.epoch, train.epochs, epoch.loss, epoch.accuracy, epoch.val_loss, epoch.val_accuracy, epoch.seconds,
    )  # fmt: skip


def run_child(spec: FitSpec, environment: Mapping[str, str], receive: Callable[[dict[str, Any]], None]) -> None:
    """Runs :mod:`dflib.training.fit` to its end; the child never outlives this process.

    Args:
        spec: the child's settings.
        environment: variables for the child, in addition to those of this process.
        receive: called with each message: the devices, an epoch's figures, or the current step.

    Raises:
        LostWorkerError: the child ended without a result.
        DflibError: raised by the child.
    """
    folder = Path(spec.folder)
    spec_file = folder / SPEC_FILE
    spec_file.write_text(json.dumps(asdict(spec)))
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        "TF_USE_LEGACY_KERAS": "1",
        "TF_CPP_MIN_LOG_LEVEL": os.environ.get("TF_CPP_MIN_LOG_LEVEL", "3"),
        **environment,
    }
    failure: dict[str, str] | None = None
    with (folder / LOG_FILE).open("ab") as child_log:
        # Petastorm calls functions that pyarrow 14 deprecates; each call would log a warning.
        quiet = ["-W", "ignore::FutureWarning", "-W", "ignore::DeprecationWarning"]
        command = [sys.executable, *quiet, "-m", "dflib.training.fit", str(spec_file)]
        # Standard input stays open: when this process ends, however that happens, the child sees it close and exits.
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=child_log, env=environment, text=True
        )
        try:
            assert process.stdout is not None
            for line in process.stdout:
                message = json.loads(line)
                if "error" in message:
                    failure = message
                else:
                    receive(message)
            code = process.wait()
        finally:
            process.kill()
            process.wait()
            for stream in (process.stdin, process.stdout):
                if stream is not None:
                    stream.close()
    if failure is not None:
        raise getattr(errors, failure["error"])(failure["text"])
    if code != 0:
        lines = (folder / LOG_FILE).read_text(errors="replace").splitlines()
        last = [line for line in lines if line.strip()][-LAST_LINES:]
        raise LostWorkerError(
            f"training ended with exit code {code}; run the job again to resume it. Last lines of "
            f"{folder / LOG_FILE}:\n" + "\n".join(last)
        )
