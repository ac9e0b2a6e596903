"""Number of FAKE videos (or faces) with the verdict REAL: false negatives."""

from dflib.reporting.metrics import Metric

PART = Metric(lambda resamples: resamples["false_real"], levels=("video", "face"), bearing=("fakes",))
