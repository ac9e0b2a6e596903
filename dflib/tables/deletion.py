"""Deleting what was extracted of videos, in the one order in which a kill in between does no harm."""

from collections.abc import Iterable, Sequence

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from dflib.tables.schemas import EXTRACTIONS, FACES, FRAMES, HELD_VERDICTS, PREDICTIONS, VERDICTS
from dflib.tables.store import Tables

ORDER = (HELD_VERDICTS, VERDICTS, PREDICTIONS, EXTRACTIONS, FACES, FRAMES)
"""Children first.  While its ledger row is there, a changed or vanished video is found and deleted again; so what was
derived from the faces goes before that row, and the row goes before the faces, since it promises them.  What then is
left of a video is found by :func:`uncommitted`."""


def delete_extractions(tables: Tables, video_ids: Sequence[str], extractor: str, keep_verdicts: bool = False) -> None:
    """Deletes all rows that one extractor made of these videos, predictions included.

    Args:
        keep_verdicts: of videos that are about to be extracted again: what changes is told by comparing the new
            verdicts with these.  They name the bytes that they are about.
    """
    if video_ids:
        rows = frame_of(tables, video_ids).withColumn("extractor", F.lit(extractor))
        for table in ORDER:
            if not (keep_verdicts and table is VERDICTS):
                tables.delete_matching(table, rows)


def uncommitted(tables: Tables, video_ids: Sequence[str], extractor: str) -> set[str]:
    """Those of the videos that have frames or faces of the extractor.

    Of videos without a ledger row these are leftovers of a killed run, either of its writing or of its deleting.
    """
    found: set[str] = set()
    for table in (FRAMES, FACES):
        if video_ids and tables.exists(table):
            rows = tables.read(table).where(F.col("extractor") == extractor).select("video_id").distinct()
            ids = F.broadcast(frame_of(tables, video_ids))
            found |= {row["video_id"] for row in rows.join(ids, "video_id", "left_semi").collect()}
    return found


def frame_of(tables: Tables, video_ids: Iterable[str]) -> DataFrame:
    """The ids as rows with the column ``video_id``."""
    return tables.spark.createDataFrame(pa.table({"video_id": pa.array(list(video_ids), pa.string())}))
