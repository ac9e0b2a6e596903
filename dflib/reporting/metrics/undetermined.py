"""Number of labelled videos that are UNDETERMINED."""

from dflib.reporting.metrics import Metric

PART = Metric(lambda resamples: resamples["undetermined"], bearing=("labelled",), counts_undetermined=True)
