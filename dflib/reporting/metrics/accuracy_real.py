"""Share of the decided REAL videos (or faces) whose verdict is REAL: the specificity."""

from dflib.reporting.metrics import Metric
from dflib.reporting.resamples import divide

PART = Metric(
    lambda resamples: divide(resamples["true_real"], resamples.reals),
    title="accuracy on REAL",
    levels=("video", "face"),
    bearing=("reals",),
)
