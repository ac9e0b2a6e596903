"""Number of REAL videos (or faces) with the verdict REAL: true negatives."""

from dflib.reporting.metrics import Metric

PART = Metric(lambda resamples: resamples["true_real"], levels=("video", "face"), bearing=("reals",))
