"""Which faces count: those of a finished extraction, read from the bytes that their video has now.

Faces without a DONE row in the ledger are what a killed run left.  Faces of other bytes than ``videos`` names belong
to a file that has been replaced since, until extract has run again.
"""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

CROPS = "crops-"
"""How the extractors of ready-cut crops begin; those of videos begin with their sampling."""


def ledger(extractions: DataFrame, videos: DataFrame) -> DataFrame:
    """The rows of the ledger with the column ``changed``: whether their video has other bytes now.

    Ready-cut crops may stand beside the video that they were cut from; ``videos`` then holds the fingerprint of the
    video, and says nothing of the crops, which ingest keeps up to date by itself.

    Args:
        extractions: as in EXTRACTIONS.
        videos: as in VIDEOS.
    """
    now = videos.select("video_id", F.col("fingerprint").alias("_now"), F.col("packing").alias("_packing"))
    beside = F.col("extractor").startswith(CROPS) & ~F.col("_packing").eqNullSafe("crops")
    changed = ~F.col("fingerprint").eqNullSafe(F.col("_now")) & ~beside
    return extractions.join(now, "video_id", "left").withColumn("changed", changed).drop("_now", "_packing")


def faces(rows: DataFrame, extractions: DataFrame, videos: DataFrame) -> DataFrame:
    """Those of ``rows`` (as in FACES) that count. Ids go to the pictures, never pictures to ids."""
    counting = ledger(extractions, videos).where((F.col("outcome") == "DONE") & ~F.col("changed"))
    return rows.join(F.broadcast(counting.select("video_id", "extractor")), ["video_id", "extractor"], "left_semi")
