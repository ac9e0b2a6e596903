"""Training runs in a child process, so that TensorFlow's state dies with it. This is the driver's side.

The child gets one JSON file, tells its progress as JSON lines, and leaves its result in a work folder.  Run again
after a kill, it goes on at the step that was saved last.
"""

import json
import logging
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from dflib import errors, uris
from dflib.config import TrainConfig
from dflib.errors import LostWorkerError
from dflib.runtime.progress import Progress
from dflib.storage import Storage, local_path

log = logging.getLogger(__name__)

RESULT = "result.json"
"""Name of the result in the work folder."""

LAST_LINES = 20
"""Lines of the child's log that an unexpected end is reported with."""


@dataclass(frozen=True)
class Spec:
    """What the child is told.

    Attributes:
        train: the section ``train`` of the configuration, as JSON.
        files: rows of each split's Parquet files, by URI.
        folder: local folder of checkpoints and results.
        remote: URI that the folder is kept in step with, or None when it lies where it belongs.
        storage: how S3 is reached.
        backbone: local HDF5 file of backbone weights.
        devices: TensorFlow devices to train on; all GPUs of the machine, or its CPU, when empty.
        gpu_required: whether a child that sees no GPU fails.
        worker, workers: place of the child among those that train together, and their number.
    """

    train: dict[str, Any]
    files: dict[str, dict[str, int]]
    folder: str
    remote: str | None
    storage: dict[str, Any]
    backbone: str | None = None
    devices: list[str] = field(default_factory=list)
    gpu_required: bool = False
    worker: int = 0
    workers: int = 1

    def settings(self) -> TrainConfig:
        return TrainConfig.model_validate(self.train)

    @property
    def steps(self) -> int:
        """Of an epoch, each of ``train.batch_size`` faces; the last ones may be the first of the next pass."""
        return -(-sum(self.files["train"].values()) // self.settings().batch_size)


@dataclass(frozen=True)
class Epoch:
    """One epoch's figures; ``epoch`` counts from 1."""

    epoch: int
    loss: float
    accuracy: float
    val_loss: float
    val_accuracy: float
    seconds: float


@dataclass(frozen=True)
class Result:
    """What a finished training left.

    Attributes:
        history: every epoch, those before a kill included.
        best: number of the epoch whose weights were kept.
        parameters: numbers in the network.
        unreadable: pictures of a split that could not be decoded or cut, and were left out.
        devices: what it ran on.
        retries: of storage, by those who trained; of starts that were lost they are not known.
    """

    history: tuple[Epoch, ...]
    best: int
    parameters: int
    unreadable: dict[str, int]
    devices: tuple[str, ...]
    retries: int = 0

    @property
    def best_epoch(self) -> Epoch:
        """The figures of the epoch whose weights were kept."""
        return self.history[self.best - 1]

    @property
    def seconds(self) -> float:
        """Of all epochs."""
        return sum(epoch.seconds for epoch in self.history)


@contextmanager
def workplace(storage: Storage, uri: str) -> Iterator[tuple[Path, str | None]]:
    """A local folder to train in, and the URI to keep it in step with: none where ``uri`` is local itself.

    TensorFlow writes checkpoints to local disks only.
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


@dataclass
class Mirror:
    """A copy of a local folder elsewhere, sent anew whenever the folder has changed."""

    storage: Storage
    folder: Path
    uri: str
    _sent: dict[str, tuple[int, int]] = field(default_factory=dict)

    def send(self, last: str) -> None:
        """Sends files that are new or changed, ``last`` as the last of them, and then deletes what is here no more.

        So the copy holds, at any moment, all that its file ``last`` speaks of.
        """
        if not self._sent:
            start = self.uri.rstrip("/") + "/"
            self._sent = {entry.uri.removeprefix(start): (0, 0) for entry in self.storage.list_files(self.uri)}
        here = {}
        for path in sorted(self.folder.rglob("*"), key=lambda path: (path.name == last, path)):
            if path.is_file() and not path.name.startswith("."):
                info = path.stat()
                name = path.relative_to(self.folder).as_posix()
                here[name] = (info.st_mtime_ns, info.st_size)
                if self._sent.get(name) != here[name]:
                    self.storage.write(uris.join(self.uri, name), path.read_bytes())
        for name in self._sent.keys() - here.keys():
            self.storage.delete(uris.join(self.uri, name))
        self._sent = here


def run(spec: Spec, progress: Progress, environment: Mapping[str, str] | None = None) -> Result:
    """Trains in a child process, which goes on at the step that the work folder holds.

    Where that training was finished, the child trains no more and leaves model and result again.

    Args:
        environment: variables of the child, laid over this process's own.

    Raises:
        LostWorkerError: the child ended without a result.
        DflibError: what the child raised on purpose.
    """
    train = spec.settings()
    steps = spec.steps
    progress.start("training steps", steps * train.epochs)

    def tell(message: dict[str, Any]) -> None:
        if "devices" in message:
            log.info("training on %s", ", ".join(message["devices"]))
        elif "step" in message:
            progress.set((message["epoch"] - 1) * steps + message["step"])
        else:
            epoch = Epoch(**message)
            progress.set(epoch.epoch * steps)
            log_epoch(epoch, train)

    child(spec, environment or {}, tell)
    progress.finish()
    return read_result((Path(spec.folder) / RESULT).read_bytes())


def log_epoch(epoch: Epoch, train: TrainConfig) -> None:
    """One line of the log."""
    log.info(
        "epoch %d of %d: loss %.4f, accuracy %.3f, val_loss %.4f, val_accuracy %.3f, %.1f s",
        epoch.epoch, train.epochs, epoch.loss, epoch.accuracy, epoch.val_loss, epoch.val_accuracy, epoch.seconds,
    )  # fmt: skip


def child(spec: Spec, environment: Mapping[str, str], tell: Callable[[dict[str, Any]], None]) -> None:
    """Runs :mod:`dflib.training.fit` to its end; it dies with this process.

    Args:
        environment: laid over this process's own.
        tell: given each message: the devices, an epoch or a step.

    Raises:
        LostWorkerError: it ended without a result.
        DflibError: what it raised on purpose.
    """
    folder = Path(spec.folder)
    spec_file = folder / "spec.json"
    spec_file.write_text(json.dumps(asdict(spec)))
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        "TF_USE_LEGACY_KERAS": "1",
        "TF_CPP_MIN_LOG_LEVEL": os.environ.get("TF_CPP_MIN_LOG_LEVEL", "3"),
        **environment,
    }
    failure: dict[str, str] | None = None
    with (folder / "fit.log").open("ab") as child_log:
        # Petastorm uses what pyarrow 14 calls deprecated: warned of at each of its calls.
        quiet = ["-W", "ignore::FutureWarning", "-W", "ignore::DeprecationWarning"]
        command = [sys.executable, *quiet, "-m", "dflib.training.fit", str(spec_file)]
        # Its standard input is held open: when this process ends, whichever way, the child sees it close and ends.
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
                    tell(message)
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
        lines = (folder / "fit.log").read_text(errors="replace").splitlines()
        last = [line for line in lines if line.strip()][-LAST_LINES:]
        raise LostWorkerError(
            f"training ended with code {code}; run the job again to go on where it was. Last lines of "
            f"{folder / 'fit.log'}:\n" + "\n".join(last)
        )


def read_result(content: bytes) -> Result:
    """The result that a finished child left as :data:`RESULT` in its work folder."""
    found = json.loads(content)
    return Result(
        history=tuple(Epoch(**epoch) for epoch in found["history"]),
        best=found["best"],
        parameters=found["parameters"],
        unreadable=found["unreadable"],
        devices=tuple(found["devices"]),
        retries=found["retries"],
    )
