"""What one Spark task does: reads its videos and gives Arrow batches of bounded size."""

import contextlib
import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any, TypeVar

import pyarrow as pa

from dflib.config import Config
from dflib.errors import CredentialsError, StorageError, VideoError
from dflib.extraction import detect, tracks
from dflib.extraction.schedule import Planned
from dflib.extraction.video import Row, Turn, VideoRows, extract_video
from dflib.runtime import gpus
from dflib.runtime.task_log import Origin, TaskLog
from dflib.sources.members import read_member
from dflib.storage import Storage
from dflib.tables.schemas import EXTRACTIONS, FACES, FRAMES, TASKS

log = logging.getLogger(__name__)

T = TypeVar("T")
R = TypeVar("R")

BATCH_ROWS = 256
"""Rows of a batch at most, whatever their size."""

ROW_BYTES = 300
"""About what a row takes besides its image."""


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
"""One row type for what goes to four tables: exactly one of the four is not null in a row.

Columns are nullable inside a null struct; the tables say again which are not.
"""


def make_task(
    tasks: Sequence[Sequence[Planned]],
    extractor: str,
    config: Config,
    storage: Storage,
    origin: Origin,
    ask: gpus.Ask,
    threads: int = 1,
) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """A function for ``mapInArrow`` over rows whose first column is the number of a task; gives :data:`OUTPUT`.

    With several ``threads``, the cores of a task, videos are read and decoded side by side while one detector takes
    them in turn.  Each thread holds one video's bytes and one group of frames.

    A video that can't be used gives a FAILED row of the ledger and never an error.  What is not about one video
    (credentials that S3 does not take, no GPU where one is required, TensorFlow that can't be loaded, no memory for
    the detector) fails the task.
    """

    def run(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for number in batch.column(0).to_pylist():
                rows = _rows(tasks[number], extractor, config, storage, origin, gpus.take(ask, threads), threads)
                yield from _batches(rows, config.extract.batch_bytes)

    return run


def _rows(
    videos: Sequence[Planned],
    extractor: str,
    config: Config,
    storage: Storage,
    origin: Origin,
    device: gpus.Device,
    threads: int,
) -> Iterator[tuple[str, Row]]:
    """Rows of the videos in their order, each with the name of the struct that it belongs to; last that of the task."""
    task, faces = TaskLog(origin, device), 0
    storage = storage.counting()
    sums: dict[str, float | None] = {"bytes_read": 0, "requests": 0, "decode_seconds": 0.0, "detect_seconds": 0.0}
    turn = threading.Lock() if threads > 1 else None

    def work(video: Planned) -> tuple[Planned, Storage, VideoRows]:
        # A counter a video, since several may be read at once; what they share is how S3 is reached.
        counted = storage.counting()
        return video, counted, _attempt(video, extractor, config, counted, device.name, turn)

    for video, counted, done in in_order(work, videos, threads):
        for frame in done.frames:
            yield "frame", frame
        for face in done.faces:
            yield "face", face
        ledger = {
            "video_id": video.video_id,
            "extractor": extractor,
            "fingerprint": video.fingerprint,
            "attempts": video.attempts + 1,
            "bytes_read": counted.counters.bytes_read,
            "requests": counted.counters.requests,
            "run_id": origin.run_id,
            "extracted_at": datetime.now(UTC),
            **done.ledger,
        }
        yield "extraction", ledger
        faces += len(done.faces)
        for name, before in sums.items():
            # Of a failed video no seconds are known; nor is detecting, to a task of several cores.
            more = ledger.get(name, 0)
            sums[name] = None if before is None or more is None else before + more
    yield "task", task.row(len(videos), faces, retries=storage.counters.retries, **sums)


def in_order(work: Callable[[T], R], items: Iterable[T], threads: int) -> Iterator[R]:
    """``map(work, items)`` on some threads: results in order, at most one a thread more under way than was taken."""
    if threads == 1:
        yield from map(work, items)
        return
    pool = ThreadPoolExecutor(threads)
    try:
        under_way: deque[Future[R]] = deque()
        for item in items:
            under_way.append(pool.submit(work, item))
            if len(under_way) > threads:
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()
    finally:
        # A task that is stopped does not begin what waits.
        pool.shutdown(cancel_futures=True)


def _attempt(
    video: Planned,
    extractor: str,
    config: Config,
    storage: Storage,
    device: str,
    turn: Turn | None,
) -> VideoRows:
    import av
    import cv2

    faces = config.faces
    if video.problem:
        return _failed(*video.problem)
    with turn or contextlib.nullcontext():
        detector = detect.load(faces.detector, tracks.candidate_threshold(faces), device)
    try:
        if video.uri is None or video.packing is None or video.size is None:
            raise VideoError("BAD_RANGE", "videos does not say where its bytes are; run ingest again")
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
        return extract_video(content, video.video_id, extractor, config, detector, turn)
    except CredentialsError:
        raise
    except StorageError as error:
        return _failed("STORAGE_ERROR", str(error))
    except VideoError as error:
        return _failed(error.reason, error.detail)
    except MemoryError:
        return _failed("TOO_LARGE", "does not fit into the memory of a task")
    except (av.FFmpegError, cv2.error, ValueError, ArithmeticError) as error:
        # What hostile bytes can still set off in the libraries; the type says where to look.
        log.exception("%s", video.video_id)
        return _failed("INTERNAL_ERROR", f"{type(error).__name__}: {error}")


def _failed(reason: str, detail: str) -> VideoRows:
    ledger = {"outcome": "FAILED", "reason": reason, "detail": detail[:1000], "frames": 0, "faces": 0}
    return VideoRows(ledger, [], [])


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
