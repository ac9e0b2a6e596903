"""Deleting what was extracted of videos, in the one order in which a kill in between does no harm."""

from collections.abc import Sequence

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import StringType, StructField, StructType

from dflib.tables.schemas import EXTRACTIONS, FACES, FRAMES, PREDICTIONS, VERDICTS
from dflib.tables.store import Tables

ORDER = (VERDICTS, PREDICTIONS, EXTRACTIONS, FACES, FRAMES)
"""Children first.  While its ledger row is there, a changed or vanished video is found and deleted again; so what was
derived from the faces goes before that row, and the row goes before the faces, since it promises them.  What then is
left of a video is found by :func:`uncommitted`."""


def delete_extractions(tables: Tables, video_ids: Sequence[str], extractor: str) -> None:
    """Deletes all rows that one extractor made of these videos, predictions and verdicts included."""
    if video_ids:
        for table in ORDER:
            tables.delete_videos(table, _frame(tables, video_ids), extractor)


def uncommitted(tables: Tables, video_ids: Sequence[str], extractor: str) -> set[str]:
    """Those of the videos that have frames or faces of the extractor.

    Of videos without a ledger row these are leftovers of a killed run, either of its writing or of its deleting.
    """
    found: set[str] = set()
    for table in (FRAMES, FACES):
        if video_ids and tables.exists(table):
            rows = tables.read(table).where(F.col("extractor") == extractor).select("video_id").distinct()
            ids = F.broadcast(_frame(tables, video_ids))
            found |= {row["video_id"] for row in rows.join(ids, "video_id", "left_semi").collect()}
    return found


def _frame(tables: Tables, video_ids: Sequence[str]) -> DataFrame:
    schema = StructType([StructField("video_id", StringType())])
    return tables.spark.createDataFrame([(video_id,) for video_id in video_ids], schema)
