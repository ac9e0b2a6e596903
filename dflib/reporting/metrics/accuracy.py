"""Share of the decided videos (or faces) whose verdict equals the label."""

from dflib.reporting.metrics import Metric
from dflib.reporting.resamples import divide

PART = Metric(
    lambda resamples: divide(resamples.correct, resamples.decided), title="accuracy", levels=("video", "face")
)
