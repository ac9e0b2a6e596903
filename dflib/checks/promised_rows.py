"""Videos whose rows in frames or faces are not those that the ledger counts.

Rows without a ledger row are leftovers of a killed run, or of a running one.  They count nowhere.
"""

from pyspark.sql import functions as F

from dflib.checks import Measured
from dflib.tables.schemas import EXTRACTIONS, FACES, FRAMES
from dflib.tables.store import Tables

_KEYS = ["video_id", "extractor"]


def _measure(tables: Tables) -> Measured:
    counted = tables.read(EXTRACTIONS).where("outcome = 'DONE'").select(*_KEYS, "frames", "faces")
    for table in (FRAMES, FACES):
        rows = tables.read(table).groupBy(*_KEYS).agg(F.count(F.lit(1)).alias(f"{table.name}_rows"))
        counted = counted.join(rows, _KEYS, "left")
    differ = [f"coalesce({name}, 0) <> coalesce({name}_rows, 0)" for name in ("frames", "faces")]
    wrong = counted.where(" OR ".join(differ))
    first = wrong.orderBy(*_KEYS).select("video_id").first()
    return Measured(wrong.count(), "" if first is None else f"the first: {first['video_id']}")


PART = _measure
