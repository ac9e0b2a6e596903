"""Brier score: mean squared difference between score and label (1 for FAKE); 0 is perfect."""

from dflib.reporting.metrics import Metric
from dflib.reporting.resamples import divide

PART = Metric(
    lambda resamples: divide(resamples["squared_error"], resamples.decided),
    title="Brier score",
    columns={"squared_error": lambda videos: (videos.score - videos.fake) ** 2},
    needs_probability=True,
)
