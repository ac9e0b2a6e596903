"""Ready-cut face crops: rows of ``videos`` from their names, rows of ``faces`` from their bytes.  No video is read."""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.pandas.types import from_arrow_schema

from dflib.config import SourcesConfig, digest
from dflib.errors import SourceError, StorageError
from dflib.sources import images, names
from dflib.sources.chunk import Chunk, Source, Video
from dflib.sources.crop_names import CropPattern
from dflib.storage import Entry, Storage
from dflib.tables.schemas import FACES

ENDINGS = (".jpg", ".jpeg", ".png")
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
    + [pa.field("problem", pa.string()), pa.field("retryable", pa.bool_()), pa.field("retries", pa.int64())]
)
"""Output of the tasks: a row of ``faces`` or a problem (``retryable``: caused by storage), and the number of retries of
storage."""


@dataclass(frozen=True)
class CropFile:
    """A crop file whose name follows the pattern.

    Attributes:
        face_id, video_id: keys of its rows.
        frame, face: numbers from its name.
        original: ``video_id`` of the original, where the name has one.
        label: REAL or FAKE, by its folder.
        split: train, validation or test, where a folder names one.
        name: path below the crops folder.
        entry: the file in storage.
    """

    face_id: str
    video_id: str
    frame: int
    face: int
    original: str | None
    label: str
    split: str | None
    name: str
    entry: Entry


def extractor_of(sources: SourcesConfig) -> str:
    """The extractor of ready-cut crops, such as ``crops-1a2b3c4d``: a hash of every setting that changes rows."""
    settings = [
        sources.crop_pattern,
        sorted(map(str.lower, sources.crop_real)),
        sorted(map(str.lower, sources.crop_fake)),
    ]
    return f"crops-{digest(settings)[:8]}"


def read_listing(source: Source, sources: SourcesConfig) -> tuple[Chunk, list[CropFile]]:
    """A crops folder's rows of ``videos`` and the crops to read, from file names alone.

    Raises:
        SourceError: no image lies below a folder for real or fake crops.
    """
    chunk = Chunk(source, len(source.files))
    pattern, extractor = CropPattern(sources.crop_pattern), extractor_of(sources)
    faces: dict[str, CropFile] = {}
    by_video: dict[str, list[CropFile]] = {}
    placed = 0
    for entry in source.files:
        name = entry.uri.removeprefix(source.uri + "/")
        label = _label(name, sources)
        if label is None or not name.lower().endswith(ENDINGS):
            continue
        placed += 1
        reason = names.unsafe(name)
        parsed = None if reason else pattern.parse(name.rpartition("/")[2].rpartition(".")[0])
        if parsed is None:
            text = reason or f"does not follow {sources.crop_pattern}"
            chunk.problems.append(f"{'UNSAFE_NAME' if reason else 'BAD_CROP_NAME'}: {names.shown(name)} {text}")
            continue
        video_id = f"{sources.dataset}/{parsed.video}"
        face_id = f"{video_id}/{extractor}/{parsed.frame:06d}/{parsed.face:02d}"
        original = f"{sources.dataset}/{parsed.original}" if parsed.original else None
        crop = CropFile(
            face_id, video_id, parsed.frame, parsed.face, original, label, names.split_of(name), name, entry
        )
        # A second file of the same face gives no face, but its label and split may contradict those of the first.
        by_video.setdefault(video_id, []).append(crop)
        kept = faces.setdefault(face_id, crop)
        if kept is not crop:
            chunk.problems.append(f"DUPLICATE: {names.shown(name)} has the same face as {names.shown(kept.name)}")
    if not placed:
        raise SourceError(
            f"{source.uri}: no image below a folder named {', '.join((*sources.crop_real, *sources.crop_fake))}; "
            "set sources.crops to the folder above them, or set sources.crop_real and sources.crop_fake"
        )
    chunk.videos = [_video(chunk, sources.dataset, video_id, held) for video_id, held in sorted(by_video.items())]
    return chunk, list(faces.values())


def _label(name: str, sources: SourcesConfig) -> str | None:
    """The label of the innermost folder that is named for a class."""
    real, fake = ({word.lower() for word in words} for words in (sources.crop_real, sources.crop_fake))
    for part in reversed(name.split("/")[:-1]):
        if part.lower() in real | fake:
            return "REAL" if part.lower() in real else "FAKE"
    return None


def _video(chunk: Chunk, dataset: str, video_id: str, crops: list[CropFile]) -> Video:
    labels = sorted({crop.label for crop in crops})
    originals = sorted({crop.original for crop in crops if crop.original})
    splits = sorted({crop.split or "none" for crop in crops})
    problems = []
    if len(labels) > 1:
        problems.append(f"LABEL_CONFLICT: crops lie in folders for real and for fake of {chunk.source.name}")
    if len(originals) > 1:
        problems.append(f"BAD_METADATA: crops name {len(originals)} originals, {' and '.join(originals[:2])}")
    if len(splits) > 1:
        problems.append(f"SPLIT_CONFLICT: crops lie in {' and '.join(splits)}")
    listing = sorted((crop.name, crop.entry.size, crop.entry.etag) for crop in crops)
    original = originals[0] if len(originals) == 1 else None
    return Video(
        video_id=video_id,
        dataset=dataset,
        chunk=chunk.source.name,
        uri=chunk.source.uri,
        member=None,
        offset=None,
        length=None,
        packing="crops",
        crc32=None,
        size=sum(crop.entry.size for crop in crops),
        fingerprint=digest(listing),
        label=labels[0] if len(labels) == 1 else None,
        original=original,
        source_group=original or video_id,
        given_split=splits[0] if len(splits) == 1 and splits[0] != "none" else None,
        manipulation=None,
        compression=None,
        problems=tuple(problems),
    )


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
        if size > images.MAX_BYTES:
            raise SourceError(f"{size} bytes; the limit is {images.MAX_BYTES}")
        content = storage.read_range(uri, 0, size)
        kind, width, height = images.probe(content)
    except SourceError as error:
        return row | {"problem": f"UNREADABLE_CROP: {uri}: {error}", "retryable": False}
    except StorageError as error:
        return row | {"problem": f"STORAGE: {error}", "retryable": True}
    return row | {"image": content, "format": kind, "crop_w": width, "crop_h": height}
