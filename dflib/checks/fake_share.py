"""Largest distance between the share of FAKE among the current verdicts of a chunk and that of all chunks."""

from pyspark.sql import functions as F

from dflib.checks import Measured
from dflib.tables import current
from dflib.tables.schemas import PUBLICATIONS, VERDICTS, VIDEOS
from dflib.tables.store import Tables

SMALLEST = 20
"""Decided videos below which a chunk is left out: the share of so few says little."""


def _measure(tables: Tables) -> Measured:
    decided = current.verdicts(tables.read(VERDICTS), tables.read(PUBLICATIONS)).where("verdict <> 'UNDETERMINED'")
    by_chunk = (
        decided.join(tables.read(VIDEOS).select("video_id", "chunk"), "video_id")
        .groupBy("chunk")
        .agg(F.count(F.lit(1)).alias("videos"), F.count_if(F.col("verdict") == "FAKE").alias("fakes"))
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
