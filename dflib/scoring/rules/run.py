"""The longest run of consecutive suspicious frames over the frames used; FAKE when it is as long as the argument.

A frame is suspicious when its highest face score is above the threshold.  Frames without a usable face are skipped:
they neither count nor break a run.
"""

from pyspark.sql import Column
from pyspark.sql import functions as F

from dflib.scoring.rules import Rule


def _run(threshold: float, argument: str) -> Rule:
    length = int(argument)

    def longest() -> Column:
        return F.aggregate(
            "frames",
            F.struct(F.lit(0).alias("current"), F.lit(0).alias("longest")),
            lambda state, frame: _extend(state, frame["top"] > threshold),
            lambda state: state["longest"],
        )

    return Rule(
        p_fake=lambda: longest() / F.nullif(F.col("frames_used"), F.lit(0)),
        fake=lambda: longest() >= length,
        parameters=f"length={length}",
    )


def _extend(state: Column, suspicious: Column) -> Column:
    current = F.when(suspicious, state["current"] + 1).otherwise(0)
    return F.struct(current.alias("current"), F.greatest(state["longest"], current).alias("longest"))


PART = _run
