"""The most wrong videos, and a few of their crops to look at."""

import base64
from dataclasses import dataclass

import numpy as np
import pandas as pd
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from dflib import config
from dflib.errors import ImageError
from dflib.models.view import decode_rgb
from dflib.reporting.findings import Findings
from dflib.scoring.pooling import usable

CROPS_PER_VIDEO = 4
THUMBNAIL = 112
"""Longer side of a thumbnail, pixels."""


@dataclass(frozen=True)
class Crop:
    """A thumbnail: its score, its frame, and a data URI; None when the stored crop can't be decoded."""

    p_fake: float
    frame_index: int
    image: str | None


def most_wrong(findings: Findings) -> pd.DataFrame:
    """Labelled videos of the headline's slice whose verdict is wrong, the farthest off first, at most ``worst``.

    Returns:
        Rows of ``findings.videos`` with ``p_fake`` and ``error`` (distance of the score from the label, 0 to 1).
    """
    videos = findings.headline_videos
    decided = videos[videos["reason"].isna()]
    fake = (decided["label"] == "FAKE").to_numpy()
    score = decided[f"{findings.rule}_p"].to_numpy(np.float64)
    wrong = decided[f"{findings.rule}_fake"].to_numpy(np.bool_) != fake
    shown = decided.assign(p_fake=score, error=np.abs(fake - score))[wrong]
    ordered: pd.DataFrame = shown.sort_values(["error", "video_id"], ascending=[False, True])
    return ordered.head(findings.settings.worst)


def crops(
    faces: DataFrame, predictions: DataFrame, shown: pd.DataFrame, settings: config.ReportConfig
) -> dict[str, list[Crop]]:
    """The usable faces that led each video astray most, by video_id.

    Args:
        faces: rows of the extractor, as in FACES.
        predictions: rows of the model and extractor, as in PREDICTIONS.
        shown: result of :func:`most_wrong`.
        settings: which faces are usable.
    """
    found: dict[str, list[Crop]] = {video_id: [] for video_id in shown["video_id"]}
    if not found:
        return found
    called_real = shown.loc[shown["label"] == "FAKE", "video_id"].tolist()
    of_videos = F.col("video_id").isin(list(found))
    right = F.when(F.col("video_id").isin(called_real), F.col("p_fake")).otherwise(1 - F.col("p_fake"))
    scores = predictions.where(of_videos).select("face_id", "p_fake")
    place = Window.partitionBy("video_id").orderBy(right, "frame_index", "face_id")
    rows = (
        faces.where(of_videos & usable(settings))
        .select("face_id", "video_id", "frame_index", "image")
        .join(F.broadcast(scores), "face_id")
        .withColumn("place", F.row_number().over(place))
        .where(F.col("place") <= CROPS_PER_VIDEO)
        .orderBy("video_id", "place")
    )
    for row in rows.collect():
        found[row["video_id"]].append(Crop(row["p_fake"], row["frame_index"], _thumbnail(bytes(row["image"]))))
    return found


def _thumbnail(encoded: bytes) -> str | None:
    """A small JPEG as a data URI."""
    import cv2

    try:
        image = decode_rgb(encoded)
    except ImageError:
        return None
    height, width = image.shape[:2]
    scale = THUMBNAIL / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    _, jpeg = cv2.imencode(".jpg", small[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 82])
    return "data:image/jpeg;base64," + base64.b64encode(jpeg.tobytes()).decode()
