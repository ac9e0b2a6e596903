"""Estimates time and cost of extracting the remaining videos on a cluster, from an earlier run of extract.

A run on 1 % of the chunks is enough. Its record and its rows in ``tasks`` and ``extractions`` divide its wall-clock
time into

- start: from the beginning to the first task; and warm-up: the additional time of a worker's first task (TensorFlow,
  the networks). Both occur once, for any amount of work.
- work: ``stretch`` x (a + k x bytes) seconds a video; a and k by least squares over the seconds of decoding and
  detection, stretch as the ratio of the wall-clock time of tasks to that. Slots share it.
- writing: from the last task of a wave to the first of the next, or to the end; the same for each wave.

At the end of a wave, slots are idle: half a task's time is added for each wave. Faces per video and speed of the
machine are assumed to be those of the earlier run, so use the same kind of machine.

The estimate covers counted work only.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from pyspark.sql import Row
from pyspark.sql import functions as F

from dflib import config
from dflib.config.identity import extractor_id
from dflib.errors import ConfigError, TableError
from dflib.extraction import detect, schedule
from dflib.operations import status
from dflib.storage import Storage
from dflib.tables.schemas import CHUNKS, EXTRACTIONS, TASKS, VIDEOS
from dflib.tables.store import Tables


@dataclass(frozen=True)
class Measured:
    """Measurements of one run; all times in seconds.

    Attributes:
        run_id: of the run.
        videos, tasks, workers: counts of the run.
        start: before the first task.
        warm_up: of each worker.
        a, k: of decoding and detection, per video and per byte.
        stretch: wall-clock seconds of a task per second of decoding and detection.
        writing: per wave.
        faces: per video.
        error: relative error of the time of half of its tasks, estimated from the other half; NaN with fewer than four
            tasks.
    """

    run_id: str
    videos: int
    tasks: int
    workers: int
    start: float
    warm_up: float
    a: float
    k: float
    stretch: float
    writing: float
    faces: float
    error: float

    def work(self, videos: int, size: int) -> float:
        """Total seconds of tasks for ``videos`` videos of ``size`` bytes together."""
        return self.stretch * (self.a * videos + self.k * size)


@dataclass(frozen=True)
class Estimate:
    """The estimate for the remaining videos.

    Attributes:
        measured: measurements of the earlier run.
        videos, bytes, waves, tasks: remaining.
        slots: concurrent tasks.
        fixed: seconds that occur for any amount of work.
        work: total seconds of tasks.
        wall: seconds of the run.
        faces: expected number.
        core_hours, gpu_hours: of the whole cluster during the run.
        cost: in the unit of the prices; None without prices.
    """

    measured: Measured
    videos: int
    bytes: int
    waves: int
    tasks: int
    slots: int
    fixed: float
    work: float
    wall: float
    faces: int
    core_hours: float
    gpu_hours: float
    cost: float | None


def estimate(tables: Tables, storage: Storage, settings: config.Config) -> Estimate:
    """Estimates the extraction of all pending videos on the cluster of section ``estimate``.

    Raises:
        TableError: there is no complete run of extract to measure.
        ConfigError: ``estimate.cores`` is less than a task needs.
    """
    wanted = settings.estimate
    slots = wanted.cores // wanted.task_cores
    if slots < 1:
        raise ConfigError(f"estimate.cores={wanted.cores} is less than estimate.task_cores={wanted.task_cores}")
    if wanted.gpus and settings.cluster.gpu != "off" and detect.part(settings.faces.detector).on_device:
        # Each task requests a share of a GPU; further cores are idle.
        slots = min(slots, wanted.gpus * settings.cluster.tasks_per_gpu)
    extractor = extractor_id(settings)
    measured = measure(tables, storage, settings.tables.root, extractor)
    pending = schedule.pending(
        tables.read(VIDEOS), tables.read(EXTRACTIONS), tables.read(CHUNKS), extractor, settings.extract.max_attempts
    )
    remaining = schedule.collect(pending)
    waves = list(schedule.waves(remaining, settings.extract.wave_videos))
    tasks = sum(len(schedule.tasks(wave, settings.extract.task_bytes, slots)) for wave in waves)
    total = sum(video.bytes for video in remaining)
    work = measured.work(len(remaining), total)
    fixed = measured.start + measured.warm_up
    # With more slots than tasks, some slots are idle.
    busy = max(1, min(slots, tasks // max(1, len(waves))))
    idle = len(waves) * work / max(1, tasks) / 2 if busy > 1 else 0.0
    wall = fixed + work / busy + idle + measured.writing * len(waves) if remaining else 0.0
    core_hours, gpu_hours = wall / 3600 * wanted.cores, wall / 3600 * wanted.gpus
    cost = None
    if wanted.core_hour is not None or wanted.gpu_hour is not None:
        cost = core_hours * (wanted.core_hour or 0) + gpu_hours * (wanted.gpu_hour or 0)
    faces = round(len(remaining) * measured.faces)
    return Estimate(
        measured, len(remaining), total, len(waves), tasks, slots, fixed, work, wall, faces, core_hours, gpu_hours, cost
    )


def measure(tables: Tables, storage: Storage, root: str, extractor: str) -> Measured:
    """Measurements of the largest complete run of this extractor.

    Raises:
        TableError: there is none.
    """
    ledger = tables.read(EXTRACTIONS).where((F.col("extractor") == extractor) & (F.col("outcome") == "DONE"))
    sizes = tables.read(VIDEOS).select("video_id", F.coalesce("length", "size").alias("bytes"))
    records = {record["run_id"]: record for record in status.runs(storage, root) if record["outcome"] == "DONE"}
    counted = [row for row in ledger.groupBy("run_id").count().collect() if row["run_id"] in records]
    if not counted:
        raise TableError(
            f"{tables.uri(EXTRACTIONS)}: there is no complete run of extract by {extractor}; run extract "
            "on some of the chunks first"
        )
    run_id = max(counted, key=lambda row: (row["count"], row["run_id"]))["run_id"]
    tasks = [row.asDict() for row in tables.read(TASKS).where(F.col("run_id") == run_id).collect()]
    if not tasks:
        raise TableError(f"{tables.uri(TASKS)}: holds no task of {run_id}; run extract on more of the chunks")
    rows = (
        ledger.where(F.col("run_id") == run_id)
        .join(sizes, "video_id")
        .orderBy("video_id")
        .select("bytes", "decode_seconds", "detect_seconds", "faces")
        .collect()
    )
    a, k = _line(rows)
    workers = {(task["host"], task["worker"]) for task in tasks}
    first = _first_of_workers(tasks)
    # If each worker had only one task, warm-up and work can't be separated; all counts as work.
    later = [task for number, task in enumerate(tasks) if number not in first] or tasks
    stretch = _stretch(later, a, k)
    more = [tasks[number]["seconds"] - stretch * _fitted_seconds(tasks[number], a, k) for number in first]
    start, writing = _outside(tasks, records[run_id])
    return Measured(
        run_id=run_id,
        videos=len(rows),
        tasks=len(tasks),
        workers=len(workers),
        start=start,
        warm_up=max(0.0, float(np.mean(more))) if later is not tasks else 0.0,
        a=a,
        k=k,
        stretch=stretch,
        writing=writing / len({task["wave"] for task in tasks}),
        faces=sum(row["faces"] for row in rows) / len(rows),
        error=_error_on_half(rows, later),
    )


def _line(rows: Sequence[Row]) -> tuple[float, float]:
    """Seconds per video and per byte, both at least 0: a negative slope means that bytes do not matter."""
    sizes = np.array([row["bytes"] for row in rows], float)
    seconds = np.array([(row["decode_seconds"] or 0) + (row["detect_seconds"] or 0) for row in rows])
    if len(sizes) < 3 or np.ptp(sizes) == 0:
        return float(seconds.mean()), 0.0
    k, a = np.polyfit(sizes, seconds, 1)
    if k < 0:
        return float(seconds.mean()), 0.0
    if a < 0:
        return 0.0, float(seconds.sum() / sizes.sum())
    return float(a), float(k)


def _first_of_workers(tasks: list[dict[str, Any]]) -> set[int]:
    first: dict[tuple[str, int], int] = {}
    for number in sorted(range(len(tasks)), key=lambda number: tasks[number]["started_at"]):
        first.setdefault((tasks[number]["host"], tasks[number]["worker"]), number)
    return set(first.values())


def _fitted_seconds(task: dict[str, Any], a: float, k: float) -> float:
    return float(a * task["videos"] + k * (task["bytes_read"] or 0))


def _stretch(tasks: list[dict[str, Any]], a: float, k: float) -> float:
    return float(sum(task["seconds"] for task in tasks) / sum(_fitted_seconds(task, a, k) for task in tasks))


def _outside(tasks: list[dict[str, Any]], record: dict[str, Any]) -> tuple[float, float]:
    """Seconds before the first task, and seconds of writing: between waves and after the last."""
    spans: dict[int, tuple[float, float]] = {}
    for task in tasks:
        begun = task["started_at"].timestamp()
        ended = begun + task["seconds"]
        low, high = spans.get(task["wave"], (begun, ended))
        spans[task["wave"]] = (min(low, begun), max(high, ended))
    begun = datetime.fromisoformat(record["started_at"]).timestamp()
    start = min(low for low, _ in spans.values()) - begun
    busy = sum(high - low for low, high in spans.values())
    return max(0.0, start), max(0.0, record["seconds"] - start - busy)


def _error_on_half(rows: Sequence[Row], tasks: list[dict[str, Any]]) -> float:
    if len(tasks) < 4:
        return float("nan")
    a, k = _line(rows[::2])
    rest = tasks[1::2]
    took = sum(task["seconds"] for task in rest)
    return float(abs(_stretch(tasks[::2], a, k) * sum(_fitted_seconds(task, a, k) for task in rest) - took) / took)


def text(found: Estimate) -> str:
    """The estimate as lines for a terminal."""
    measured = found.measured
    cost = "" if found.cost is None else f", cost {found.cost:,.2f}"
    return "\n".join(
        [
            f"measured on {measured.run_id}: {measured.videos:,} videos in {measured.tasks:,} tasks of "
            f"{measured.workers:,} workers",
            f"  start {measured.start:.0f} s, warm-up {measured.warm_up:.1f} s; a video {measured.a:.3f} s and "
            f"{1e6 * measured.k:.3f} s a MB, in a task {measured.stretch:.2f} times that; writing "
            f"{measured.writing:.1f} s a wave",
            "  half of its tasks estimated from the other half: "
            + ("too few tasks" if np.isnan(measured.error) else f"{measured.error:.0%} off"),
            f"to extract: {found.videos:,} videos, {found.bytes / 1e9:,.2f} GB to read, some {found.faces:,} faces, "
            f"in {found.tasks:,} tasks",
            f"  fixed {found.fixed:.0f} s, tasks {found.work / 3600:,.2f} hours, {found.slots:,} at once: "
            f"{found.wall / 60:,.1f} minutes",
            f"  {found.core_hours:,.1f} core-hours, {found.gpu_hours:,.1f} GPU-hours{cost}",
        ]
    )
