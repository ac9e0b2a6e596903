"""Scores that are no probability."""

from pyspark.sql import functions as F

from dflib.checks import Measured
from dflib.tables.schemas import PREDICTIONS
from dflib.tables.store import Tables


def _measure(tables: Tables) -> Measured:
    p_fake = F.col("p_fake")
    # Statistics of files leave NaN out, so a comparison alone would skip files that have some.
    wrong = tables.read(PREDICTIONS).where(p_fake.isNull() | F.isnan(p_fake) | ~p_fake.between(0.0, 1.0))
    first = wrong.orderBy("face_id").select("face_id").first()
    return Measured(wrong.count(), "" if first is None else f"the first: {first['face_id']}")


PART = _measure
