"""Progress of long work: a bar on a terminal, a line now and then in a log."""

import os
import sys
import time
from pathlib import Path
from typing import TextIO


def terminal() -> TextIO:
    """Where progress goes: the terminal that spark-submit.sh was started on, else standard error.

    Spark hands on the streams of a Python driver through pipes, so the driver does not see the terminal itself.
    """
    name = os.environ.get("DFLIB_TERMINAL")
    if name:
        try:
            return Path(name).open("w")
        except OSError:
            pass
    return sys.stderr


class Progress:
    """Says how much of a known total is done, at what rate, and how long the rest will take."""

    def __init__(self, stream: TextIO | None = None, every: float = 30.0) -> None:
        """``every``: seconds between lines where ``stream`` (standard error by default) is no terminal."""
        self._stream = stream or sys.stderr
        self._bar = self._stream.isatty()
        self._every = 0.2 if self._bar else every
        self._what = ""
        self._total = 0
        self._done = 0.0
        self._started = self._said = 0.0

    def start(self, what: str, total: int) -> None:
        """Begins counting ``total`` of ``what`` (such as "videos")."""
        self._what, self._total, self._done = what, total, 0.0
        self._started = self._said = time.monotonic()

    def set(self, done: float) -> None:
        """So many are done by now."""
        self._done = done
        if time.monotonic() - self._said >= self._every:
            self._say()

    def finish(self) -> None:
        """Ends the count; a bar is closed with its last state."""
        if self._bar:
            self._say()
            self._stream.write("\n")
            self._stream.flush()

    def _say(self) -> None:
        self._said = time.monotonic()
        seconds = self._said - self._started
        rate = self._done / seconds if seconds > 0 else 0.0
        left = f"{(self._total - self._done) / rate:,.0f} s left" if rate > 0 else "rate unknown yet"
        line = f"{self._what}: {self._done:,.0f} of {self._total:,} done, {rate:,.1f} a second, {left}"
        if self._bar:
            filled = round(30 * self._done / self._total) if self._total else 30
            self._stream.write(f"\r[{'#' * filled}{'.' * (30 - filled)}] {line}\x1b[K")
        else:
            self._stream.write(line + "\n")
        self._stream.flush()
