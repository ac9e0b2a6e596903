"""Which videos a model has seen: the split of each video, as far as this model is concerned."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from dflib.datasets import splits


def split_of_videos(videos: DataFrame, assigned: DataFrame, trained_on: DataFrame | None = None) -> DataFrame:
    """The split of each video for one model; null where it is in none, so that it flatters no slice.

    A video of the model's training set has the split that it had there, whatever its metadata say by now.  Another one
    has that of its source group in the set: balancing leaves fakes out whose original is in it.  A clip that joins
    groups of different splits is left out of training and has none.

    Args:
        videos: as in VIDEOS.
        assigned: as in SPLITS.
        trained_on: rows of the model's training set, as in TRAINING_SET; None for a model that was not trained here,
            whose splits are those assigned.

    Returns:
        ``video_id`` and ``split``, one row a video.
    """
    groups = assigned.select("source_group", "split")
    if trained_on is None:
        placed = splits.of_clips(videos, groups)
        return placed.select("video_id", F.when(~F.col("joins"), F.col("split")).alias("split"))
    of_set = trained_on.select("source_group", "split").distinct()
    # Groups that the set lacks give no video a split, but a clip may join them.
    known = of_set.unionByName(groups.join(of_set, "source_group", "left_anti"))
    own = trained_on.select("video_id", F.col("split").alias("own")).distinct()
    in_set = of_set.select("source_group", F.lit(True).alias("in_set"))
    placed = splits.of_clips(videos, known).join(in_set, "source_group", "left").join(own, "video_id", "left")
    of_group = F.when(F.col("in_set") & ~F.col("joins"), F.col("split"))
    return placed.select("video_id", F.coalesce("own", of_group).alias("split"))
