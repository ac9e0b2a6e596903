"""What metrics are computed from: sums over the videos of a slice and the order of their scores, per resample.

Everything that is a sum over videos is computed from one row of sums per source group, so a resample costs one product
of matrices.  What depends on the order of the scores is computed on scores sorted once, with the multiplicity of its
group as the weight of each video.
"""

import functools
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


def divide(numerator: Array, denominator: Array) -> Array:
    """Quotient, NaN where ``denominator`` is 0."""
    numerator, denominator = np.broadcast_arrays(numerator, denominator)
    quotient = np.full(numerator.shape, np.nan)
    np.divide(numerator, denominator, out=quotient, where=denominator != 0)
    return quotient


@dataclass(frozen=True)
class Ranks:
    """Weights at each distinct score, lowest score first.

    Attributes:
        fake: weight of the FAKE videos with this score, [resamples, scores].
        real: weight of the REAL videos with this score, [resamples, scores].
    """

    fake: Array
    real: Array

    @functools.cached_property
    def fakes(self) -> Array:
        """Weight of all FAKE videos, [resamples]."""
        fakes: Array = self.fake.sum(1)
        return fakes

    @functools.cached_property
    def reals(self) -> Array:
        """Weight of all REAL videos, [resamples]."""
        reals: Array = self.real.sum(1)
        return reals

    @functools.cached_property
    def caught(self) -> Array:
        """Weight of the FAKE videos at or above each score, highest score first, [resamples, scores]."""
        return np.cumsum(self.fake[:, ::-1], axis=1)

    @functools.cached_property
    def alarms(self) -> Array:
        """Weight of the REAL videos at or above each score, highest score first, [resamples, scores]."""
        return np.cumsum(self.real[:, ::-1], axis=1)


class Ranking:
    """Scores sorted once; resamples differ in weights only.

    Args:
        score: float64 [n].
        fake: whether the label is FAKE, bool [n].
        group: number of the source group, int64 [n], without gaps.
    """

    def __init__(self, score: Array, fake: npt.NDArray[np.bool_], group: npt.NDArray[np.int64]) -> None:
        order = np.argsort(score, kind="stable")
        self._fake = fake[order].astype(np.float64)
        self._group = group[order]
        ordered = score[order]
        self._starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]])) if len(score) else order

    def ranks(self, weights: Array) -> Ranks:
        """Ranks under weights of the groups, [resamples, groups]."""
        weight = weights[:, self._group]
        if not len(self._starts):
            return Ranks(weight, weight)
        fake = weight * self._fake
        fake_by_score = np.add.reduceat(fake, self._starts, axis=1)
        return Ranks(fake_by_score, np.add.reduceat(weight - fake, self._starts, axis=1))


class Resamples:
    """The sums of a slice under each weighting of its groups; every value is float64 [resamples].

    By name: ``true_fake``, ``false_real``, ``true_real``, ``false_fake`` (decided videos by label and verdict:
    ``false_real`` are FAKE videos with the verdict REAL), ``undetermined``, ``score_fake`` and ``score_real`` (sums of
    the scores by label), and the columns of the metrics.

    Args:
        sums: values by name.
        ranking: sorted scores; None for single faces, whose scores are not at hand.
        weights: of the groups, [resamples, groups].
    """

    def __init__(self, sums: Mapping[str, Array], ranking: Ranking | None = None, weights: Array | None = None) -> None:
        self._sums = sums
        self._ranking = ranking
        self._weights = weights

    def __getitem__(self, name: str) -> Array:
        return self._sums[name]

    @functools.cached_property
    def ranks(self) -> Ranks:
        """The order of the scores of the decided videos."""
        if self._ranking is None or self._weights is None:
            raise TypeError("the order of the scores is known for videos only")
        return self._ranking.ranks(self._weights)

    @property
    def fakes(self) -> Array:
        """Decided videos with the label FAKE."""
        return self["true_fake"] + self["false_real"]

    @property
    def reals(self) -> Array:
        """Decided videos with the label REAL."""
        return self["true_real"] + self["false_fake"]

    @property
    def called_fake(self) -> Array:
        """Videos with the verdict FAKE."""
        return self["true_fake"] + self["false_fake"]

    @property
    def decided(self) -> Array:
        """Videos with the verdict FAKE or REAL."""
        return self.fakes + self.reals

    @property
    def labelled(self) -> Array:
        """All videos, UNDETERMINED ones among them."""
        return self.decided + self["undetermined"]

    @property
    def correct(self) -> Array:
        """Videos whose verdict equals their label."""
        return self["true_fake"] + self["true_real"]


def roc_curve(score: Array, fake: npt.NDArray[np.bool_]) -> tuple[Array, Array]:
    """False and true positive rates from (0, 0) to (1, 1), one point per distinct score; positive is FAKE.

    Args:
        score: float64 [n].
        fake: whether the label is FAKE, bool [n]; both classes must be present.
    """
    ranks = Ranking(score, fake, np.zeros(len(score), np.int64)).ranks(np.ones((1, 1)))
    false, true = ranks.alarms[0] / ranks.reals, ranks.caught[0] / ranks.fakes
    return np.concatenate([[0.0], false]), np.concatenate([[0.0], true])
