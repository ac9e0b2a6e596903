"""Reads ready-cut crops on executors: rows of ``faces`` from the bytes of the files."""

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.pandas.types import from_arrow_schema

from dflib.errors import SourceError, StorageError
from dflib.sources import images
from dflib.sources.crops import CropFile
from dflib.storage import Storage
from dflib.tables.schemas import FACES

BATCH_BYTES = 8 << 20
"""Image bytes at which a task emits an Arrow batch."""
TASK_BYTES = 64 << 20
"""Target of image bytes for one task."""

LISTING = pa.schema(
    [
        pa.field("face_id", pa.string(), nullable=False),
        pa.field("video_id", pa.string(), nullable=False),
        pa.field("frame_index", pa.int32(), nullable=False),
        pa.field("face_index", pa.int32(), nullable=False),
        pa.field("uri", pa.string(), nullable=False),
        pa.field("size", pa.int64(), nullable=False),
    ]
)
"""Input of the tasks: one row for each crop to read."""
READ = pa.schema(
    [field.with_nullable(True) for field in FACES.schema]
    + [
        pa.field("problem", pa.string()),
        pa.field("retryable", pa.bool_()),
        pa.field("retries", pa.int64()),
        pa.field("several", pa.string()),
    ]
)
"""Output of the tasks: a row of ``faces`` or a problem (``retryable``: caused by storage); the number of retries of
storage; and the URI, if the file has more pictures than the one that was read."""


def read_crops(spark: SparkSession, storage: Storage, crops: list[CropFile], extractor: str) -> DataFrame:
    """Reads the crops on executors: one row of :data:`READ` for each.  Each action reads again, so stage the result."""
    listing = pa.Table.from_pylist(
        [
            {
                "face_id": crop.face_id,
                "video_id": crop.video_id,
                "frame_index": crop.frame,
                "face_index": crop.face,
                "uri": crop.entry.uri,
                "size": crop.entry.size,
            }
            for crop in crops
        ],
        LISTING,
    )
    by_bytes = math.ceil(sum(crop.entry.size for crop in crops) / TASK_BYTES)
    tasks = max(1, min(len(crops), max(by_bytes, spark.sparkContext.defaultParallelism)))
    rows = spark.createDataFrame(listing, from_arrow_schema(LISTING)).repartition(tasks)
    return rows.mapInArrow(_reader(storage, extractor), from_arrow_schema(READ))


def _reader(storage: Storage, extractor: str) -> Callable[[Iterable[pa.RecordBatch]], Iterable[pa.RecordBatch]]:
    def read(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        rows: list[dict[str, Any]] = []
        held = 0
        for batch in batches:
            for listed in batch.to_pylist():
                counted = storage.counting()
                rows.append(_face(counted, extractor, listed) | {"retries": counted.counters.retries})
                held += len(rows[-1].get("image") or b"")
                if held >= BATCH_BYTES:
                    yield pa.RecordBatch.from_pylist(rows, READ)
                    rows, held = [], 0
        if rows:
            yield pa.RecordBatch.from_pylist(rows, READ)

    return read


def _face(storage: Storage, extractor: str, listed: dict[str, Any]) -> dict[str, Any]:
    uri, size = listed["uri"], listed["size"]
    row = {name: listed[name] for name in ("face_id", "video_id", "frame_index", "face_index")}
    row["extractor"] = extractor
    try:
        picture = images.read(storage.read_range(uri, 0, min(size, images.MAX_BYTES)))
    except SourceError as error:
        text = str(error)
        if size > images.MAX_BYTES:
            text += f" (the first {images.MAX_BYTES} of {size} bytes were read, which is the limit)"
        return row | {"problem": f"UNREADABLE_CROP: {uri}: {text}", "retryable": False}
    except StorageError as error:
        return row | {"problem": f"STORAGE: {error}", "retryable": True}
    row["several"] = uri if picture.several else None
    return row | {
        "image": picture.content,
        "format": picture.format,
        "crop_w": picture.width,
        "crop_h": picture.height,
    }
