"""Thumbnails of faces for the report page."""

from collections.abc import Sequence
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from dflib import config
from dflib.errors import ImageError
from dflib.models.view import decode_rgb
from dflib.pages.html import data_uri
from dflib.scoring.pooling import usable

QUALITY = 80
"""JPEG quality of a thumbnail."""


@dataclass(frozen=True)
class Thumbnail:
    """A face of a video.

    Attributes:
        p_fake: score of the face; None without a prediction.
        frame_index: of its frame.
        image: JPEG as a ``data:`` URI; None when the stored crop can't be decoded.
    """

    p_fake: float | None
    frame_index: int
    image: str | None


def extremes(
    faces: DataFrame, predictions: DataFrame, video_ids: Sequence[str], settings: config.ReportConfig, side: int
) -> dict[str, list[Thumbnail]]:
    """Up to three faces of each video: those with the lowest, the median and the highest score.

    Usable faces come before those that are left out, scored faces before those without a score, so that a video without
    a verdict shows what was found in it.

    Args:
        faces: rows of the extractor, as in FACES.
        predictions: rows of the model and extractor, as in PREDICTIONS.
        video_ids: whose faces.
        settings: which faces are usable.
        side: longer side of a thumbnail, pixels.

    Returns:
        The faces by video_id, ascending by score; videos without a face are missing.
    """
    rows = _of_videos(faces, predictions, video_ids)
    rank = F.when(F.col("p_fake").isNull(), 2).when(usable(settings), 0).otherwise(1)
    rows = rows.withColumn("rank", rank)
    best = rows.withColumn("best", F.min("rank").over(Window.partitionBy("video_id"))).where(
        F.col("rank") == F.col("best")
    )
    place = F.row_number().over(Window.partitionBy("video_id").orderBy("p_fake", "frame_index", "face_id"))
    numbered = best.withColumns({"place": place, "last": F.count(F.lit(1)).over(Window.partitionBy("video_id"))})
    median = F.floor((F.col("last") + 1) / 2)
    shown = numbered.where((F.col("place") == 1) | (F.col("place") == F.col("last")) | (F.col("place") == median))
    return _thumbnails(faces, shown, side)


def first(
    faces: DataFrame,
    predictions: DataFrame,
    video_ids: Sequence[str],
    settings: config.ReportConfig,
    side: int,
    order: Column,
    count: int,
) -> dict[str, list[Thumbnail]]:
    """The first ``count`` usable and scored faces of each video in an order of the columns of PREDICTIONS.

    Arguments and result as of :func:`extremes`.
    """
    rows = _of_videos(faces, predictions, video_ids).where(F.col("p_fake").isNotNull() & usable(settings))
    place = F.row_number().over(Window.partitionBy("video_id").orderBy(order, "frame_index", "face_id"))
    return _thumbnails(faces, rows.withColumn("place", place).where(F.col("place") <= count), side)


def _of_videos(faces: DataFrame, predictions: DataFrame, video_ids: Sequence[str]) -> DataFrame:
    """Faces of some videos with their scores, without images."""
    wanted = F.col("video_id").isin(list(video_ids))
    scores = predictions.where(wanted).select("face_id", "p_fake")
    return faces.where(wanted).drop("image").join(scores, "face_id", "left")


def _thumbnails(faces: DataFrame, shown: DataFrame, side: int) -> dict[str, list[Thumbnail]]:
    """The faces of ``shown`` (with ``place``) by video, ascending by place; images are read for these only."""
    chosen = shown.select("face_id", "video_id", "frame_index", "p_fake", "place").collect()
    found: dict[str, list[Thumbnail]] = {}
    if not chosen:
        return found
    # Both conditions, because files and row groups are skipped by video_id.
    ids, videos = [row["face_id"] for row in chosen], sorted({row["video_id"] for row in chosen})
    rows = faces.where(F.col("video_id").isin(videos) & F.col("face_id").isin(ids)).select("face_id", "image")
    images = {row["face_id"]: _shrink(bytes(row["image"]), side) for row in rows.collect()}
    for row in sorted(chosen, key=lambda row: (str(row["video_id"]), int(row["place"]))):
        thumbnail = Thumbnail(row["p_fake"], row["frame_index"], images[row["face_id"]])
        found.setdefault(row["video_id"], []).append(thumbnail)
    return found


def _shrink(encoded: bytes, side: int) -> str | None:
    """A JPEG whose longer side is ``side`` pixels, as a ``data:`` URI; None when ``encoded`` can't be decoded."""
    import cv2

    try:
        image = decode_rgb(encoded)
    except ImageError:
        return None
    height, width = image.shape[:2]
    scale = side / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    _, jpeg = cv2.imencode(".jpg", small[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    return data_uri(jpeg.tobytes(), "jpeg")
