"""What extract will take on a cluster, learnt from a run of it on a part: 1 % of the chunks will do.

The method.  The run's record and its rows of ``tasks`` and ``extractions`` part its wall clock into

- start: from its beginning to its first task; and warm-up: what the first task of a worker takes more than the others
  (TensorFlow, the networks).  Both are paid once, whatever there is to do.
- work: ``stretch`` x (a + k x bytes) seconds a video in a task; a and k by least squares over the videos' decoding and
  detecting, stretch what tasks take by the clock beside that.  It is shared by the slots.
- writing: from a wave's last task to the next wave's first, or to the end; so much a wave.

The last tasks of a wave leave slots idle: half a task's time a wave.  How many faces there are is taken to be as it
was, and so is the machine: learn on the kind of machine that will do the rest.
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
from dflib.extraction import detect
from dflib.extraction import schedule as plan
from dflib.operations import status
from dflib.storage import Storage
from dflib.tables.schemas import CHUNKS, EXTRACTIONS, TASKS, VIDEOS
from dflib.tables.store import Tables


@dataclass(frozen=True)
class Learnt:
    """What a run tells of its kind; all times in seconds.

    Attributes:
        run_id: of the run.
        videos, tasks, workers: of it.
        start: before the first task.
        warm_up: of a worker.
        a, k: of decoding and detecting: a video, and a byte of it.
        stretch: of a task by the clock, for one of these.
        writing: a wave.
        faces: a video.
        error: of the seconds of half of its tasks, foretold from videos and tasks of the other half, as a share; NaN
            with less than four tasks.
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
        """Seconds of tasks, in all, for some videos of ``size`` bytes together."""
        return self.stretch * (self.a * videos + self.k * size)


@dataclass(frozen=True)
class Sizing:
    """What follows for the videos that are to be extracted.

    Attributes:
        learnt: from a run.
        videos, bytes, waves, tasks: to do.
        slots: tasks at once.
        fixed: seconds paid whatever there is to do.
        work: seconds of tasks, in all.
        wall: seconds of the run.
        faces: as many as will be found.
        core_hours, gpu_hours: of the whole cluster, while the run lasts.
        cost: in the unit of the prices; None without prices.
    """

    learnt: Learnt
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


def size(tables: Tables, storage: Storage, settings: config.Config) -> Sizing:
    """Sizes the extraction of all videos that the configured extractor lacks, on the cluster of section ``plan``.

    Raises:
        TableError: no whole run of extract is there to learn from.
        ConfigError: the number of cores is less than a task takes.
    """
    wish = settings.estimate
    slots = wish.cores // wish.task_cores
    if slots < 1:
        raise ConfigError(f"estimate.cores={wish.cores} is less than estimate.task_cores={wish.task_cores}")
    if wish.gpus and settings.cluster.gpu != "off" and detect.part(settings.faces.detector).on_device:
        # Each task asks for a share of a GPU; cores beyond these are idle.
        slots = min(slots, wish.gpus * settings.cluster.tasks_per_gpu)
    extractor = extractor_id(settings)
    learnt = learn(tables, storage, settings.tables.root, extractor)
    lacking = plan.pending(
        tables.read(VIDEOS), tables.read(EXTRACTIONS), tables.read(CHUNKS), extractor, settings.extract.max_attempts
    )
    todo = plan.collect(lacking)
    waves = list(plan.waves(todo, settings.extract.wave_videos))
    tasks = sum(len(plan.tasks(wave, settings.extract.task_bytes, slots)) for wave in waves)
    total = sum(video.bytes for video in todo)
    work = learnt.work(len(todo), total)
    fixed = learnt.start + learnt.warm_up
    # A cluster that has more slots than there are tasks leaves the others idle.
    busy = max(1, min(slots, tasks // max(1, len(waves))))
    idle = len(waves) * work / max(1, tasks) / 2 if busy > 1 else 0.0
    wall = fixed + work / busy + idle + learnt.writing * len(waves) if todo else 0.0
    core_hours, gpu_hours = wall / 3600 * wish.cores, wall / 3600 * wish.gpus
    cost = None
    if wish.core_hour is not None or wish.gpu_hour is not None:
        cost = core_hours * (wish.core_hour or 0) + gpu_hours * (wish.gpu_hour or 0)
    faces = round(len(todo) * learnt.faces)
    return Sizing(
        learnt, len(todo), total, len(waves), tasks, slots, fixed, work, wall, faces, core_hours, gpu_hours, cost
    )


def learn(tables: Tables, storage: Storage, root: str, extractor: str) -> Learnt:
    """What the largest whole run of extract by this extractor tells.

    Raises:
        TableError: there is none.
    """
    ledger = tables.read(EXTRACTIONS).where((F.col("extractor") == extractor) & (F.col("outcome") == "DONE"))
    sizes = tables.read(VIDEOS).select("video_id", F.coalesce("length", "size").alias("bytes"))
    records = {record["run_id"]: record for record in status.runs(storage, root) if record["outcome"] == "DONE"}
    counted = [row for row in ledger.groupBy("run_id").count().collect() if row["run_id"] in records]
    if not counted:
        raise TableError(
            f"{tables.uri(EXTRACTIONS)}: no whole run of extract by {extractor} is there to learn from; run extract "
            "on some of the chunks first"
        )
    run_id = max(counted, key=lambda row: (row["count"], row["run_id"]))["run_id"]
    tasks = [row.asDict() for row in tables.read(TASKS).where(F.col("run_id") == run_id).collect()]
    if not tasks:
        raise TableError(f"{tables.uri(TASKS)}: holds nothing of {run_id}; run extract on some more of the chunks")
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
    # Where each worker had one task only, warm-up can't be told from work, and counts as such.
    later = [task for number, task in enumerate(tasks) if number not in first] or tasks
    stretch = _stretch(later, a, k)
    more = [tasks[number]["seconds"] - stretch * _reckoned(tasks[number], a, k) for number in first]
    start, writing = _outside(tasks, records[run_id])
    return Learnt(
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
        error=_held_back(rows, later),
    )


def _line(rows: Sequence[Row]) -> tuple[float, float]:
    """Seconds a video and a byte, neither below 0: a slope that comes out negative means that bytes do not matter."""
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


def _reckoned(task: dict[str, Any], a: float, k: float) -> float:
    return float(a * task["videos"] + k * (task["bytes_read"] or 0))


def _stretch(tasks: list[dict[str, Any]], a: float, k: float) -> float:
    return float(sum(task["seconds"] for task in tasks) / sum(_reckoned(task, a, k) for task in tasks))


def _outside(tasks: list[dict[str, Any]], record: dict[str, Any]) -> tuple[float, float]:
    """Seconds before the first task, and those of writing: between waves and after the last."""
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


def _held_back(rows: Sequence[Row], tasks: list[dict[str, Any]]) -> float:
    if len(tasks) < 4:
        return float("nan")
    a, k = _line(rows[::2])
    rest = tasks[1::2]
    took = sum(task["seconds"] for task in rest)
    return float(abs(_stretch(tasks[::2], a, k) * sum(_reckoned(task, a, k) for task in rest) - took) / took)


def text(found: Sizing) -> str:
    """For a terminal."""
    learnt = found.learnt
    cost = "" if found.cost is None else f", cost {found.cost:,.2f}"
    return "\n".join(
        [
            f"learnt from {learnt.run_id}: {learnt.videos:,} videos in {learnt.tasks:,} tasks of {learnt.workers:,} "
            "workers",
            f"  start {learnt.start:.0f} s, warm-up {learnt.warm_up:.1f} s; a video {learnt.a:.3f} s and "
            f"{1e6 * learnt.k:.3f} s a MB, in a task {learnt.stretch:.2f} times that; writing "
            f"{learnt.writing:.1f} s a wave",
            "  half of its tasks foretold from the other half: "
            + ("too few tasks to say" if np.isnan(learnt.error) else f"{learnt.error:.0%} off"),
            f"to extract: {found.videos:,} videos, {found.bytes / 1e9:,.2f} GB to read, some {found.faces:,} faces, "
            f"in {found.tasks:,} tasks",
            f"  fixed {found.fixed:.0f} s, tasks {found.work / 3600:,.2f} hours, {found.slots:,} at once: "
            f"{found.wall / 60:,.1f} minutes",
            f"  {found.core_hours:,.1f} core-hours, {found.gpu_hours:,.1f} GPU-hours{cost}",
        ]
    )
