"""A process for one variant of :mod:`benchmarks.extract_variants`, so that variants share no memory or caches.

The child reads clip paths, one per line, and answers each with a line of JSON; :class:`Worker` is the parent's side.
"""

import gc
import json
import os
import resource
import subprocess
import sys
import time
import traceback
from pathlib import Path
from typing import Any

HOME = Path(__file__).parent.parent

ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "TF_NUM_INTRAOP_THREADS": "1",
    "TF_NUM_INTEROP_THREADS": "1",
    "TF_USE_LEGACY_KERAS": "1",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "CUDA_VISIBLE_DEVICES": "-1",
}
"""Environment of a process that uses one CPU thread; must be set before anything is imported."""


class Worker:
    """A child process; :meth:`ready` waits until it has loaded everything."""

    def __init__(self, variant: str) -> None:
        self.variant = variant
        self._started = time.perf_counter()
        self._child = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.extract_worker", variant],
            cwd=HOME,
            env=os.environ | ONE_THREAD,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ready(self) -> dict[str, Any]:
        """The cost of starting; or, under ``skipped``, the reason why the variant is not available."""
        answer = self._answer()
        if "skipped" not in answer:
            answer["wall"] = time.perf_counter() - self._started
        return answer

    def measure(self, clip: Path) -> dict[str, Any]:
        assert self._child.stdin is not None
        self._child.stdin.write(json.dumps(str(clip.resolve())) + "\n")
        self._child.stdin.flush()
        return self._answer()

    def close(self) -> None:
        """Kills the child."""
        self._child.kill()
        self._child.communicate()

    def _answer(self) -> dict[str, Any]:
        assert self._child.stdout is not None
        line = self._child.stdout.readline()
        if not line:
            raise SystemExit(f"extract: {self.variant} exited with {self._child.wait()}; see above")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise SystemExit(f"extract: {self.variant}: {answer['error']}")
        return answer


def _peak_bytes() -> int:
    """Peak resident memory of this process.

    From the kernel's high-water mark where available: ``ru_maxrss`` of a child includes its parent's memory.
    """
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _serve(variant: str) -> None:
    # Output of libraries must not mix with the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def answer(message: dict[str, Any]) -> None:
        print(json.dumps(message), file=answers, flush=True)

    import cv2

    from benchmarks import extract_variants
    from dflib.errors import ConfigError

    cv2.setNumThreads(1)
    try:
        made = extract_variants.make(variant)
    except ConfigError as error:
        answer({"skipped": str(error)})
        return
    answer({"cpu": time.process_time(), "peak_bytes": _peak_bytes()})
    for line in sys.stdin:
        clip = Path(json.loads(line))
        try:
            prepared = made.prepare(clip)
            gc.collect()
            wall, cpu = time.perf_counter(), time.process_time()
            done = made.run(clip, prepared)
            cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        except Exception as error:  # reported to the parent, which ends the run
            traceback.print_exc()
            answer({"error": f"{clip.name}: {type(error).__name__}: {error}"})
            return
        figures = {"cpu": cpu, "wall": wall, "frames": done.frames, "faces": done.faces}
        answer(figures | {"parts": done.parts, "peak_bytes": _peak_bytes()})


if __name__ == "__main__":
    _serve(sys.argv[1])
