"""The share of suspicious frames; FAKE when it is above the argument.

A frame is suspicious when its highest face score is above the threshold.
"""

from pyspark.sql import Column
from pyspark.sql import functions as F

from dflib.scoring.rules import Rule


def _share(threshold: float, argument: str) -> Rule:
    limit = float(argument)

    def p_fake() -> Column:
        suspicious = F.size(F.filter("frames", lambda frame: frame["top"] > threshold))
        return suspicious / F.nullif(F.col("frames_used"), F.lit(0))

    return Rule(p_fake, limit=limit, parameters=f"share={limit:g}")


PART = _share
