"""Largest distance between the share of FAKE in a chunk and in all chunks, by the scores of the champion.

A video counts as FAKE when the mean score of its faces is above .5: verdicts are written later, by report.
"""

from pyspark.sql import functions as F

from dflib.checks import Measured
from dflib.models import aliases
from dflib.tables.schemas import PREDICTIONS, VIDEOS
from dflib.tables.store import Tables

SMALLEST = 20
"""Scored videos below which a chunk is left out: the share of so few says little."""


def _measure(tables: Tables) -> Measured:
    champion = aliases.current(tables).get(aliases.CHAMPION)
    if champion is None:
        return Measured(None, "there is no champion")
    predictions = tables.read(PREDICTIONS).where(F.col("model_id") == champion.model_id)
    by_chunk = (
        predictions.groupBy("video_id")
        .agg((F.avg("p_fake") > 0.5).alias("fake"))
        .join(tables.read(VIDEOS).select("video_id", "chunk"), "video_id")
        .groupBy("chunk")
        .agg(F.count(F.lit(1)).alias("videos"), F.count_if("fake").alias("fakes"))
        .collect()
    )
    large = [row for row in by_chunk if row["videos"] >= SMALLEST]
    if len(large) < 2:
        return Measured(None, "fewer than two chunks with enough videos")
    overall = sum(row["fakes"] for row in by_chunk) / sum(row["videos"] for row in by_chunk)
    far = max(large, key=lambda row: (abs(row["fakes"] / row["videos"] - overall), row["chunk"]))
    share = far["fakes"] / far["videos"]
    return Measured(abs(share - overall), f"chunk {far['chunk']}: {share:.3f}, all: {overall:.3f}")


PART = _measure
