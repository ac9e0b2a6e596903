"""Videos whose rows in frames or faces are not those that the ledger counts."""

from pyspark.sql import functions as F

from dflib.checks import Measured
from dflib.tables.schemas import EXTRACTIONS, FACES, FRAMES
from dflib.tables.store import Tables

_KEYS = ["video_id", "extractor"]


def _measure(tables: Tables) -> Measured:
    counted = tables.read(EXTRACTIONS).select(*_KEYS, "frames", "faces")
    for table in (FRAMES, FACES):
        rows = tables.read(table).groupBy(*_KEYS).agg(F.count(F.lit(1)).alias(f"{table.name}_rows"))
        counted = counted.join(rows, _KEYS, "full_outer")
    columns = [(F.coalesce(name, F.lit(0)), F.coalesce(f"{name}_rows", F.lit(0))) for name in ("frames", "faces")]
    wrong = counted.where((columns[0][0] != columns[0][1]) | (columns[1][0] != columns[1][1]))
    first = wrong.orderBy(*_KEYS).select("video_id").first()
    return Measured(wrong.count(), "" if first is None else f"the first: {first['video_id']}")


PART = _measure
