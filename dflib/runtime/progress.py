"""Progress of long work: a bar on a terminal, a line now and then in a log, and how far it is for who asks."""

import os
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
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


@dataclass(frozen=True)
class ProgressState:
    """How far a phase of a job is.

    Attributes:
        what: is counted, such as "videos".
        done, total: of it.
        rate: of it a second; None while none is known, and when the phase is over.
    """

    what: str
    done: float
    total: int
    rate: float | None


class Progress:
    """Says how much of a known total is done, at what rate, and how long the rest will take.

    A job may have several phases, one after another, each with a start.  Threads may tell and ask at once.
    """

    def __init__(
        self, stream: TextIO | None = None, every: float = 30.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """``every``: seconds between lines where ``stream`` (standard error by default) is no terminal."""
        self._stream = stream or sys.stderr
        self._bar = self._stream.isatty()
        self._every = 0.2 if self._bar else every
        self._clock = clock
        self._lock = threading.Lock()
        self._what = ""
        self._total = 0
        self._done = 0.0
        self._started = self._said = 0.0
        self._first: tuple[float, float] | None = None
        self._over = False

    def start(self, what: str, total: int) -> None:
        """Begins counting ``total`` of ``what`` (such as "videos")."""
        with self._lock:
            self._what, self._total, self._done, self._first, self._over = what, total, 0.0, None, False
            self._started = self._said = self._clock()

    def set(self, done: float) -> None:
        """So many are done by now."""
        with self._lock:
            self._done = done
            self._first = self._first or (self._clock(), done)
        if self._clock() - self._said >= self._every:
            self._say()

    @property
    def state(self) -> ProgressState | None:
        """How far the phase is that began last; None before the first one.

        The rate is that since the first word of it, once there was a second one: work that goes on where a killed
        run was begins with much that is done already.
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
        """Ends the count, also of what stopped early; a bar is closed with its last state."""
        if self._bar:
            self._say()
            self._stream.write("\n")
            self._stream.flush()
        with self._lock:
            self._over = True

    def _say(self) -> None:
        self._said = self._clock()
        now = self.state
        if now is None:
            return
        rate = "rate unknown yet"
        if now.rate is not None:
            rate = f"{now.rate:,.1f} a second, {(now.total - now.done) / now.rate:,.0f} s left"
        line = f"{now.what}: {now.done:,.0f} of {now.total:,} done, {rate}"
        if self._bar:
            filled = round(30 * now.done / now.total) if now.total else 30
            self._stream.write(f"\r[{'#' * filled}{'.' * (30 - filled)}] {line}\x1b[K")
        else:
            self._stream.write(line + "\n")
        self._stream.flush()
