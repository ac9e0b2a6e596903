"""Extracts pending videos to frames, faces and ledger rows, wave by wave."""

import contextlib
import logging
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from pyspark.resource import ResourceProfile
from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import from_arrow_schema

from dflib.config import Config
from dflib.config.identity import extractor_id
from dflib.errors import CountError, StorageError, TableError
from dflib.extraction import detect, schedule
from dflib.extraction.schedule import PendingVideo
from dflib.extraction.task import OUTPUT, make_task
from dflib.runtime import gpus
from dflib.runtime.periodic import watched
from dflib.runtime.progress import Progress
from dflib.runtime.session import task_cores
from dflib.runtime.task_log import Origin
from dflib.storage import Storage
from dflib.tables import current, deletion
from dflib.tables.schemas import CHUNKS, EXTRACTIONS, FACES, FRAMES, TASKS, VIDEOS
from dflib.tables.store import Tables

log = logging.getLogger(__name__)

OUTAGE_VIDEOS, OUTAGE_SHARE = 10, 0.5
"""Numbers of unreadable videos, absolute and as a share of the wave, from which the cause is taken to be an outage."""
OUTAGE_WAVES = 2
"""Number of consecutive waves with an outage that ends the run."""


class OutageError(StorageError):
    """Storage failed for most videos of a wave."""


@dataclass
class ExtractResult:
    """Counts of a run of extract, or of a dry run.

    Attributes:
        extractor: identifier of the extractor.
        total: videos in the table, without ready-cut crops.
        videos, waves, tasks, bytes: pending at the start.
        dry_run: whether nothing was extracted.
        done: videos with a DONE row; ``without_face`` and ``partial`` of them have no face or lack frames.
        failed: videos with a FAILED row, by reason.
        marks: videos with a peculiarity, by its code.
        frames, faces: rows written.
        bytes_read, requests: of storage, for the videos.
        retries: of requests to storage, by the tasks.
        postponed: pending videos that the budget left for the next run.
        retriable: failed videos that the next run tries again.
        new_failures: videos that failed in their first attempt at these bytes.
        write_seconds: wall-clock time after the tasks of the waves, for counting and committing rows.
        seconds: wall-clock time.
    """

    extractor: str
    total: int
    videos: int = 0
    waves: int = 0
    tasks: int = 0
    bytes: int = 0
    dry_run: bool = False
    done: int = 0
    without_face: int = 0
    partial: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    marks: Counter[str] = field(default_factory=Counter)
    frames: int = 0
    faces: int = 0
    bytes_read: int = 0
    requests: int = 0
    retries: int = 0
    write_seconds: float = 0.0
    seconds: float = 0.0
    postponed: int = 0
    retriable: int = 0
    new_failures: int = 0

    @property
    def line(self) -> str:
        """The summary line."""
        if self.videos == 0:
            return f"nothing to do: all {self.total} videos are extracted by {self.extractor}"
        head = f"{_count(self.videos, 'video')} in {_count(self.waves, 'wave')}"
        if self.dry_run:
            return f"{head} of {_count(self.tasks, 'task')}, {_megabytes(self.bytes)} to read, by {self.extractor}"
        notes = [f"{self.without_face} with no face"] if self.without_face else []
        notes += [f"{self.partial} in part"] if self.partial else []
        done = f"{self.done} done" + (f" ({', '.join(notes)})" if notes else "")
        failed = sum(self.failed.values())
        reasons = ", ".join(f"{reason} {count}" for reason, count in sorted(self.failed.items()))
        marks = ", ".join(f"{mark} {count}" for mark, count in sorted(self.marks.items()))
        return (
            f"{head}: {done}, {failed} failed{f' ({reasons})' if failed else ''}; "
            f"{f'marks: {marks}; ' if marks else ''}{self.frames} frames, "
            f"{self.faces} faces; {_megabytes(self.bytes_read)} read in {self.requests} requests; {self.seconds:.0f} s"
            f"{f'; {self.postponed} videos are left for the next run' if self.postponed else ''}"
        )

    @property
    def counts(self) -> dict[str, Any]:
        """The same as numbers, for the run record."""
        return {name: value for name, value in vars(self).items() if name != "dry_run"}


@dataclass(frozen=True)
class Budget:
    """What one run may do; the next run goes on.

    Attributes:
        videos: number of videos; None: all.
        seconds: time after which no further wave begins; None: no limit.
    """

    videos: int | None = None
    seconds: float | None = None


def extract(
    tables: Tables,
    storage: Storage,
    config: Config,
    run_id: str,
    progress: Progress,
    dry_run: bool = False,
    budget: Budget | None = None,
) -> ExtractResult:
    """Extracts the pending videos of the configured extractor.

    Each wave is computed once, staged, counted and written: frames, faces and, last, its ledger rows.  A killed run
    keeps its finished waves; the next run deletes the leftovers of the unfinished one.  Before a changed video is
    extracted again, its rows are deleted, including those of other extractors and its predictions; its verdicts stay
    until the next report replaces them.

    Args:
        tables: all tables.
        storage: where the videos are read from.
        config: the whole configuration.
        run_id: of this run, for the rows.
        progress: counts videos.
        dry_run: whether to count only.
        budget: default: no limits.

    Raises:
        TableError: there are no videos.
        CountError: counts of rows disagree; the wave's ledger rows are not written.
        StorageError: storage rejects the credentials; or, raised at the end or after two consecutive waves, storage
            failed for most videos of a wave, which was not written.
    """
    started = time.monotonic()
    extractor = extractor_id(config)
    videos = tables.read(VIDEOS)
    rows = schedule.pending(
        videos, tables.read(EXTRACTIONS), tables.read(CHUNKS), extractor, config.extract.max_attempts
    )
    if config.extract.since is not None:
        rows = rows.where(F.col("ingested_at") >= F.lit(config.extract.since))
    budget = budget or Budget()
    every = schedule.collect(rows)
    pending = every[: budget.videos]
    total = videos.where(current.is_video()).count()
    if total == 0 and videos.isEmpty():
        raise TableError(f"{tables.uri(VIDEOS)}: there are no videos; run ingest first")
    threads = task_cores(tables.spark)
    slots = max(1, tables.spark.sparkContext.defaultParallelism // threads)
    waves = [
        schedule.tasks(wave, config.extract.task_bytes, slots)
        for wave in schedule.waves(pending, config.extract.wave_videos)
    ]
    result = ExtractResult(
        extractor,
        total,
        videos=len(pending),
        waves=len(waves),
        tasks=sum(map(len, waves)),
        bytes=sum(video.bytes for video in pending),
        dry_run=dry_run,
        postponed=len(every) - len(pending),
    )
    if dry_run or not pending:
        return result

    ask, profile = gpus.ask(tables.spark, config.cluster, detect.part(config.faces.detector).on_device)
    _clear(tables, pending, extractor)
    progress.start("videos", len(pending))
    before, consecutive = 0, 0
    outages: list[OutageError] = []
    for number, tasks in enumerate(waves):
        count = sum(map(len, tasks))
        if number and budget.seconds is not None and time.monotonic() - started > budget.seconds:
            result.postponed += len(pending) - before
            break
        origin = Origin(run_id, "extract", number)
        task = make_task(tasks, extractor, config, storage, origin, ask, threads)
        computed = _computed(tables, len(tasks), task, ask, profile)
        with contextlib.ExitStack() as stack:
            with watched(tables.spark, progress, count, before):
                staged = stack.enter_context(tables.stage(computed, "extract"))
            written = time.monotonic()
            try:
                _write(tables, staged, count, config.extract.max_attempts, result)
                consecutive = 0
            except OutageError as error:
                # A single deleted archive may be a whole wave, and is no reason to skip the next ones.
                outages.append(error)
                consecutive += 1
                if consecutive == OUTAGE_WAVES:
                    break
            if number == 0 and ask.source == "spark":
                gpus.fallen_back(staged.where("task IS NOT NULL").select("task.*"))
            result.write_seconds += time.monotonic() - written
        before += count
    progress.finish()
    result.seconds = time.monotonic() - started
    if outages:
        raise StorageError(
            f"{outages[0]}. Nothing was written of {_count(len(outages), 'wave')} with such an outage; {result.done} "
            "videos of other waves are done. Restore access to storage, or run ingest if files were deleted; then run "
            "extract again"
        )
    return result


def _computed(tables: Tables, count: int, task: Any, ask: gpus.Ask, profile: ResourceProfile | None) -> DataFrame:
    """The rows of a wave, computed lazily.

    The input has one row and one partition per scheduled task, and the closure holds the tasks themselves, so that
    each is exactly one Spark task.  ``repartition`` by a column would hash several to one partition and leave others
    empty; ``repartitionByRange`` samples its input first and guarantees no exact boundaries.
    """
    indexes = tables.spark.range(0, count, 1, count)
    return gpus.map_in_arrow(indexes, task, from_arrow_schema(OUTPUT), ask, profile)


def _clear(tables: Tables, todo: Sequence[PendingVideo], extractor: str) -> None:
    """Deletes what is there of videos that are about to be extracted.

    Rows of changed bytes go, of each extractor that made some; ready-cut crops beside the video stay.  Frames without
    a ledger row are what a killed run left; all of their extractor go, since the bytes may have changed in between.
    """
    gone: dict[str, set[str]] = defaultdict(set)
    if any(video.changed for video in todo):
        asked = deletion.frame_of(tables, [video.video_id for video in todo if video.changed])
        stale = current.ledger(tables.read(EXTRACTIONS), tables.read(VIDEOS)).where("changed")
        for row in stale.where(~F.col("extractor").startswith(current.CROPS)).join(asked, "video_id").collect():
            gone[row["extractor"]].add(row["video_id"])
    gone[extractor] |= deletion.uncommitted(tables, [video.video_id for video in todo if not video.changed], extractor)
    for name, videos in gone.items():
        if videos:
            log.info("deleting the rows of %d videos by %s", len(videos), name)
            deletion.delete_extractions(tables, sorted(videos), name, keep_verdicts=True)


def _write(tables: Tables, staged: DataFrame, videos: int, max_attempts: int, result: ExtractResult) -> None:
    """Counts a staged wave, writes it, and adds it to the result.

    Raises:
        CountError: the number of ledger rows is not that of the videos, or those of frames or faces are not the ones
            in the ledger rows.
        OutageError: storage failed for most videos; nothing is written.
    """
    ledger = [row["extraction"] for row in staged.where("extraction IS NOT NULL").select("extraction").collect()]
    ran = staged.where("task IS NOT NULL").select("task.*")
    expected = (videos, sum(row["frames"] for row in ledger), sum(row["faces"] for row in ledger))
    counted = staged.agg(F.count("frame.frame_index"), F.count("face.face_index")).collect()[0]
    _check_counts("staged", expected, (len(ledger), counted[0], counted[1]))
    _check_outage(ledger)
    frames = tables.insert_new(FRAMES, staged.where("frame IS NOT NULL").select("frame.*"))
    faces = tables.insert_new(FACES, staged.where("face IS NOT NULL").select("face.*"))
    _check_counts("written", expected, (videos, frames, faces))
    tables.insert_new(TASKS, ran)
    tables.upsert(EXTRACTIONS, staged.where("extraction IS NOT NULL").select("extraction.*"))

    done = [row for row in ledger if row["outcome"] == "DONE"]
    result.done += len(done)
    result.without_face += sum(row["faces"] == 0 for row in done)
    result.partial += sum(row["reason"] == "PARTIAL" for row in done)
    failed = [row for row in ledger if row["outcome"] == "FAILED"]
    result.failed.update(row["reason"] for row in failed)
    result.new_failures += sum(row["attempts"] == 1 for row in failed)
    result.retriable += sum(schedule.is_retried(row["reason"], row["attempts"], max_attempts) for row in failed)
    for row in ledger:
        result.marks.update({mark.partition(":")[0] for mark in row["marks"] or ()})
    result.frames += frames
    result.faces += faces
    result.bytes_read += sum(row["bytes_read"] for row in ledger)
    result.requests += sum(row["requests"] for row in ledger)
    result.retries += sum(row["retries"] for row in ran.select("retries").collect())


def _check_outage(ledger: list[Row]) -> None:
    """Rejects a wave for most of whose videos storage failed: an outage must not use up their attempts.

    Raises:
        OutageError: with the first of the reasons.
    """
    unread = [row for row in ledger if row["reason"] == "STORAGE_ERROR"]
    if len(unread) >= OUTAGE_VIDEOS and len(unread) >= OUTAGE_SHARE * len(ledger):
        raise OutageError(
            f"{len(unread)} of {len(ledger)} videos of a wave could not be read from storage, the first of them: "
            f"{unread[0]['detail']}"
        )


def _check_counts(stage: str, expected: tuple[int, int, int], counted: tuple[int, int, int]) -> None:
    """Raises :class:`CountError` if numbers of videos, frames and faces disagree."""
    if expected != counted:
        raise CountError(
            f"extract: {counted[0]} videos, {counted[1]} frames and {counted[2]} faces were {stage}, expected "
            f"{expected[0]}, {expected[1]} and {expected[2]}; the wave's ledger rows were not written; run extract "
            "again"
        )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"
