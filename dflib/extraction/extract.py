"""Extract: from the videos that the ledger lacks to frames, faces and ledger rows, wave by wave."""

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
from dflib.extraction import detect, sampling
from dflib.extraction import schedule as plan
from dflib.extraction.schedule import Planned
from dflib.extraction.task import OUTPUT, make_task
from dflib.runtime import gpus
from dflib.runtime.progress import Progress
from dflib.runtime.session import task_cores
from dflib.runtime.task_log import Origin
from dflib.runtime.watch import watched
from dflib.storage import Storage
from dflib.tables import current
from dflib.tables.schemas import CHUNKS, EXTRACTIONS, FACES, FRAMES, PREDICTIONS, TASKS, VERDICTS, VIDEOS
from dflib.tables.store import Tables

log = logging.getLogger(__name__)

OUTAGE_VIDEOS, OUTAGE_SHARE = 10, 0.5
"""So many videos, and such a share of a wave, that can't be read are no matter of the videos."""
OUTAGE_WAVES = 2
"""So many waves like that, one after the other, end the run."""


class OutageError(StorageError):
    """Storage gave next to nothing of a wave."""


@dataclass
class ExtractResult:
    """What extract did, or would do.

    Attributes:
        total: videos that there are, ready-cut crops not counted.
        videos, waves, tasks, bytes: what was to be done.
        failed: videos that gave a FAILED row, by reason.
        bytes_read, requests: of storage, for the videos.
        retries: of storage, by the tasks.
        write_seconds: wall clock of what comes after the tasks of a wave: counting its rows and committing them.
        seconds: wall clock.
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
    frames: int = 0
    faces: int = 0
    bytes_read: int = 0
    requests: int = 0
    retries: int = 0
    write_seconds: float = 0.0
    seconds: float = 0.0

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
        return (
            f"{head}: {done}, {failed} failed{f' ({reasons})' if failed else ''}; {self.frames} frames, "
            f"{self.faces} faces; {_megabytes(self.bytes_read)} read in {self.requests} requests; {self.seconds:.0f} s"
        )

    @property
    def counts(self) -> dict[str, Any]:
        """The same as numbers, for the run record."""
        return {name: value for name, value in vars(self).items() if name != "dry_run"}


def extract(
    tables: Tables, storage: Storage, config: Config, run_id: str, progress: Progress, dry_run: bool = False
) -> ExtractResult:
    """Extracts what the ledger lacks for the configured extractor.

    Each wave is computed once and staged, counted, and written: frames, faces, and last its ledger rows.  A run
    that is killed keeps the waves that it finished; what it left of an unfinished one is deleted by the next.
    Rows of a video whose bytes have changed are deleted before it is extracted again, those of other extractors
    and its predictions and verdicts included.

    Raises:
        TableError: there are no videos.
        CountError: rows do not add up; the wave's ledger rows are not written.
        StorageError: storage takes no credentials; or (in the end, or after two waves like that) it gave next to
            nothing of a wave, which was not written.
    """
    started = time.monotonic()
    sampling.check(config.sampling.frames)
    extractor = extractor_id(config)
    videos = tables.read(VIDEOS)
    lacking = plan.pending(
        videos, tables.read(EXTRACTIONS), tables.read(CHUNKS), extractor, config.extract.max_attempts
    )
    todo = plan.collect(lacking)
    total = videos.where(F.col("packing").isNull() | (F.col("packing") != "crops")).count()
    if total == 0 and videos.isEmpty():
        raise TableError(f"{tables.uri(VIDEOS)}: there are no videos; run ingest first")
    threads = task_cores(tables.spark)
    slots = max(1, tables.spark.sparkContext.defaultParallelism // threads)
    waves = [
        plan.tasks(wave, config.extract.task_bytes, slots) for wave in plan.waves(todo, config.extract.wave_videos)
    ]
    result = ExtractResult(
        extractor,
        total,
        videos=len(todo),
        waves=len(waves),
        tasks=sum(map(len, waves)),
        bytes=sum(video.bytes for video in todo),
        dry_run=dry_run,
    )
    if dry_run or not todo:
        return result

    ask, profile = gpus.ask(tables.spark, config.cluster, detect.part(config.faces.detector).on_device)
    _clear(tables, todo, extractor)
    progress.start("videos", len(todo))
    before, refused = 0, 0
    outages: list[OutageError] = []
    for number, tasks in enumerate(waves):
        count = sum(map(len, tasks))
        origin = Origin(run_id, "extract", number)
        task = make_task(tasks, extractor, config, storage, origin, ask, threads)
        rows = _rows(tables, len(tasks), task, profile)
        with contextlib.ExitStack() as stack:
            with watched(tables.spark, progress, count, before):
                staged = stack.enter_context(tables.stage(rows, "extract"))
            written = time.monotonic()
            try:
                _write(tables, staged, count, result)
                refused = 0
            except OutageError as error:
                # An archive that is gone may be all of one wave, and no reason to leave out those after it.
                outages.append(error)
                refused += 1
                if refused == OUTAGE_WAVES:
                    break
            if number == 0 and ask.source == "spark":
                gpus.fallen_back(staged.where("task IS NOT NULL").select("task.*"))
            result.write_seconds += time.monotonic() - written
        before += count
    progress.finish()
    result.seconds = time.monotonic() - started
    if outages:
        raise StorageError(
            f"{outages[0]}. Nothing was written of {_count(len(outages), 'wave')} like that; {result.done} videos of "
            "the others are done. Mend that (what was deleted from storage: run ingest), then run extract again"
        )
    return result


def _rows(tables: Tables, count: int, task: Any, profile: ResourceProfile | None) -> DataFrame:
    """The rows of a wave, not yet computed.

    One row and one partition a planned task, and the tasks themselves in the closure: so each planned task is
    exactly one Spark task.  ``repartition`` by a column hashes several onto one and leaves others empty, and
    ``repartitionByRange`` samples first and promises no exact cut either.
    """
    numbers = tables.spark.range(0, count, 1, count)
    return numbers.mapInArrow(task, from_arrow_schema(OUTPUT), profile=profile)


def _clear(tables: Tables, todo: Sequence[Planned], extractor: str) -> None:
    """Deletes what is there of videos that are about to be extracted.

    Rows of changed bytes go, of each extractor that made some; ready-cut crops beside the video stay.  Frames without
    a ledger row are what a killed run left; all of their extractor go, since the bytes may have changed in between.
    """
    gone: dict[str, set[str]] = defaultdict(set)
    if any(video.changed for video in todo):
        asked = _ids(tables, [video.video_id for video in todo if video.changed])
        stale = current.ledger(tables.read(EXTRACTIONS), tables.read(VIDEOS)).where("changed")
        for row in stale.where(~F.col("extractor").startswith(current.CROPS)).join(asked, "video_id").collect():
            gone[row["extractor"]].add(row["video_id"])
    if tables.exists(FRAMES):
        own = tables.read(FRAMES).where(F.col("extractor") == extractor).select("video_id").distinct()
        asked = _ids(tables, [video.video_id for video in todo if not video.changed])
        rows = own.join(F.broadcast(asked), "video_id", "left_semi").collect()
        gone[extractor] |= {row["video_id"] for row in rows}
    for name, videos in gone.items():
        if videos:
            log.info("deleting the rows of %d videos by %s", len(videos), name)
            for table in (EXTRACTIONS, VERDICTS, PREDICTIONS, FACES, FRAMES):
                tables.delete_videos(table, _ids(tables, sorted(videos)), name)


def _ids(tables: Tables, video_ids: Sequence[str]) -> DataFrame:
    return tables.spark.createDataFrame([(video_id,) for video_id in video_ids], "video_id string")


def _write(tables: Tables, staged: DataFrame, videos: int, result: ExtractResult) -> None:
    """Counts a staged wave, writes it, and adds it to the result.

    Raises:
        CountError: videos in are not ledger rows out, or frames or faces are not as many as these promise.
    """
    ledger = [row["extraction"] for row in staged.where("extraction IS NOT NULL").select("extraction").collect()]
    ran = staged.where("task IS NOT NULL").select("task.*")
    promised = (videos, sum(row["frames"] for row in ledger), sum(row["faces"] for row in ledger))
    there = staged.agg(F.count("frame.frame_index"), F.count("face.face_index")).collect()[0]
    _same("staged", promised, (len(ledger), there[0], there[1]))
    _refuse_outage(ledger)
    frames = tables.insert_new(FRAMES, staged.where("frame IS NOT NULL").select("frame.*"))
    faces = tables.insert_new(FACES, staged.where("face IS NOT NULL").select("face.*"))
    _same("written", promised, (videos, frames, faces))
    tables.insert_new(TASKS, ran)
    tables.upsert(EXTRACTIONS, staged.where("extraction IS NOT NULL").select("extraction.*"))

    done = [row for row in ledger if row["outcome"] == "DONE"]
    result.done += len(done)
    result.without_face += sum(row["faces"] == 0 for row in done)
    result.partial += sum(row["reason"] == "PARTIAL" for row in done)
    result.failed.update(row["reason"] for row in ledger if row["outcome"] == "FAILED")
    result.frames += frames
    result.faces += faces
    result.bytes_read += sum(row["bytes_read"] for row in ledger)
    result.requests += sum(row["requests"] for row in ledger)
    result.retries += sum(row["retries"] for row in ran.select("retries").collect())


def _refuse_outage(ledger: list[Row]) -> None:
    """Refuses a wave of which storage gave next to nothing: its videos would use up their tries for nothing.

    Raises:
        OutageError: with the first of the reasons.
    """
    unread = [row for row in ledger if row["reason"] == "STORAGE_ERROR"]
    if len(unread) >= OUTAGE_VIDEOS and len(unread) >= OUTAGE_SHARE * len(ledger):
        raise OutageError(
            f"{len(unread)} of {len(ledger)} videos of a wave could not be read from storage, the first of them: "
            f"{unread[0]['detail']}"
        )


def _same(what: str, promised: tuple[int, int, int], there: tuple[int, int, int]) -> None:
    if promised != there:
        raise CountError(
            f"extract: {there[0]} videos, {there[1]} frames and {there[2]} faces were {what} where {promised[0]}, "
            f"{promised[1]} and {promised[2]} were promised; the wave's ledger rows were not written, run extract again"
        )


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _megabytes(number: int) -> str:
    return f"{number / 1e6:.1f} MB"
