"""Percentile bootstrap over source groups, and when an interval cannot be had.

A resample draws as many source groups as there are, with replacement, and takes all videos of each: clips of one
source err together, so they are not independent.  The interval of a metric lies between two percentiles of its values
over the resamples (Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13).

No interval is better than one that misleads.  There is none, and a reason in its place, where:

``UNDEFINED``
    the metric itself is not defined on the slice, for example an AUC with one class only.
``FEW_GROUPS``
    fewer than :data:`MIN_GROUPS` source groups bear on the metric (for an AUC, of either class).  The percentile
    interval of a mean of n independent values has about the width ``2 z sqrt((n - 1) / n) s / sqrt(n)`` where Student's
    interval has ``2 t s / sqrt(n)``, so a nominal 95% interval misses the true mean with the probability
    ``P(|T| > 1.96 sqrt((n - 1) / n))``, T with n - 1 degrees of freedom: .15 for n = 5, .102 for 9, .096 for 10 and .07
    for 20, instead of .05.  Ten is the smallest n that misses at most twice as often as promised; ratios of few events
    miss more often still.
``SPARSE``
    the metric is undefined in more than a tenth of the resamples, so their percentiles describe the others only.
``NO_SPREAD``
    all resamples between the percentiles give one value, such as an accuracy of 1 on every resample of clips without
    an error.  An interval of zero width would claim certainty: with no error in n independent trials the error rate may
    still be 3 / n at 95% confidence (Hanley and Lippman-Hand, JAMA 249, 1983, 1743-1745).
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from dflib.reporting.resamples import Array

MIN_GROUPS = 10
"""Smallest number of source groups for an interval."""
MIN_DEFINED = 0.9
"""Smallest share of resamples in which the metric must be defined."""
STEP_ELEMENTS = 2_000_000
"""Elements of the largest array of one step: 16 MB of doubles."""

REASONS = {
    "UNDEFINED": "it is not defined on these videos",
    "FEW_GROUPS": f"fewer than {MIN_GROUPS} source groups bear on it",
    "SPARSE": "it is undefined in more than a tenth of the resamples",
    "NO_SPREAD": "all resamples give the same value, which does not show how far it may be off",
}
"""Why there is no interval, by the code in ``metrics.interval_reason``."""


@dataclass(frozen=True)
class Bootstrap:
    """``times`` resamples; percentiles that hold ``confidence`` of them between each other."""

    times: int
    confidence: float
    seed: int


@dataclass(frozen=True)
class Estimate:
    """A value with its interval.

    Attributes:
        value: NaN where not defined.
        low: lower end; NaN without an interval.
        high: upper end; NaN without an interval.
        interval_reason: a key of :data:`REASONS`; None when there is an interval.
    """

    value: float
    low: float
    high: float
    interval_reason: str | None = None


def estimates(
    values: Callable[[Array, frozenset[str]], dict[str, Array]],
    bearing: Mapping[str, int],
    groups: int,
    videos: int,
    bootstrap: Bootstrap,
) -> dict[str, Estimate]:
    """Values of metrics with their intervals.

    Args:
        values: from weights of the groups, float64 [resamples, groups], and names of metrics to the values of those
            metrics, float64 [resamples], NaN where undefined.  The value itself is that of all weights 1.
        bearing: for each metric the number of source groups that bear on it.
        groups: number of source groups.
        videos: width of the widest array that ``values`` makes per resample, which bounds a step's memory.
        bootstrap: number of resamples, confidence and seed.
    """
    point = {name: float(value[0]) for name, value in values(np.ones((1, groups)), frozenset(bearing)).items()}
    reasons: dict[str, str] = {}
    for name, value in point.items():
        if math.isnan(value):
            reasons[name] = "UNDEFINED"
        elif bearing[name] < MIN_GROUPS:
            reasons[name] = "FEW_GROUPS"
    resampled = frozenset(point) - frozenset(reasons)
    found = {name: Estimate(value, np.nan, np.nan, reasons.get(name)) for name, value in point.items()}
    if not resampled:
        return found
    steps = [values(weights, resampled) for weights in _weights(groups, max(groups, videos), bootstrap)]
    for name in resampled:
        found[name] = _estimate(point[name], np.concatenate([step[name] for step in steps]), bootstrap.confidence)
    return found


def _estimate(value: float, resamples: Array, confidence: float) -> Estimate:
    defined = resamples[~np.isnan(resamples)]
    if len(defined) < MIN_DEFINED * len(resamples):
        return Estimate(value, np.nan, np.nan, "SPARSE")
    tail = (1 - confidence) / 2
    low, high = (float(end) for end in np.quantile(defined, [tail, 1 - tail]))
    # Equal values may differ in their last bits, because their sums were rounded differently.
    if math.isclose(low, high, rel_tol=1e-12, abs_tol=1e-12):
        return Estimate(value, np.nan, np.nan, "NO_SPREAD")
    return Estimate(value, low, high)


def _weights(groups: int, width: int, bootstrap: Bootstrap) -> Iterator[Array]:
    """How often each group was drawn, float64 [resamples of this step, groups]."""
    generator = np.random.default_rng(bootstrap.seed)
    step = max(1, STEP_ELEMENTS // width)
    for first in range(0, bootstrap.times, step):
        count = min(step, bootstrap.times - first)
        drawn = generator.integers(0, groups, size=(count, groups))
        drawn += np.arange(count)[:, None] * groups
        yield np.bincount(drawn.ravel(), minlength=count * groups).reshape(count, groups).astype(np.float64)
