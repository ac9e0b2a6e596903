"""Equal error rate: where the false positive rate equals the false negative rate, linear between thresholds."""

import numpy as np

from dflib.reporting.metrics import Metric
from dflib.reporting.resamples import Array, Resamples, divide


def _equal_error_rate(resamples: Resamples) -> Array:
    ranks = resamples.ranks
    if not ranks.fake.shape[1]:
        return np.full(len(ranks.fake), np.nan)
    start = np.zeros((len(ranks.fake), 1))
    false_positive = np.hstack([start, divide(ranks.alarms, ranks.reals[:, None])])
    false_negative = np.hstack([start + 1, 1 - divide(ranks.caught, ranks.fakes[:, None])])
    gap = false_negative - false_positive
    after = np.maximum(np.argmax(gap <= 0, axis=1), 1)
    row = np.arange(len(gap))
    share = divide(gap[row, after - 1], gap[row, after - 1] - gap[row, after])
    rate: Array = false_positive[row, after - 1] + share * (false_positive[row, after] - false_positive[row, after - 1])
    return rate


PART = Metric(_equal_error_rate, title="equal error rate", bearing=("fakes", "reals"))
