"""Number of FAKE videos (or faces) with the verdict FAKE: true positives."""

from dflib.reporting.metrics import Metric

PART = Metric(lambda resamples: resamples["true_fake"], levels=("video", "face"), bearing=("fakes",))
