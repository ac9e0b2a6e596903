"""One process for one way of :mod:`benchmarks.extract_variants`, so that none shares memory or caches with another.

The child takes clip paths as lines of its input and answers each with a line of JSON; :class:`Worker` is its other end.
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
"""Environment of a process that uses one thread of the CPU; has to be there before anything is imported."""


class Worker:
    """A child that has yet to say that it is ready."""

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
        """What starting took; ``skipped`` is there, with a reason, when the way can't be had."""
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
        """Ends the child, whatever it is at."""
        self._child.kill()
        self._child.communicate()

    def _answer(self) -> dict[str, Any]:
        assert self._child.stdout is not None
        line = self._child.stdout.readline()
        if not line:
            raise SystemExit(f"extract: {self.variant} ended with {self._child.wait()}; see above")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise SystemExit(f"extract: {self.variant}: {answer['error']}")
        return answer


def _peak_bytes() -> int:
    """Most memory held by this process.

    From the kernel's own mark where there is one: ``ru_maxrss`` of a child counts what its parent held.
    """
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _serve(variant: str) -> None:
    # What libraries print must not come between the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def answer(given: dict[str, Any]) -> None:
        print(json.dumps(given), file=answers, flush=True)

    import cv2

    from benchmarks import extract_variants
    from dflib.errors import ConfigError

    cv2.setNumThreads(1)
    try:
        way = extract_variants.make(variant)
    except ConfigError as error:
        answer({"skipped": str(error)})
        return
    answer({"cpu": time.process_time(), "peak_bytes": _peak_bytes()})
    for line in sys.stdin:
        clip = Path(json.loads(line))
        try:
            prepared = way.prepare(clip)
            gc.collect()
            wall, cpu = time.perf_counter(), time.process_time()
            done = way.run(clip, prepared)
            cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        except Exception as error:  # told to the parent, which ends the run
            traceback.print_exc()
            answer({"error": f"{clip.name}: {type(error).__name__}: {error}"})
            return
        figures = {"cpu": cpu, "wall": wall, "frames": done.frames, "faces": done.faces}
        answer(figures | {"parts": done.parts, "peak_bytes": _peak_bytes()})


if __name__ == "__main__":
    _serve(sys.argv[1])
