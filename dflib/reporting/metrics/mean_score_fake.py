"""Mean score of the decided FAKE videos (or faces)."""

from dflib.reporting.metrics import Metric
from dflib.reporting.resamples import divide

PART = Metric(
    lambda resamples: divide(resamples["score_fake"], resamples.fakes),
    title="mean score of FAKE",
    levels=("video", "face"),
    bearing=("fakes",),
)
