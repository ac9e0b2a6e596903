"""The chain from the bytes of a video to its verdict, collected from the tables alone."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F

from dflib import uris
from dflib.errors import MissingError, TableError
from dflib.models import aliases, registry
from dflib.storage import Storage
from dflib.tables import current
from dflib.tables.schemas import (
    CHUNKS,
    EXTRACTIONS,
    FACES,
    FRAMES,
    HELD_VERDICTS,
    MODELS,
    PREDICTIONS,
    PUBLICATIONS,
    VERDICTS,
    VIDEOS,
    Table,
)
from dflib.tables.store import Tables

FORMAT = 1
"""Version of the structure of a chain."""

SECTIONS = ("sampling", "faces", "crops", "extract")
"""Sections of the configuration that decide what an extraction gives."""


@dataclass(frozen=True)
class Chain:
    """Everything that led to the verdicts of a model on a video.

    Attributes:
        data: plain values, ready for JSON, by link of the chain: ``video``, ``chunk``, ``extraction``, ``settings``
            (of the extraction), ``frames``, ``faces``, ``model``, ``predictions``, ``verdicts``, ``held``, ``current``,
            ``runs`` and ``versions`` (of the tables).  A link that is not known is null.
        images: encoded crops by face_id; their SHA-256 are in ``faces``.
    """

    data: dict[str, Any]
    images: dict[str, bytes]


def collect(tables: Tables, storage: Storage, video_id: str, model: str | None, extractor: str | None) -> Chain:
    """The chain of a video.

    Args:
        tables: all tables.
        storage: reads the run records.
        video_id: as in ``videos``.
        model: model_id or alias; None: the model of the current verdict, or else the champion.
        extractor: None: that of the current verdict, or else the only one that has extracted the video.

    Raises:
        TableError: there is no such video; or it was not extracted, or by several extractors.
        ModelError: there is no such model.
    """
    of_video = F.col("video_id") == video_id
    video = tables.read(VIDEOS).where(of_video).first()
    if video is None:
        raise TableError(f"{tables.uri(VIDEOS)}: there is no video {video_id!r}{_near(tables, video_id)}")
    published = current.verdicts(tables.read(VERDICTS).where(of_video), tables.read(PUBLICATIONS)).first()
    extraction = _extraction(tables, video_id, extractor or (published["extractor"] if published else None))
    found = _model(tables, model or (published["model_id"] if published else None))
    of_extraction = of_video & (F.col("extractor") == extraction["extractor"])
    of_model = of_extraction & (F.col("model_id") == found["model_id"]) if found else F.lit(False)
    faces = _rows(tables.read(FACES).where(of_extraction), FACES)
    images = {face["face_id"]: bytes(face.pop("image")) for face in faces}
    for face in faces:
        face["image_sha256"] = hashlib.sha256(images[face["face_id"]]).hexdigest()
    predictions = _rows(tables.read(PREDICTIONS).where(of_model), PREDICTIONS)
    run_ids = {extraction["run_id"], *(row["run_id"] for row in predictions)}
    runs = {run_id: _run(storage, tables.root, run_id) for run_id in sorted(run_ids - {None})}
    extracting = runs[extraction["run_id"]]
    chunks = tables.read(CHUNKS).where(F.col("uri") == F.lit(_chunk_uri(video))).orderBy(F.desc("ingested_at"))
    data = {
        "format": FORMAT,
        "video": _plain(video),
        "chunk": _plain(chunks.first()),
        "extraction": _plain(extraction),
        "settings": {section: extracting["config"].get(section) for section in SECTIONS} if extracting else None,
        "frames": _rows(tables.read(FRAMES).where(of_extraction).drop("image"), FRAMES),
        "faces": faces,
        "model": _plain(found),
        "predictions": predictions,
        "verdicts": _rows(tables.read(VERDICTS).where(of_model), VERDICTS),
        "held": _rows(tables.read(HELD_VERDICTS).where(of_model), HELD_VERDICTS),
        "current": _plain(published),
        "runs": {run_id: _without_config(record) for run_id, record in runs.items()},
        "versions": tables.versions(),
    }
    return Chain(data, images)


def _chunk_uri(video: Row) -> str | None:
    """The archive or folder that holds the video."""
    uri, member = video["uri"], video["member"]
    if video["packing"] == "file" and uri is not None and member is not None:
        return str(uri).removesuffix(f"/{member}")
    return None if uri is None else str(uri)


def _extraction(tables: Tables, video_id: str, extractor: str | None) -> Row:
    rows = tables.read(EXTRACTIONS).where(F.col("video_id") == video_id).orderBy("extractor").collect()
    wanted = [row for row in rows if extractor is None or row["extractor"] == extractor]
    if len(wanted) == 1:
        return wanted[0]
    names = ", ".join(row["extractor"] for row in rows)
    if not rows:
        raise TableError(f"{tables.uri(EXTRACTIONS)}: {video_id} has not been extracted; run extract")
    problem = f"was not extracted by {extractor}" if extractor else "was extracted by several extractors"
    raise TableError(f"{tables.uri(EXTRACTIONS)}: {video_id} {problem}; set explain.extractor to one of: {names}")


def _model(tables: Tables, model: str | None) -> Row | None:
    """The row of the model; None when none is named and there is no champion."""
    if model is None and aliases.CHAMPION not in aliases.current(tables):
        return None
    model_id = registry.find(tables, model or aliases.CHAMPION).model_id
    return tables.read(MODELS).where(F.col("model_id") == model_id).first()


def _near(tables: Tables, video_id: str) -> str:
    """Videos whose id ends with the given text, which is often just the name."""
    same = tables.read(VIDEOS).where(F.col("video_id").endswith(f"/{video_id}")).select("video_id").limit(3).collect()
    return f"; did you mean {' or '.join(row['video_id'] for row in same)}?" if same else ""


def _run(storage: Storage, root: str, run_id: str) -> dict[str, Any] | None:
    """The record of a run; None when it is gone or damaged."""
    try:
        record = json.loads(storage.read(uris.join(root, "runs", f"{run_id}.json")))
    except (MissingError, ValueError):
        return None
    return record if isinstance(record, dict) and isinstance(record.get("config"), dict) else None


def _without_config(record: dict[str, Any] | None) -> dict[str, Any] | None:
    names = ("job", "code_version", "config_digest", "started_at", "ended_at", "outcome", "packages")
    return None if record is None else {name: record.get(name) for name in names}


def _rows(frame: DataFrame, table: Table) -> list[dict[str, Any]]:
    keys = [name for name in table.key if name in frame.columns]
    return [_plain(row) or {} for row in frame.orderBy(*keys).collect()]


def _plain(row: Row | None) -> dict[str, Any] | None:
    return None if row is None else {name: _value(value) for name, value in row.asDict(recursive=True).items()}


def _value(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, bytearray):
        return bytes(value)
    if isinstance(value, dict):
        return {key: _value(held) for key, held in value.items()}
    if isinstance(value, Iterable) and not isinstance(value, str | bytes):
        return [_value(held) for held in value]
    return value
