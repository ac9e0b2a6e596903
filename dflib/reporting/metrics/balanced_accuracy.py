"""Mean of the accuracies on REAL and on FAKE."""

from dflib.reporting.metrics import Metric
from dflib.reporting.resamples import Array, Resamples, divide


def _balanced_accuracy(resamples: Resamples) -> Array:
    recall = divide(resamples["true_fake"], resamples.fakes)
    specificity = divide(resamples["true_real"], resamples.reals)
    return (recall + specificity) / 2


PART = Metric(_balanced_accuracy, title="balanced accuracy", levels=("video", "face"), bearing=("fakes", "reals"))
