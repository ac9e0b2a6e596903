"""Metrics of scores with bootstrap intervals over source groups.

Everything that is a sum over videos is computed from one row of sums a group, so a bootstrap replicate costs one
product of matrices; what needs the order of the scores (AUC, AP, EER) is computed on scores sorted once, with
the multiplicity of its group as the weight of each video.  The point estimate is the replicate with all weights 1.

Positive is FAKE throughout.  A metric that is not defined (one class only, nothing decided) is NaN here and null in
the table, and so is an interval that rests on fewer than two groups.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

# As scikit-learn's log_loss does it: scores are kept this far from 0 and 1.
CLIP = float(np.finfo(np.float64).eps)
# Elements of the largest array that a step of the bootstrap makes: 16 MB of doubles.
STEP_ELEMENTS = 2_000_000
# An interval needs the metric to be defined in at least this share of replicates.
DEFINED = 0.9


@dataclass(frozen=True)
class Metric:
    """A value with the ends of its interval; NaN where not defined."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Bootstrap:
    """How intervals are made: ``times`` resamples of groups, percentiles around ``confidence``."""

    times: int
    confidence: float
    seed: int


@dataclass(frozen=True)
class Scored:
    """The labelled videos of a slice, UNDETERMINED ones among them.

    Attributes:
        fake: the label, bool [n].
        score: pooled score, float64 [n]; NaN when UNDETERMINED.
        called_fake: the verdict, bool [n]; any value when UNDETERMINED.
        group: number of the source group, int64 [n].
        probability: whether the score may be read as a probability.
    """

    fake: npt.NDArray[np.bool_]
    score: Array
    called_fake: npt.NDArray[np.bool_]
    group: npt.NDArray[np.int64]
    probability: bool


@dataclass(frozen=True)
class FaceCounts:
    """Per video: label, source group, scored faces, how many of them were called fake, and the sum of their scores."""

    fake: npt.NDArray[np.bool_]
    faces: Array
    called_fake: Array
    score_sum: Array
    group: npt.NDArray[np.int64]


COUNTS_UNDETERMINED = frozenset({"accuracy_all", "undetermined"})
"""Metrics that count UNDETERMINED videos (``accuracy_all`` as wrong); all others leave them out."""


def video_metrics(scored: Scored, bootstrap: Bootstrap) -> dict[str, Metric]:
    """All metrics of a slice of videos.

    accuracy, accuracy_real, accuracy_fake, balanced_accuracy, majority_baseline, precision, mean_score_real,
    mean_score_fake, log_loss, brier, auc, average_precision, eer, true_fake, false_fake, true_real, false_real over
    the decided videos; accuracy_all over all of them, UNDETERMINED as wrong; undetermined, their number.
    log_loss and brier are NaN for scores that are no probability.
    """
    decided = ~np.isnan(scored.score)
    fake, called = scored.fake, scored.called_fake & decided
    score = np.where(decided, scored.score, 0.0)
    clipped = np.clip(score, CLIP, 1 - CLIP)
    loss = -np.log(np.where(fake, clipped, 1 - clipped)) if scored.probability else np.full(len(score), np.nan)
    brier = (score - fake) ** 2 if scored.probability else np.full(len(score), np.nan)
    sums = {
        "true_fake": decided & fake & called,
        "false_real": decided & fake & ~called,
        "true_real": decided & ~fake & ~called,
        "false_fake": decided & ~fake & called,
        "undetermined": ~decided,
        "score_fake": np.where(decided & fake, score, 0.0),
        "score_real": np.where(decided & ~fake, score, 0.0),
        "loss": np.where(decided, loss, 0.0),
        "brier": np.where(decided, brier, 0.0),
    }
    by_group, group = _sum_by_group(sums, scored.group)
    ranking = _Ranking(score[decided], fake[decided], group[decided])

    def all_of(weights: Array) -> dict[str, Array]:
        of = dict(zip(sums, (weights @ by_group).T, strict=True))
        return {**_ratios(of), **_of_probability(of), **ranking.metrics(weights)}

    return _with_intervals(all_of, len(by_group), max(len(score), 1), bootstrap)


def face_metrics(counts: FaceCounts, bootstrap: Bootstrap) -> dict[str, Metric]:
    """The metrics of single faces that S4 gave, with intervals over source groups: accuracy, per class, confusion,
    mean score per class, and balanced accuracy and majority baseline beside them."""
    fake, called, faces = counts.fake, counts.called_fake, counts.faces
    zero = np.zeros(len(fake))
    sums = {
        "true_fake": np.where(fake, called, 0.0),
        "false_real": np.where(fake, faces - called, 0.0),
        "true_real": np.where(fake, 0.0, faces - called),
        "false_fake": np.where(fake, 0.0, called),
        "undetermined": zero,
        "score_fake": np.where(fake, counts.score_sum, 0.0),
        "score_real": np.where(fake, 0.0, counts.score_sum),
    }
    by_group, _ = _sum_by_group(sums, counts.group)

    def all_of(weights: Array) -> dict[str, Array]:
        ratios = _ratios(dict(zip(sums, (weights @ by_group).T, strict=True)))
        return {name: values for name, values in ratios.items() if name not in COUNTS_UNDETERMINED}

    return _with_intervals(all_of, len(by_group), 1, bootstrap)


def roc_curve(score: Array, fake: npt.NDArray[np.bool_]) -> tuple[Array, Array]:
    """False and true positive rates from (0, 0) to (1, 1), one point a distinct score; both classes must be there."""
    ranking = _Ranking(score, fake, np.zeros(len(score), np.int64))
    positive, negative = ranking.by_score(np.ones((1, 1)))
    true = np.concatenate([[0.0], np.cumsum(positive[0, ::-1]) / positive.sum()])
    false = np.concatenate([[0.0], np.cumsum(negative[0, ::-1]) / negative.sum()])
    return false, true


class _Ranking:
    """Scores sorted once; replicates differ in weights only."""

    def __init__(self, score: Array, fake: npt.NDArray[np.bool_], group: npt.NDArray[np.int64]) -> None:
        order = np.argsort(score, kind="stable")
        self._fake = fake[order].astype(np.float64)
        self._group = group[order]
        ordered = score[order]
        self._starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]])) if len(score) else order

    def by_score(self, weights: Array) -> tuple[Array, Array]:
        """Weight of fakes and of reals at each distinct score, lowest first: two arrays [replicates, scores]."""
        weight = weights[:, self._group]
        fake = weight * self._fake
        return np.add.reduceat(fake, self._starts, axis=1), np.add.reduceat(weight - fake, self._starts, axis=1)

    def metrics(self, weights: Array) -> dict[str, Array]:
        """AUC (ties count half), average precision (step-wise, as scikit-learn's) and equal error rate."""
        if not len(self._starts):
            return {name: np.full(len(weights), np.nan) for name in ("auc", "average_precision", "eer")}
        fake, real = self.by_score(weights)
        fakes, reals = fake.sum(1), real.sum(1)
        real_below = np.cumsum(real, axis=1) - real
        auc = _divide((fake * (real_below + real / 2)).sum(1), fakes * reals)
        # From the highest score down: what a threshold at each score lets through.
        fake, real = fake[:, ::-1], real[:, ::-1]
        caught, alarms = np.cumsum(fake, axis=1), np.cumsum(real, axis=1)
        precision = _divide(fake * caught, caught + alarms)
        both = (fakes > 0) & (reals > 0)
        average = np.where(both, _divide(np.nansum(precision, axis=1), fakes), np.nan)
        return {"auc": auc, "average_precision": average, "eer": _equal_error_rate(caught, alarms, fakes, reals)}


def _equal_error_rate(caught: Array, alarms: Array, fakes: Array, reals: Array) -> Array:
    """Where the false positive rate equals the false negative rate, on straight lines between thresholds."""
    start = np.zeros((len(caught), 1))
    false_positive = np.hstack([start, _divide(alarms, reals[:, None])])
    false_negative = np.hstack([start + 1, 1 - _divide(caught, fakes[:, None])])
    gap = false_negative - false_positive
    after = np.maximum(np.argmax(gap <= 0, axis=1), 1)
    row = np.arange(len(gap))
    share = _divide(gap[row, after - 1], gap[row, after - 1] - gap[row, after])
    rate: Array = false_positive[row, after - 1] + share * (false_positive[row, after] - false_positive[row, after - 1])
    return rate


def _ratios(of: dict[str, Array]) -> dict[str, Array]:
    """What follows from the sums of a confusion matrix and of the scores; arrays [replicates]."""
    fakes, reals = of["true_fake"] + of["false_real"], of["true_real"] + of["false_fake"]
    decided, right = fakes + reals, of["true_fake"] + of["true_real"]
    recall, specificity = _divide(of["true_fake"], fakes), _divide(of["true_real"], reals)
    return {
        "accuracy": _divide(right, decided),
        "accuracy_all": _divide(right, decided + of["undetermined"]),
        "accuracy_real": specificity,
        "accuracy_fake": recall,
        "balanced_accuracy": (recall + specificity) / 2,
        "majority_baseline": _divide(np.maximum(fakes, reals), decided),
        "precision": _divide(of["true_fake"], of["true_fake"] + of["false_fake"]),
        "mean_score_real": _divide(of["score_real"], reals),
        "mean_score_fake": _divide(of["score_fake"], fakes),
        **{name: of[name] for name in ("true_fake", "false_fake", "true_real", "false_real", "undetermined")},
    }


def _of_probability(of: dict[str, Array]) -> dict[str, Array]:
    decided = of["true_fake"] + of["false_real"] + of["true_real"] + of["false_fake"]
    return {"log_loss": _divide(of["loss"], decided), "brier": _divide(of["brier"], decided)}


def _sum_by_group(
    columns: dict[str, npt.NDArray[np.generic]], group: npt.NDArray[np.int64]
) -> tuple[Array, npt.NDArray[np.int64]]:
    """Sums [groups, columns], and the groups numbered from 0 without gaps [n]."""
    present, number = np.unique(group, return_inverse=True)
    sums = [
        np.bincount(number, weights=column.astype(np.float64), minlength=len(present)) for column in columns.values()
    ]
    return np.stack(sums, axis=1), number


def _with_intervals(
    all_of: Callable[[Array], dict[str, Array]], groups: int, videos: int, bootstrap: Bootstrap
) -> dict[str, Metric]:
    point = all_of(np.ones((1, groups)))
    if groups < 2:
        return {name: Metric(float(value[0]), np.nan, np.nan) for name, value in point.items()}
    steps = [all_of(weights) for weights in _resamples(groups, max(groups, videos), bootstrap)]
    tail = (1 - bootstrap.confidence) / 2
    metrics = {}
    for name, value in point.items():
        replicates = np.concatenate([step[name] for step in steps])
        defined = replicates[~np.isnan(replicates)]
        low, high = np.nan, np.nan
        if not np.isnan(value[0]) and len(defined) >= DEFINED * bootstrap.times:
            low, high = np.quantile(defined, [tail, 1 - tail])
        metrics[name] = Metric(float(value[0]), float(low), float(high))
    return metrics


def _resamples(groups: int, width: int, bootstrap: Bootstrap) -> Iterator[Array]:
    """How often each group was drawn, [replicates of this step, groups]."""
    generator = np.random.default_rng(bootstrap.seed)
    step = max(1, STEP_ELEMENTS // width)
    for first in range(0, bootstrap.times, step):
        count = min(step, bootstrap.times - first)
        drawn = generator.integers(0, groups, size=(count, groups))
        drawn += np.arange(count)[:, None] * groups
        yield np.bincount(drawn.ravel(), minlength=count * groups).reshape(count, groups).astype(np.float64)


def _divide(upper: Array, lower: Array) -> Array:
    """Quotient, NaN where ``lower`` is 0."""
    upper, lower = np.broadcast_arrays(upper, lower)
    quotient = np.full(upper.shape, np.nan)
    np.divide(upper, lower, out=quotient, where=lower != 0)
    return quotient
