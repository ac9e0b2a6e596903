"""Mean score of the decided REAL videos (or faces)."""

from dflib.reporting.metrics import Metric
from dflib.reporting.resamples import divide

PART = Metric(
    lambda resamples: divide(resamples["score_real"], resamples.reals),
    title="mean score of REAL",
    levels=("video", "face"),
    bearing=("reals",),
)
