"""Ready-cut crops written: frames, faces and the ledger, as if extract had found them."""

import contextlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from dflib.errors import CountError
from dflib.runtime.progress import Progress
from dflib.runtime.watch import watched
from dflib.sources.crops import Crop, read_crops
from dflib.sources.model import Chunk
from dflib.storage import Storage
from dflib.tables.schemas import EXTRACTIONS, FACES, FRAMES, PREDICTIONS, VERDICTS, Table
from dflib.tables.store import Tables


@dataclass(frozen=True)
class Written:
    """Rows of ``faces`` added, and why some crops must be tried again (None: all were read)."""

    faces: int
    failed: str | None


def write(
    tables: Tables,
    storage: Storage,
    chunk: Chunk,
    crops: list[Crop],
    gone: list[str],
    extractor: str,
    run_id: str,
    progress: Progress,
) -> Written:
    """Reads the crops of videos that are new or changed since the ledger's row, and writes them.

    Crops of a changed video replace its old ones, predictions included.  A crop that can't be decoded is a problem
    of ``chunk``; a video with a crop that storage did not give is left for the next run.

    Args:
        crops: of the videos whose crops are taken from this folder.
        gone: videos of which this folder has no crop any more; their rows are deleted.

    Raises:
        CountError: not every crop of the listing came back.
    """
    fingerprints = {video.video_id: video.fingerprint for video in chunk.videos}
    if gone:
        _delete(tables, (VERDICTS, PREDICTIONS, FACES, FRAMES, EXTRACTIONS), gone, extractor)
    ledger = _ledger(tables, extractor, list(fingerprints))
    due = [crop for crop in crops if ledger.get(crop.video_id) != fingerprints[crop.video_id]]
    if not due:
        return Written(0, None)
    progress.start("crops", len(due))
    with contextlib.ExitStack() as stack:
        with watched(tables.spark, progress, len(due)):
            staged = stack.enter_context(tables.stage(read_crops(tables.spark, storage, due, extractor), "crops"))
        progress.finish()
        read = staged.agg(F.count(F.lit(1)).alias("rows"), F.sum("retries").alias("retries")).first()
        assert read is not None
        came = read["rows"]
        if came != len(due):
            raise CountError(f"{chunk.source.uri}: {came} of {len(due)} crops came back from reading; nothing written")
        bad = staged.where("problem IS NOT NULL").select("video_id", "problem", "passing").orderBy("problem").collect()
        chunk.problems.extend(row["problem"] for row in bad if not row["passing"])
        again = {row["video_id"] for row in bad if row["passing"]}
        due = [crop for crop in due if crop.video_id not in again]
        faces = _write_rows(tables, staged, due, ledger, fingerprints, extractor, run_id) if due else 0
    chunk.requests += came
    chunk.task_retries += read["retries"]
    chunk.bytes_read += sum(crop.entry.size for crop in due)
    passing = [row["problem"] for row in bad if row["passing"]]
    failed = f"{chunk.source.uri}: {len(passing)} crops, first {passing[0]}" if passing else None
    return Written(faces, failed)


def _ledger(tables: Tables, extractor: str, video_ids: list[str]) -> dict[str, str | None]:
    if not tables.exists(EXTRACTIONS):
        return {}
    rows = tables.read(EXTRACTIONS).where(F.col("extractor") == extractor)
    wanted = _ids(tables, video_ids)
    found = rows.join(wanted, "video_id", "left_semi").select("video_id", "fingerprint").collect()
    return {row["video_id"]: row["fingerprint"] for row in found}


def _write_rows(
    tables: Tables,
    staged: DataFrame,
    due: list[Crop],
    ledger: dict[str, str | None],
    fingerprints: dict[str, str | None],
    extractor: str,
    run_id: str,
) -> int:
    video_ids = sorted({crop.video_id for crop in due})
    # Faces without a ledger row are what a killed run left; their pictures may have changed since.
    left = tables.read(FACES).where(F.col("extractor") == extractor).select("video_id").distinct()
    found = {row["video_id"] for row in left.join(_ids(tables, video_ids), "video_id", "left_semi").collect()}
    changed = [video_id for video_id in video_ids if video_id in ledger or video_id in found]
    if changed:
        _delete(tables, (VERDICTS, PREDICTIONS, FACES, FRAMES), changed, extractor)
    read = staged.where("problem IS NULL").join(_ids(tables, video_ids), "video_id", "left_semi")
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
    by_video: dict[str, list[Crop]] = {}
    for crop in due:
        by_video.setdefault(crop.video_id, []).append(crop)
    rows = [
        _ledger_row(video_id, held, counts.get(video_id, (0, 0)), fingerprints[video_id], extractor, run_id)
        for video_id, held in by_video.items()
    ]
    frame = tables.spark.createDataFrame(pa.Table.from_pylist(rows, EXTRACTIONS.schema), EXTRACTIONS.spark_schema())
    tables.upsert(EXTRACTIONS, frame)
    return faces


def _delete(tables: Tables, which: tuple[Table, ...], video_ids: list[str], extractor: str) -> None:
    for table in which:
        tables.delete_videos(table, _ids(tables, video_ids), extractor)


def _ledger_row(
    video_id: str, crops: list[Crop], counts: tuple[int, int], fingerprint: str | None, extractor: str, run_id: str
) -> dict[str, Any]:
    frames, faces = counts
    unreadable = len(crops) - faces
    return {
        "video_id": video_id,
        "extractor": extractor,
        "fingerprint": fingerprint,
        "outcome": "DONE" if faces else "FAILED",
        "reason": "UNREADABLE_CROP" if unreadable else None,
        "detail": f"{unreadable} of {len(crops)} crops can't be decoded" if unreadable else None,
        "attempts": 1,
        "frames": frames,
        "faces": faces,
        "bytes_read": sum(crop.entry.size for crop in crops),
        "requests": len(crops),
        "run_id": run_id,
        "extracted_at": datetime.now(UTC),
    }


def _ids(tables: Tables, video_ids: list[str]) -> DataFrame:
    return tables.spark.createDataFrame(pa.table({"video_id": pa.array(video_ids, pa.string())}))
