"""The mean of the face scores; FAKE when it is above the threshold."""

from pyspark.sql import Column
from pyspark.sql import functions as F

from dflib.scoring.rules import Rule


def _mean(threshold: float, argument: str) -> Rule:
    def p_fake() -> Column:
        return F.col("score_sum") / F.nullif(F.col("faces_scored"), F.lit(0))

    return Rule(p_fake, limit=threshold, is_probability=True)


PART = _mean
