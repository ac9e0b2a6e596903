"""Counts what became of hostile inputs, and what they cost."""

import contextlib
import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")

MAX_PEAK_MB = 1500
MAX_SECONDS = 20


class Census:
    """Outcomes of inputs: ``right``, ``refused``, or anything else, which is a fault; and the CPU seconds of each."""

    def __init__(self) -> None:
        self.outcomes: Counter[str] = Counter()
        self.faults: list[str] = []
        self.slowest = 0.0
        self.peak_mb = 0

    def add(self, read: Callable[[], T | str], judge: Callable[[T], str] | None = None) -> None:
        """Counts one input; an exception is a fault.

        Args:
            read: what dflib does, whose time is taken; its result, or the outcome as text.
            judge: compares a result with the truth: ``right``, or what is wrong; None: ``read`` gives the outcome.
        """
        _forget_peak()
        before = time.process_time()
        try:
            result = read()
            self.slowest = max(self.slowest, time.process_time() - before)
            self.peak_mb = max(self.peak_mb, _peak_mb())
            outcome = result if isinstance(result, str) or judge is None else judge(result)
        except Exception as error:
            outcome = f"{type(error).__name__}: {error}"
        if outcome not in ("right", "refused"):
            self.faults.append(f"input {sum(self.outcomes.values())}: {outcome[:300]}")
            outcome = "else"
        self.outcomes[outcome] += 1

    def json(self) -> str:
        """The counts, with the peak of this process's memory in MB while dflib was reading."""
        counts = {name: self.outcomes[name] for name in ("right", "refused", "else")}
        return json.dumps(
            {"tried": sum(self.outcomes.values()), **counts, "faults": self.faults[:10], "peak_mb": self.peak_mb}
            | {"slowest_s": round(self.slowest, 1)}
        )


def _peak_mb() -> int:
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) // 1000


def _forget_peak() -> None:
    """Starts the peak anew (proc(5)), so that the memory of the comparison with the truth does not count."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def take(module: str, folder: Path) -> dict[str, Any]:
    """The census that a module of this package takes in a process of its own."""
    done = subprocess.run([sys.executable, "-m", module, str(folder)], check=True, capture_output=True, text=True)
    census: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    print(module, census)
    return census


def check(census: dict[str, Any], tried: int) -> None:
    """Asserts that at least so many inputs were tried, that none was a fault, and what they cost."""
    assert census["else"] == 0, census["faults"]
    assert census["tried"] >= tried and census["right"] > 0 and census["refused"] > 0
    assert census["peak_mb"] <= MAX_PEAK_MB and census["slowest_s"] <= MAX_SECONDS
