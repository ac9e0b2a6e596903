"""What it costs to extract videos in a process of their own: CPU time and memory, against the same work in the task.

    python -m benchmarks.extract_isolation clip.mp4 ... [--repeats 9] [--out extract_isolation.json]

Both read a clip, hash it and extract it with one thread and the base configuration.  They take turns on every clip in
a changing order, after one round that is not counted.  The CPU time of the isolated way is that of both processes.
The figure of a clip is the median of its repeats' ratios.  ``overhead`` is steadier on a busy machine: the CPU time
that the isolated way spends outside :func:`extract_video` (passing bytes and rows, looking at the process), as a share
of that inside.  Peak memory is that of a process that did only one of them.
"""

import argparse
import hashlib
import json
import multiprocessing
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.extract import machine
from benchmarks.extract_worker import ONE_THREAD
from dflib.config import Config
from dflib.config import load as conf_files
from dflib.runtime import process

HOME = Path(__file__).parent.parent


def _settings() -> Config:
    return conf_files.load(HOME / "conf", "local", [])


def _direct() -> tuple[Callable[[Path], Any], Callable[[], float]]:
    """The work, and the CPU clock of what it runs in besides this process."""
    from dflib.extraction import detect, tracks
    from dflib.extraction.video import extract_video

    settings = _settings()
    detector = detect.load(settings.faces.detector, tracks.candidate_threshold(settings.faces))

    def work(clip: Path) -> Any:
        content = clip.read_bytes()
        return hashlib.sha256(content).hexdigest(), extract_video(content, clip.stem, "x", settings, detector)

    return work, lambda: 0.0


def _isolated() -> tuple[Callable[[Path], Any], Callable[[], float]]:
    from dflib.extraction import isolation
    from dflib.runtime.gpus import Ask

    settings = _settings()
    isolated = isolation.of_worker(settings.faces, Ask("none", False))
    # Linux's CPU clock of another process, in nanoseconds; its /proc counts in steps of 10 ms.
    clock = ~isolated.start().pid << 3 | 2

    def work(clip: Path) -> Any:
        content = clip.read_bytes()
        return hashlib.sha256(content).hexdigest(), isolated.extract(content, clip.stem, "x", settings)

    return work, lambda: time.clock_gettime(clock)


WAYS = {"direct": _direct, "isolated": _isolated}


def stable(result: Any) -> Any:
    """The rows without the columns that differ from run to run."""
    digest, rows = result
    ledger = {name: value for name, value in rows.ledger.items() if not name.endswith("_seconds")}
    return digest, ledger, rows.frames, rows.faces


def costs(clips: list[Path], repeats: int) -> dict[str, Any]:
    """Median CPU and wall-clock seconds of each clip and way, and their ratios."""
    works = {name: make() for name, make in WAYS.items()}
    samples: dict[tuple[str, str], list[tuple[float, float]]] = {}
    turn = 0
    for repeat in range(repeats + 1):
        for clip in clips:
            results = {}
            for name in sorted(works, reverse=bool(turn % 2)):
                work, clock = works[name]
                wall, cpu = time.perf_counter(), time.process_time() + clock()
                result = work(clip)
                cpu, wall = time.process_time() + clock() - cpu, time.perf_counter() - wall
                results[name] = stable(result)
                if repeat:
                    samples.setdefault((clip.name, name), []).append((cpu, wall))
            if results["direct"] != results["isolated"]:
                raise SystemExit(f"extract_isolation: {clip.name}: the rows differ")
            turn += 1
    isolated_work, isolated_clock = works["isolated"]
    overheads: dict[str, list[float]] = {}
    for _ in range(repeats):
        for clip in clips:
            reading = time.process_time()
            hashlib.sha256(clip.read_bytes()).hexdigest()
            before = time.process_time()
            cpu = before + isolated_clock()
            _, rows = isolated_work(clip)
            cpu = time.process_time() + isolated_clock() - cpu - (before - reading)
            inside = rows.ledger["decode_seconds"] + rows.ledger["detect_seconds"]
            overheads.setdefault(clip.name, []).append(cpu / inside - 1)
    figures = {}
    for clip in clips:
        direct, isolated = samples[clip.name, "direct"], samples[clip.name, "isolated"]
        figures[clip.name] = {
            "direct_cpu": statistics.median(cpu for cpu, _ in direct),
            "isolated_cpu": statistics.median(cpu for cpu, _ in isolated),
            "cpu_ratio": statistics.median(two[0] / one[0] for one, two in zip(direct, isolated, strict=True)),
            "overhead": statistics.median(overheads[clip.name]),
            "wall_ratio": statistics.median(two[1] / one[1] for one, two in zip(direct, isolated, strict=True)),
        }
    return figures


def memory(clips: list[Path], name: str) -> dict[str, float]:
    """Peak resident MiB of this process and of the one that it starts, after two rounds."""
    work, _ = WAYS[name]()
    for _ in range(2):
        for clip in clips:
            work(clip)
    peaks = {"task": process.Usage(os.getpid()).peak_bytes() / (1 << 20)}
    if name == "isolated":
        from dflib.extraction import isolation
        from dflib.runtime.gpus import Ask

        peaks["own"] = isolation.of_worker(_settings().faces, Ask("none", False)).peak_bytes() / (1 << 20)
        isolation.close()
    return {part: round(value) for part, value in peaks.items()}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clip", nargs="+", type=Path)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/extract_isolation.json"))
    arguments = parser.parse_args()
    os.environ.update(ONE_THREAD)
    spawned = multiprocessing.get_context("spawn")
    peaks = {}
    for name in WAYS:
        with spawned.Pool(1) as pool:
            peaks[name] = pool.apply(memory, (arguments.clip, name))
    with spawned.Pool(1) as pool:
        figures = pool.apply(costs, (arguments.clip, arguments.repeats))
    for name, row in figures.items():
        print(f"{name:20}" + "".join(f"  {key} {value:.4f}" for key, value in row.items()))
    ratios = {
        key: statistics.median(row[key] for row in figures.values()) for key in ("cpu_ratio", "overhead", "wall_ratio")
    }
    print(f"medians over all clips: {ratios}; peak MiB: {peaks}")
    result = {"machine": machine(), "repeats": arguments.repeats, "clips": figures, **ratios, "peak_mib": peaks}
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(result, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
