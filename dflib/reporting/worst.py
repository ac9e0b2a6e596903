"""The most wrong videos, each with the faces that contributed most to the error."""

import numpy as np
import pandas as pd
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from dflib import config
from dflib.reporting import thumbnails
from dflib.reporting.findings import Findings
from dflib.reporting.thumbnails import Thumbnail

FACES_PER_VIDEO = 4
THUMBNAIL_SIDE = 112
"""Longer side of a thumbnail, pixels."""


def most_wrong(findings: Findings) -> pd.DataFrame:
    """Labelled videos of the headline's slice whose verdict is wrong, largest error first, at most ``report.worst``.

    Returns:
        Rows of ``findings.videos`` with ``p_fake`` and ``error`` (distance of the score from the label, 0 to 1).
    """
    score, fake, called = findings.headline_scores
    shown = findings.headline_decided.assign(p_fake=score, error=np.abs(fake - score))[called != fake]
    ordered: pd.DataFrame = shown.sort_values(["error", "video_id"], ascending=[False, True])
    return ordered.head(findings.settings.worst)


def faces_of(
    faces: DataFrame, predictions: DataFrame, shown: pd.DataFrame, settings: config.ReportConfig
) -> dict[str, list[Thumbnail]]:
    """The usable faces whose scores are farthest from the label, by video_id.

    Args:
        faces: rows of the extractor, as in FACES.
        predictions: rows of the model and extractor, as in PREDICTIONS.
        shown: result of :func:`most_wrong`.
        settings: which faces are usable.
    """
    found: dict[str, list[Thumbnail]] = {video_id: [] for video_id in shown["video_id"]}
    if not found:
        return found
    labelled_fake = shown.loc[shown["label"] == "FAKE", "video_id"].tolist()
    error = F.when(F.col("video_id").isin(labelled_fake), 1 - F.col("p_fake")).otherwise(F.col("p_fake"))
    return found | thumbnails.first(
        faces, predictions, list(found), settings, THUMBNAIL_SIDE, error.desc(), FACES_PER_VIDEO
    )
