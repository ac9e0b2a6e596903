"""Share of the extracted videos in which no face was found."""

from pyspark.sql import functions as F

from dflib.checks import Measured
from dflib.tables.schemas import EXTRACTIONS
from dflib.tables.store import Tables


def _measure(tables: Tables) -> Measured:
    done = tables.read(EXTRACTIONS).where("outcome = 'DONE'")
    counted = done.agg(F.count(F.lit(1)).alias("videos"), F.count_if(F.col("faces") == 0).alias("faceless")).first()
    assert counted is not None
    if not counted["videos"]:
        return Measured(None)
    return Measured(counted["faceless"] / counted["videos"], f"{counted['faceless']:,} of {counted['videos']:,} videos")


PART = _measure
