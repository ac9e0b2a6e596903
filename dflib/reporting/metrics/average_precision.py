"""Average precision: precision averaged over the recall steps of the distinct scores, as scikit-learn computes it."""

import numpy as np

from dflib.reporting.metrics import Metric
from dflib.reporting.resamples import Array, Resamples, divide


def _average_precision(resamples: Resamples) -> Array:
    ranks = resamples.ranks
    steps = divide(ranks.fake[:, ::-1] * ranks.caught, ranks.caught + ranks.alarms)
    both = (ranks.fakes > 0) & (ranks.reals > 0)
    return np.where(both, divide(np.nansum(steps, axis=1), ranks.fakes), np.nan)


PART = Metric(_average_precision, title="average precision", bearing=("fakes", "reals"))
