"""Population stability index between the scores of the newest scoring run and those of the runs before.

Sum over the bins of (p - q) ln(p / q), where p and q are the shares of the scores in a bin; by convention, from .25 on
the populations differ (Siddiqi, Credit Risk Scorecards, 2006).  Half a score is added to each bin, so that an empty one
does not make it infinite.
"""

import numpy as np

from dflib.checks import Measured
from dflib.checks._drift import Counts, largest
from dflib.tables.store import Tables


def psi(newest: Counts, earlier: Counts) -> float:
    """The index of two histograms."""
    p, q = ((counts + 0.5) / (counts + 0.5).sum() for counts in (newest, earlier))
    return float(((p - q) * np.log(p / q)).sum())


def _measure(tables: Tables) -> Measured:
    return largest(tables, psi)


PART = _measure
