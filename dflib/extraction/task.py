"""One Spark task of extract: reads its videos and returns Arrow batches of bounded size."""

import hashlib
import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import Any, TypeVar

import pyarrow as pa

from dflib.config import Config
from dflib.errors import CredentialsError, DflibError, StorageError, VideoError
from dflib.extraction import isolation
from dflib.extraction.isolation import Isolation
from dflib.extraction.schedule import PendingVideo
from dflib.extraction.video import Row, VideoRows
from dflib.runtime import gpus
from dflib.runtime.task_log import Origin, TaskLog
from dflib.sources.members import read_member
from dflib.storage import Storage
from dflib.tables.clock import later_than
from dflib.tables.schemas import EXTRACTIONS, FACES, FRAMES, TASKS

log = logging.getLogger(__name__)

T = TypeVar("T")
R = TypeVar("R")

BATCH_ROWS = 256
"""Maximum number of rows of a batch, whatever their size."""

ROW_BYTES = 300
"""Approximate size of a row without its image."""


def _nullable(schema: pa.Schema) -> pa.DataType:
    return pa.struct([field.with_nullable(True) for field in schema])


OUTPUT = pa.schema(
    [
        pa.field("extraction", _nullable(EXTRACTIONS.schema)),
        pa.field("frame", _nullable(FRAMES.schema)),
        pa.field("face", _nullable(FACES.schema)),
        pa.field("task", _nullable(TASKS.schema)),
    ]
)
"""Schema of rows for four tables: in each row exactly one of the four structs is not null.

Fields of a null struct must be nullable; the tables' own schemas state which are not.
"""


def make_task(
    tasks: Sequence[Sequence[PendingVideo]],
    extractor: str,
    config: Config,
    storage: Storage,
    origin: Origin,
    ask: gpus.Ask,
    threads: int = 1,
) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """A function for ``mapInArrow`` over rows whose first column is the index of a task; returns :data:`OUTPUT`.

    The task reads the videos; a process of its own (:mod:`dflib.extraction.isolation`) extracts them.  With several
    ``threads``, one per core of the task, videos are read and decoded in parallel and share one detector.  Each thread
    holds the bytes of one video and one group of frames.

    An unusable video gives a FAILED row of the ledger, never an error, whatever it does to the process.  Errors that do
    not concern one video fail the task: S3 rejects the credentials, a required GPU is missing, or the detector cannot
    be loaded or fails on any image.

    Args:
        tasks: the videos of each task.
        extractor: as in the rows.
        config: the whole configuration.
        storage: where the videos are read from.
        origin: run, job and wave, for the table ``tasks``.
        ask: from :func:`dflib.runtime.gpus.ask`.
        threads: videos in parallel.
    """

    def run(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for index in batch.column(0).to_pylist():
                isolated = isolation.of_worker(config.faces, ask, threads)
                rows = _rows(tasks[index], extractor, config, storage, origin, isolated)
                yield from _batches(rows, config.extract.batch_bytes)

    return run


def _rows(
    videos: Sequence[PendingVideo],
    extractor: str,
    config: Config,
    storage: Storage,
    origin: Origin,
    isolated: Isolation,
) -> Iterator[tuple[str, Row]]:
    """Rows of the videos, in their order, each with the name of its struct; the row of the task is the last one."""
    cpu_before = isolated.cpu_seconds()
    task, faces = TaskLog(origin, isolated.start().device), 0
    storage = storage.counting()
    sums: dict[str, float | None] = {"bytes_read": 0, "requests": 0, "decode_seconds": 0.0, "detect_seconds": 0.0}

    def work(video: PendingVideo) -> tuple[PendingVideo, Storage, VideoRows]:
        # Counters per video, since several may be read at once; the connection to S3 is shared.
        counted = storage.counting()
        return video, counted, _attempt(video, extractor, config, counted, isolated)

    for video, counted, rows in map_in_order(work, videos, isolated.setup.threads):
        for frame in rows.frames:
            yield "frame", frame
        for face in rows.faces:
            yield "face", face
        ledger = {
            "video_id": video.video_id,
            "extractor": extractor,
            "fingerprint": video.fingerprint,
            "attempts": video.attempts + 1,
            "bytes_read": counted.counters.bytes_read,
            "requests": counted.counters.requests,
            "run_id": origin.run_id,
            "extracted_at": later_than(video.ingested_at),
            **rows.ledger,
        }
        yield "extraction", ledger
        faces += len(rows.faces)
        for name, before in sums.items():
            # Failed videos have no seconds; a task with several threads has none of detection.
            value = ledger.get(name, 0)
            sums[name] = None if before is None or value is None else before + value
    row = task.row(len(videos), faces, retries=storage.counters.retries, **sums)
    row["cpu_seconds"] += isolated.cpu_seconds() - cpu_before
    row["peak_bytes"] += isolated.peak_bytes()
    yield "task", row


def map_in_order(work: Callable[[T], R], items: Iterable[T], threads: int) -> Iterator[R]:
    """``map(work, items)`` on several threads, results in order.

    Beyond the results already consumed, at most one item per thread is in progress or finished.
    """
    if threads == 1:
        yield from map(work, items)
        return
    pool = ThreadPoolExecutor(threads)
    try:
        pending: deque[Future[R]] = deque()
        for item in items:
            pending.append(pool.submit(work, item))
            if len(pending) > threads:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        # A task that is stopped starts no queued work.
        pool.shutdown(cancel_futures=True)


def _attempt(
    video: PendingVideo,
    extractor: str,
    config: Config,
    storage: Storage,
    isolated: Isolation,
) -> VideoRows:
    if video.problem:
        return _failed(*video.problem)
    facts: Row = {}
    try:
        if video.uri is None or video.packing is None or video.size is None:
            raise VideoError("BAD_RANGE", "its row of videos has no uri, packing or size; run ingest again")
        content = read_member(
            storage,
            video.uri,
            video.offset,
            video.length,
            video.packing,
            video.crc32,
            video.size,
            config.extract.max_video_bytes,
        )
        facts = {"sha256": hashlib.sha256(content).hexdigest(), "decoder": isolated.start().decoder}
        rows = isolated.extract(content, video.video_id, extractor, config)
        rows = replace(rows, ledger=rows.ledger | facts)
        _check_types(rows)
        return rows
    except CredentialsError:
        raise
    except StorageError as error:
        return _failed("STORAGE_ERROR", str(error))
    except VideoError as error:
        return _failed(error.reason, error.detail, facts)
    except DflibError:
        raise
    except MemoryError:
        return _failed("TOO_LARGE", "does not fit into the memory of a task", facts)
    except Exception as error:  # whatever hostile bytes or rows cause; the type is a hint at where
        log.exception("%s", video.video_id)
        return _failed("INTERNAL_ERROR", f"{type(error).__name__}: {error}", facts)


def _failed(reason: str, detail: str, facts: Row | None = None) -> VideoRows:
    """The rows of a video that can't be extracted; ``facts`` are columns of the ledger that are known nevertheless."""
    # A message may quote bytes of the file that are no text.
    text = detail[:1000].encode(errors="replace").decode()
    ledger = {"outcome": "FAILED", "reason": reason, "detail": text, "frames": 0, "faces": 0}
    return VideoRows(ledger | (facts or {}), [], [])


def _check_types(rows: VideoRows) -> None:
    """Raises the error that a value of the rows would cause in a batch, where it would fail the whole task."""
    for part, columns in ((EXTRACTIONS, [rows.ledger]), (FRAMES, rows.frames), (FACES, rows.faces)):
        for field in part.schema:
            if field.name != "image":
                pa.array([row.get(field.name) for row in columns], field.type)


def _batches(rows: Iterator[tuple[str, Row]], batch_bytes: int) -> Iterator[pa.RecordBatch]:
    held: list[dict[str, Row]] = []
    weight = 0
    for kind, row in rows:
        held.append({kind: row})
        weight += len(row.get("image") or b"") + ROW_BYTES
        if weight >= batch_bytes or len(held) >= BATCH_ROWS:
            yield _batch(held)
            held, weight = [], 0
    if held:
        yield _batch(held)


def _batch(rows: list[dict[str, Row]]) -> pa.RecordBatch:
    columns: list[Any] = [pa.array([row.get(field.name) for row in rows], field.type) for field in OUTPUT]
    return pa.RecordBatch.from_arrays(columns, schema=OUTPUT)
