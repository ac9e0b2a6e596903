"""Share of the videos (or faces) with the verdict FAKE whose label is FAKE."""

from dflib.reporting.metrics import Metric
from dflib.reporting.resamples import divide

PART = Metric(
    lambda resamples: divide(resamples["true_fake"], resamples.called_fake),
    levels=("video", "face"),
    bearing=("called_fake",),
)
