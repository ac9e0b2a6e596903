"""Writes ready-cut crops to ``frames``, ``faces`` and the extraction ledger, as ``extract`` does for videos."""

import contextlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from dflib.errors import CountError
from dflib.runtime.periodic import watched
from dflib.runtime.progress import Progress
from dflib.sources.chunk import Chunk
from dflib.sources.crop_reader import read_crops
from dflib.sources.crops import CropFile
from dflib.storage import Storage
from dflib.tables import deletion
from dflib.tables.schemas import EXTRACTIONS, FACES, FRAMES
from dflib.tables.store import Tables


@dataclass(frozen=True)
class Written:
    """Number of rows added to ``faces``, and why some crops must be retried (None: all were read)."""

    faces: int
    failed: str | None


def write(
    tables: Tables,
    storage: Storage,
    chunk: Chunk,
    crops: list[CropFile],
    removed: list[str],
    extractor: str,
    run_id: str,
    progress: Progress,
) -> Written:
    """Reads the crops of videos that the ledger lacks or has with another fingerprint, and writes them.

    The crops of a changed video replace its previous ones, whose predictions are deleted.  A crop that cannot be
    decoded becomes a problem of ``chunk``.  A video with a crop that storage failed to read is left to the next run.

    Args:
        tables: the tables to write.
        storage: where the crops are.
        chunk: the crops folder; requests, bytes and problems are added to it.
        crops: crops of the videos whose crops are taken from this folder.
        removed: videos of which no folder has a crop any more; they are MISSING_FILE in the ledger, which makes their
            verdicts UNDETERMINED in the next report.
        extractor: extractor of the crops.
        run_id: current run, for the ledger.
        progress: counts the crops.

    Raises:
        CountError: the tasks returned fewer or more crops than were listed.
    """
    fingerprints = {video.video_id: video.fingerprint for video in chunk.videos}
    deletion.delete_extractions(tables, removed, extractor, keep_verdicts=True)
    _upsert(tables, [_missing_row(video_id, extractor, run_id) for video_id in removed])
    ledger = _ledger(tables, extractor, list(fingerprints))
    pending = [crop for crop in crops if ledger.get(crop.video_id) != fingerprints[crop.video_id]]
    if not pending:
        return Written(0, None)
    progress.start("crops", len(pending))
    with contextlib.ExitStack() as stack:
        with watched(tables.spark, progress, len(pending)):
            staged = stack.enter_context(tables.stage(read_crops(tables.spark, storage, pending, extractor), "crops"))
        progress.finish()
        read = staged.agg(
            F.count(F.lit(1)).alias("rows"),
            F.sum("retries").alias("retries"),
            F.count("several").alias("several"),
            F.min("several").alias("first_of_several"),
        ).first()
        assert read is not None
        returned = read["rows"]
        if returned != len(pending):
            raise CountError(
                f"{chunk.source.uri}: {returned} of {len(pending)} crops were returned by the tasks; nothing was "
                "written, run ingest again"
            )
        bad = (
            staged.where("problem IS NOT NULL").select("video_id", "problem", "retryable").orderBy("problem").collect()
        )
        chunk.problems.extend(row["problem"] for row in bad if not row["retryable"])
        if read["several"]:
            chunk.problems.append(
                f"FIRST_PICTURE: {read['several']} files have several pictures, of which the first was read, first "
                f"{read['first_of_several']}"
            )
        unread = [row for row in bad if row["retryable"]]
        postponed = {row["video_id"] for row in unread}
        pending = [crop for crop in pending if crop.video_id not in postponed]
        faces = _write_rows(tables, staged, pending, ledger, fingerprints, extractor, run_id) if pending else 0
    chunk.requests += returned
    chunk.task_retries += read["retries"]
    chunk.bytes_read += sum(crop.entry.size for crop in pending)
    failed = f"{chunk.source.uri}: {len(unread)} crops, the first: {unread[0]['problem']}" if unread else None
    return Written(faces, failed)


def _ledger(tables: Tables, extractor: str, video_ids: list[str]) -> dict[str, str | None]:
    if not tables.exists(EXTRACTIONS):
        return {}
    rows = tables.read(EXTRACTIONS).where(F.col("extractor") == extractor)
    wanted = deletion.frame_of(tables, video_ids)
    found = rows.join(wanted, "video_id", "left_semi").select("video_id", "fingerprint").collect()
    return {row["video_id"]: row["fingerprint"] for row in found}


def _write_rows(
    tables: Tables,
    staged: DataFrame,
    pending: list[CropFile],
    ledger: dict[str, str | None],
    fingerprints: dict[str, str | None],
    extractor: str,
    run_id: str,
) -> int:
    video_ids = sorted({crop.video_id for crop in pending})
    # Rows without a ledger row are leftovers of a killed run; their images may have changed since.
    found = deletion.uncommitted(tables, video_ids, extractor)
    changed = [video_id for video_id in video_ids if video_id in ledger or video_id in found]
    deletion.delete_extractions(tables, changed, extractor, keep_verdicts=True)
    read = staged.where("problem IS NULL").join(deletion.frame_of(tables, video_ids), "video_id", "left_semi")
    faces = tables.insert_new(FACES, read.select(FACES.schema.names))
    per_frame = read.groupBy("video_id", "extractor", "frame_index").agg(F.count(F.lit(1)).alias("faces"))
    absent = {field.name: F.lit(None) for field in FRAMES.schema if field.name not in per_frame.columns}
    tables.insert_new(FRAMES, per_frame.withColumns(absent))
    counts = {
        row["video_id"]: (row["frames"], row["faces"])
        for row in per_frame.groupBy("video_id")
        .agg(F.count(F.lit(1)).alias("frames"), F.sum("faces").alias("faces"))
        .collect()
    }
    by_video: dict[str, list[CropFile]] = {}
    for crop in pending:
        by_video.setdefault(crop.video_id, []).append(crop)
    rows = [
        _ledger_row(video_id, own, counts.get(video_id, (0, 0)), fingerprints[video_id], extractor, run_id)
        for video_id, own in by_video.items()
    ]
    _upsert(tables, rows)
    return faces


def _upsert(tables: Tables, rows: list[dict[str, Any]]) -> None:
    if rows:
        tables.upsert(EXTRACTIONS, EXTRACTIONS.frame(tables.spark, rows))


def _missing_row(video_id: str, extractor: str, run_id: str) -> dict[str, Any]:
    return {
        "video_id": video_id,
        "extractor": extractor,
        "outcome": "FAILED",
        "reason": "MISSING_FILE",
        "detail": "its crops are gone",
        "attempts": 1,
        "frames": 0,
        "faces": 0,
        "bytes_read": 0,
        "requests": 0,
        "run_id": run_id,
        "extracted_at": datetime.now(UTC),
    }


def _ledger_row(
    video_id: str, crops: list[CropFile], counts: tuple[int, int], fingerprint: str | None, extractor: str, run_id: str
) -> dict[str, Any]:
    frames, faces = counts
    unreadable = len(crops) - faces
    return {
        "video_id": video_id,
        "extractor": extractor,
        "fingerprint": fingerprint,
        "outcome": "DONE" if faces else "FAILED",
        "reason": "UNREADABLE_CROP" if unreadable else None,
        "detail": f"{unreadable} of {len(crops)} crops cannot be decoded" if unreadable else None,
        "attempts": 1,
        "frames": frames,
        "faces": faces,
        "bytes_read": sum(crop.entry.size for crop in crops),
        "requests": len(crops),
        "run_id": run_id,
        "extracted_at": datetime.now(UTC),
    }
