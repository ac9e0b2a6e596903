"""Accuracy of always giving the more frequent label."""

import numpy as np

from dflib.reporting.metrics import Metric
from dflib.reporting.resamples import divide

PART = Metric(
    lambda resamples: divide(np.maximum(resamples.fakes, resamples.reals), resamples.decided),
    title="majority baseline",
    levels=("video", "face"),
)
