"""Runs Spark beside itself: private temporary folders, signals, and standard error without known noise.

This process takes the place of the dflib command, so that its id and its exit code are those of the job. It imports
nothing but the standard library and stays small while the job runs.

- Spark's temporary files hold face crops. They lie in folders that only this user can read, which are removed at the
  end, and those of a killed run by a later one.
- SIGINT and SIGTERM reach the driver's Python only, which ends the job in order (:mod:`dflib.runtime.interruption`);
  the JVM ignores them, as it would stop under the driver's hands. A second signal ends all at once.
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
    ``folders`` (where temporary files may lie) and ``driver_variable``: the variable with the path of a file into which
    the driver writes its process id once it handles signals; null: there is no driver in Python.
    """
    options, command = json.loads(sys.argv[1]), sys.argv[2:]
    try:
        with _private_folders(options["folders"]) as folders:
            environment = {**os.environ, "SPARK_LOCAL_DIRS": ",".join(folders)}
            driver_file = None
            if options["driver_variable"]:
                driver_file = Path(folders[0]) / "driver"
                environment[options["driver_variable"]] = str(driver_file)
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
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._on_signal)
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))
        self._process = process = subprocess.Popen(
            command,
            env=environment,
            stderr=None if verbose else subprocess.PIPE,
            preexec_fn=_prepared(blocked, self._driver_file is not None),
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
            print(f"{self._name}: stopped by {signal.Signals(number).name} {when}", file=sys.stderr, flush=True)
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


def _prepared(blocked: set[int | signal.Signals], deaf: bool) -> Callable[[], None]:
    """What the child does before it becomes the command.

    Args:
        blocked: its signal mask.
        deaf: whether the command ignores SIGINT and SIGTERM; a JVM that starts so keeps to it.
    """
    prctl = getattr(ctypes.CDLL(None), "prctl", None) if sys.platform == "linux" else None
    parent = os.getpid()

    def prepare() -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
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
            sys.stderr.buffer.write(line)
            sys.stderr.buffer.flush()


@contextlib.contextmanager
def _private_folders(parents: Sequence[str]) -> Iterator[list[str]]:
    """New folders, one below each parent, that only this user can read; removed after the block."""
    with contextlib.ExitStack() as stack:
        folders = []
        for parent in parents:
            _sweep(Path(parent))
            folder = tempfile.mkdtemp(prefix=PREFIX, dir=parent)
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
