"""The split of each video from the point of view of one model: which videos it was trained on."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from dflib.datasets import splits


def split_of_videos(videos: DataFrame, assigned: DataFrame, trained_on: DataFrame | None = None) -> DataFrame:
    """The split of each video for one model; null where there is none, so that the video inflates no slice.

    A video of the model's training set has the split that it had there, even if its metadata have changed since. Any
    other video has the split of its source group in the set, because balancing leaves out fakes whose original is in
    it. A clip that belongs to groups of different splits is left out of training and has none.

    Args:
        videos: rows of VIDEOS.
        assigned: rows of SPLITS.
        trained_on: rows of the model's training set (TRAINING_SET); None for an imported model, for which the assigned
            splits hold.

    Returns:
        ``video_id`` and ``split``, one row per video.
    """
    groups = assigned.select("source_group", "split")
    if trained_on is None:
        placed = splits.with_splits(videos, groups)
        return placed.select("video_id", F.when(~F.col("crosses_splits"), F.col("split")).alias("split"))
    of_set = trained_on.select("source_group", "split").distinct()
    # Groups outside the set give no video a split, but a clip may also belong to them.
    known = of_set.unionByName(groups.join(of_set, "source_group", "left_anti"))
    own = trained_on.select("video_id", F.col("split").alias("own")).distinct()
    in_set = of_set.select("source_group", F.lit(True).alias("in_set"))
    placed = splits.with_splits(videos, known).join(in_set, "source_group", "left").join(own, "video_id", "left")
    of_group = F.when(F.col("in_set") & ~F.col("crosses_splits"), F.col("split"))
    return placed.select("video_id", F.coalesce("own", of_group).alias("split"))
