"""What extract will take on a cluster, reckoned from the tasks of a run that was.

The method.  A video costs CPU seconds a + k·bytes (least squares over the ledger's rows); a task takes that times the
ratio of its wall clock to its CPU time; a run takes its fixed cost (start of Spark, planning, writing, loading the
networks: all that is not in tasks) and the tasks' seconds shared by the slots.  What the ledger does not know yet (how
many frames and faces there are) is taken to be as it was, a video.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from pyspark.sql import functions as F

from dflib import config, status
from dflib.errors import ConfigError, TableError
from dflib.extraction import plan
from dflib.extraction.extractor import extractor_id
from dflib.storage import Storage
from dflib.tables.schemas import CHUNKS, EXTRACTIONS, TASKS, VIDEOS
from dflib.tables.store import Tables


@dataclass(frozen=True)
class Sizing:
    """What was learnt and what follows.

    Attributes:
        run_id: the run that was learnt from: the largest one.
        videos, tasks: of it.
        fixed: seconds of it outside tasks.
        a, k: CPU seconds a video and a byte.
        stretch: seconds of the wall clock for a CPU second.
        error: of the seconds of half its tasks, foretold from the other half, as a share.
        to_do, bytes: videos to extract and their bytes.
        task_seconds: what their tasks will take, in all.
        slots: tasks at once.
        wall: seconds.
        faces: as many as will be found.
        cost: in the unit of the prices; None without prices.
    """

    run_id: str
    videos: int
    tasks: int
    fixed: float
    a: float
    k: float
    stretch: float
    error: float
    to_do: int
    bytes: int
    task_seconds: float
    slots: int
    wall: float
    faces: int
    cost: float | None


def size(tables: Tables, storage: Storage, settings: config.Config) -> Sizing:
    """Sizes the extraction of all videos that the configured extractor lacks.

    Raises:
        TableError: no run of extract is there to learn from.
        ConfigError: the number of cores is less than a task takes.
    """
    wish = settings.plan
    slots = wish.cores // wish.task_cores
    if slots < 1:
        raise ConfigError(f"plan.cores={wish.cores} is less than plan.task_cores={wish.task_cores}")
    extractor = extractor_id(settings)
    videos, ledger = tables.read(VIDEOS), tables.read(EXTRACTIONS)
    sizes = videos.select("video_id", F.coalesce("length", "size").alias("bytes"))
    own = ledger.where((F.col("extractor") == extractor) & (F.col("outcome") == "DONE")).join(sizes, "video_id")
    runs = own.groupBy("run_id").count().orderBy(F.desc("count")).limit(1).collect()
    if not runs:
        raise TableError(
            f"{tables.uri(EXTRACTIONS)}: {extractor} has extracted nothing yet; run extract on some of the chunks first"
        )
    run_id = runs[0]["run_id"]
    record = next((one for one in status.runs(storage, settings.tables.root) if one["run_id"] == run_id), None)
    tasks = tables.read(TASKS).where(F.col("run_id") == run_id).orderBy("wave", "task").collect()
    if record is None or record["outcome"] != "DONE" or not tasks:
        raise TableError(f"{tables.uri(TASKS)}: nothing is known of the tasks of {run_id}; let a run of extract end")
    rows = own.where(F.col("run_id") == run_id).select("bytes", "decode_seconds", "detect_seconds", "faces").collect()
    a, k = _line(
        np.array([row["bytes"] for row in rows], float),
        np.array([(row["decode_seconds"] or 0) + (row["detect_seconds"] or 0) for row in rows]),
    )
    seconds = np.array([task["seconds"] for task in tasks])
    reckoned = np.array([a * task["videos"] + k * (task["bytes_read"] or 0) for task in tasks])
    stretch = float(seconds.sum() / reckoned.sum())
    used = len({(task["host"], task["worker"]) for task in tasks})
    fixed = max(0.0, record["seconds"] - float(seconds.sum()) / used)
    lacking = plan.pending(videos, ledger, tables.read(CHUNKS), extractor, settings.extract.max_tries)
    todo = plan.collect(lacking)
    total = sum(video.bytes for video in todo)
    task_seconds = stretch * (a * len(todo) + k * total)
    wall = fixed + task_seconds / slots
    prices = (wish.core_hour, wish.gpu_hour)
    cost = None
    if any(price is not None for price in prices):
        cost = wall / 3600 * (wish.cores * (wish.core_hour or 0) + wish.gpus * (wish.gpu_hour or 0))
    return Sizing(
        run_id,
        len(rows),
        len(tasks),
        fixed,
        a,
        k,
        stretch,
        _held_back(reckoned, seconds),
        len(todo),
        total,
        task_seconds,
        slots,
        wall,
        round(len(todo) * sum(row["faces"] for row in rows) / len(rows)),
        cost,
    )


def _line(sizes: Any, seconds: Any) -> tuple[float, float]:
    """Constant and slope, neither below 0: a slope that comes out negative means that bytes do not matter."""
    if len(sizes) < 3 or np.ptp(sizes) == 0:
        return float(seconds.mean()), 0.0
    k, a = np.polyfit(sizes, seconds, 1)
    if k < 0:
        return float(seconds.mean()), 0.0
    if a < 0:
        return 0.0, float(seconds.sum() / sizes.sum())
    return float(a), float(k)


def _held_back(reckoned: Any, seconds: Any) -> float:
    """Error of the second half of the tasks, foretold with what the first half took; NaN with one task."""
    if len(seconds) < 2:
        return float("nan")
    stretch = seconds[::2].sum() / reckoned[::2].sum()
    return float(abs(stretch * reckoned[1::2].sum() - seconds[1::2].sum()) / seconds[1::2].sum())


def text(found: Sizing) -> str:
    """For a terminal."""
    cost = "" if found.cost is None else f", cost {found.cost:,.2f}"
    hours = f"{found.task_seconds / 3600:,.2f} hours of tasks, {found.slots} at once: {found.wall / 60:,.1f} minutes"
    lines = [
        f"learnt from {found.run_id}: {found.videos:,} videos in {found.tasks:,} tasks",
        f"  CPU: {found.a:.3f} s a video and {1e6 * found.k:.3f} s a MB; by the clock {found.stretch:.2f} times that",
        f"  fixed cost {found.fixed:.0f} s; half of its tasks foretold from the other half: {found.error:.0%} off",
        f"to extract: {found.to_do:,} videos, {found.bytes / 1e9:,.2f} GB to read, some {found.faces:,} faces",
        f"  {hours}{cost}",
    ]
    return "\n".join(lines)
