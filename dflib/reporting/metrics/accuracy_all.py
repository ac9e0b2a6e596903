"""Share of all labelled videos whose verdict equals the label; UNDETERMINED counts as wrong."""

from dflib.reporting.metrics import Metric
from dflib.reporting.resamples import divide

PART = Metric(
    lambda resamples: divide(resamples.correct, resamples.labelled),
    title="accuracy, UNDETERMINED as wrong",
    bearing=("labelled",),
    counts_undetermined=True,
)
