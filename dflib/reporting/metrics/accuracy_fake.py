"""Share of the decided FAKE videos (or faces) whose verdict is FAKE: the recall."""

from dflib.reporting.metrics import Metric
from dflib.reporting.resamples import divide

PART = Metric(
    lambda resamples: divide(resamples["true_fake"], resamples.fakes),
    title="accuracy on FAKE",
    levels=("video", "face"),
    bearing=("fakes",),
)
