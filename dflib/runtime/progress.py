"""Progress of long work: a bar on a terminal, or a line every half minute in a log."""

import io
import math
import os
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO


def terminal() -> TextIO:
    """The stream for progress: the terminal of the dflib command, else standard error.

    Spark connects a Python driver by pipes, so the driver does not see the terminal itself.
    """
    name = os.environ.get("DFLIB_TERMINAL")
    if name:
        try:
            return Path(name).open("w")
        except OSError:
            pass
    return sys.stderr


@dataclass(frozen=True)
class ProgressState:
    """The progress of one phase of a job.

    Attributes:
        what: the unit, such as "videos".
        done, total: counts of it.
        rate: per second; None while unknown, and after the phase.
    """

    what: str
    done: float
    total: int
    rate: float | None


class Progress:
    """Reports how much of a known total is done, at what rate, and how long the rest will take.

    A job may have several phases, one after another; each begins with :meth:`start`. Safe to use from several threads.
    """

    def __init__(
        self, stream: TextIO | None = None, every: float = 30.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """``every``: seconds between lines when ``stream`` (default: standard error) is not a terminal."""
        self._stream = stream or sys.stderr
        self._bar = self._stream.isatty()
        self._every = 0.2 if self._bar else every
        self._clock = clock
        self._lock = threading.Lock()
        self._what = ""
        self._total = 0
        self._done = 0.0
        self._started = self._printed = 0.0
        self._first: tuple[float, float] | None = None
        self._over = False

    def start(self, what: str, total: int) -> None:
        """Begins counting ``total`` of ``what`` (such as "videos")."""
        with self._lock:
            self._what, self._total, self._done, self._first, self._over = what, total, 0.0, None, False
            self._started = self._printed = self._clock()

    def set(self, done: float) -> None:
        """Sets the current count."""
        with self._lock:
            self._done = done
            self._first = self._first or (self._clock(), done)
        if self._clock() - self._printed >= self._every:
            self._print()

    @property
    def state(self) -> ProgressState | None:
        """The progress of the current phase; None before the first one.

        The rate counts from the first update, once there is a second: resumed work begins with a large count.
        """
        with self._lock:
            if not self._what:
                return None
            now, (since, before) = self._clock(), (self._started, 0.0)
            if self._first is not None and self._done > self._first[1]:
                since, before = self._first
            done, seconds = self._done - before, now - since
            known = done > 0 and seconds > 0 and not self._over
            return ProgressState(self._what, self._done, self._total, done / seconds if known else None)

    def finish(self) -> None:
        """Ends the phase, also one that stopped early; a bar is closed in its last state."""
        if self._bar:
            self._print()
            self._write("\n")
        with self._lock:
            self._over = True

    def _print(self) -> None:
        self._printed = self._clock()
        now = self.state
        if now is None:
            return
        rate = "rate unknown yet"
        if now.rate is not None:
            rate = f"{now.rate:,.1f} a second, {(now.total - now.done) / now.rate:,.0f} s left"
        line = f"{now.what}: {now.done:,.0f} of {now.total:,} done, {rate}"
        if self._bar:
            filled = round(30 * now.done / now.total) if now.total else 30
            self._write(f"\r[{'#' * filled}{'.' * (30 - filled)}] {line}\x1b[K")
        else:
            self._write(line + "\n")

    def _write(self, text: str) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()
        except OSError:  # the terminal was closed; the job ends in order, or goes on
            self._stream = io.StringIO()
            self._bar, self._every = False, math.inf
