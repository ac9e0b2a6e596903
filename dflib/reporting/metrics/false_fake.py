"""Number of REAL videos (or faces) with the verdict FAKE: false positives."""

from dflib.reporting.metrics import Metric

PART = Metric(lambda resamples: resamples["false_fake"], levels=("video", "face"), bearing=("reals",))
