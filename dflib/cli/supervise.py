"""Runs Spark beside itself: private temporary folders, signals, and standard error without known noise.

This process takes the place of the dflib command, so that its id and its exit code are those of the job. It imports
nothing but the standard library and stays small while the job runs.

- Spark's temporary files hold face crops. They lie in folders that only this user can read, which are removed at the
  end, and those of a killed run by a later one.
- SIGINT, SIGTERM and SIGHUP (the terminal was closed) reach the driver's Python only, which ends the job in order
  (:mod:`dflib.runtime.interruption`); the JVM ignores them, as it would stop under the driver's hands. A second signal
  ends all at once. Where SIGHUP is ignored from the start, as below nohup, it stays so.
- The JVM is killed when this process is.
"""

import contextlib
import ctypes
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO

from dflib.cli import quiet

PREFIX = "dflib-spark-"
_PR_SET_PDEATHSIG = 1
_OLD = 3600.0
"""Seconds after which a folder without a lock is a leftover; before, its process may be about to lock it."""


def main() -> int:
    """Runs a command to its end and returns its exit code, or 128 and the number of the signal that ended it.

    The command line is JSON, and then the command. The JSON holds ``name`` (of the job or tool), ``verbose``,
    ``folders`` (where temporary files may lie), ``driver_variable``: the variable with the path of a file into which
    the driver writes its process id once it handles signals; null: there is no driver in Python; and
    ``hangup_variable``: the one that tells the driver that SIGHUP ends the job.
    """
    options, command = json.loads(sys.argv[1]), sys.argv[2:]
    try:
        with _private_folders(options["folders"]) as folders:
            environment = {**os.environ, "SPARK_LOCAL_DIRS": ",".join(folders)}
            driver_file = None
            if options["driver_variable"]:
                driver_file = Path(folders[0]) / "driver"
                environment[options["driver_variable"]] = str(driver_file)
                # The driver can't tell by itself: below a deaf JVM it starts with all of them ignored.
                environment[options["hangup_variable"]] = "1" if signal.SIGHUP in _numbers() else ""
            return _Child(options["name"], driver_file).run(command, environment, options["verbose"])
    except OSError as error:
        print(f"{options['name']}: {error.filename or command[0]}: {error.strerror or error}", file=sys.stderr)
        return 1


class _Child:
    """The command while it runs."""

    def __init__(self, name: str, driver_file: Path | None) -> None:
        self._name, self._driver_file = name, driver_file
        self._process: subprocess.Popen[bytes] | None = None
        self._signal: int | None = None
        self._killed = False

    def run(self, command: Sequence[str], environment: dict[str, str], verbose: bool) -> int:
        numbers = _numbers()
        for number in numbers:
            signal.signal(number, self._on_signal)
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
        self._process = process = subprocess.Popen(
            command,
            env=environment,
            stderr=None if verbose else subprocess.PIPE,
            preexec_fn=_prepared(numbers, blocked, self._driver_file is not None),
        )
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        reader = None
        if process.stderr is not None:
            reader = threading.Thread(target=_forward, args=(process.stderr,), daemon=True)
            reader.start()
        code = process.wait()
        if reader is not None:
            # A process that the command has left behind may hold the pipe open.
            reader.join(5.0)
        if self._killed:
            assert self._signal is not None
            return 128 + self._signal
        return code if code >= 0 else 128 - code

    def _on_signal(self, number: int, frame: object) -> None:
        again, self._signal = self._signal is not None, number
        assert self._process is not None
        if self._driver_file is None:
            # A terminal sends SIGINT to the whole group.
            if number != signal.SIGINT:
                self._process.send_signal(number)
            return
        driver = self._driver()
        if driver is not None and not again:
            with contextlib.suppress(ProcessLookupError):
                os.kill(driver, number)
            return
        if not self._killed:
            self._killed = True
            when = "at once" if again else "before it began"
            _write(f"{self._name}: stopped by {signal.Signals(number).name} {when}\n".encode())
        self._process.kill()
        if driver is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(driver, signal.SIGKILL)

    def _driver(self) -> int | None:
        assert self._driver_file is not None
        try:
            return int(self._driver_file.read_text())
        except (OSError, ValueError):  # not there yet
            return None


def _numbers() -> list[signal.Signals]:
    """The signals that end a job: SIGHUP unless it is ignored."""
    ignored = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    return [signal.SIGINT, signal.SIGTERM, *([] if ignored else [signal.SIGHUP])]


def _prepared(numbers: Sequence[signal.Signals], blocked: set[int | signal.Signals], deaf: bool) -> Callable[[], None]:
    """What the child does before it becomes the command.

    Args:
        numbers: the signals that end a job.
        blocked: its signal mask.
        deaf: whether the command ignores these signals; a JVM that starts so keeps to it.
    """
    prctl = getattr(ctypes.CDLL(None), "prctl", None) if sys.platform == "linux" else None
    parent = os.getpid()

    def prepare() -> None:
        for number in numbers:
            signal.signal(number, signal.SIG_IGN if deaf else signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        if prctl is not None:
            prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != parent:
                os.kill(os.getpid(), signal.SIGKILL)

    return prepare


def _forward(pipe: IO[bytes]) -> None:
    for line in pipe:
        if not quiet.is_noise(line):
            _write(line)


def _write(line: bytes) -> None:
    """Writes to standard error, and from then on to nowhere once the terminal is gone: the command must not block."""
    try:
        sys.stderr.buffer.write(line)
        sys.stderr.buffer.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)


@contextlib.contextmanager
def _private_folders(parents: Sequence[str]) -> Iterator[list[str]]:
    """New folders, one below each parent, that only this user can read; removed after the block.

    Parents that do not exist are made, as Spark does, and stay.
    """
    with contextlib.ExitStack() as stack:
        folders = []
        for parent in parents:
            try:
                Path(parent).mkdir(parents=True, exist_ok=True)
                _sweep(Path(parent))
                folder = tempfile.mkdtemp(prefix=PREFIX, dir=parent)
            except OSError as error:
                setting = "SPARK_LOCAL_DIRS" if os.environ.get("SPARK_LOCAL_DIRS") else "spark.local.dir or TMPDIR"
                reason = f"{error.strerror}; allow writing there, or set another folder for temporary files ({setting})"
                raise OSError(error.errno, reason, parent) from None
            stack.callback(shutil.rmtree, folder, ignore_errors=True)
            file = stack.enter_context(Path(folder, "lock").open("w"))
            with contextlib.suppress(OSError):  # no locks here: others see it as a leftover when it is old
                fcntl.flock(file, fcntl.LOCK_EX)
            folders.append(folder)
        yield folders


def _sweep(parent: Path) -> None:
    """Removes the folders of runs of this user that were killed."""
    for folder in parent.glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):
            info = folder.lstat()
            if info.st_uid != os.getuid() or time.time() - info.st_mtime < _OLD:
                continue
            with (folder / "lock").open("a") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
