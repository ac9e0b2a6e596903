"""Kolmogorov-Smirnov distance between the scores of the newest scoring run and those of the runs before.

The largest difference of the two distribution functions, at the edges of the bins.
"""

import numpy as np

from dflib.checks import Measured
from dflib.checks._drift import Counts, largest
from dflib.tables.store import Tables


def distance(newest: Counts, earlier: Counts) -> float:
    """The distance of two histograms."""
    p, q = (np.cumsum(counts) / counts.sum() for counts in (newest, earlier))
    return float(np.abs(p - q).max())


def _measure(tables: Tables) -> Measured:
    return largest(tables, distance)


PART = _measure
