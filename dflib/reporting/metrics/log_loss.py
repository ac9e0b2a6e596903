"""Mean negative log-likelihood of the labels, natural logarithm; 0 is perfect."""

import numpy as np

from dflib.reporting.metrics import Metric, Scored
from dflib.reporting.resamples import Array, divide

CLIP = float(np.finfo(np.float64).eps)
"""Scores are kept this far from 0 and 1, as in scikit-learn's log_loss."""


def _loss(videos: Scored) -> Array:
    clipped = np.clip(videos.score, CLIP, 1 - CLIP)
    loss: Array = -np.log(np.where(videos.fake, clipped, 1 - clipped))
    return loss


PART = Metric(
    lambda resamples: divide(resamples["loss"], resamples.decided),
    title="log loss",
    columns={"loss": _loss},
    needs_probability=True,
)
