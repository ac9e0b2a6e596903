"""Area under the ROC curve: the probability that a FAKE video has a higher score than a REAL one; ties count half."""

import numpy as np

from dflib.reporting.metrics import Metric
from dflib.reporting.resamples import Array, Resamples, divide


def _auc(resamples: Resamples) -> Array:
    ranks = resamples.ranks
    real_below = np.cumsum(ranks.real, axis=1) - ranks.real
    return divide((ranks.fake * (real_below + ranks.real / 2)).sum(1), ranks.fakes * ranks.reals)


PART = Metric(_auc, title="AUC", bearing=("fakes", "reals"))
