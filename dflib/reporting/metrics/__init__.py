"""Metrics of verdicts and scores.  Positive is FAKE throughout.

A metric is a module of this package and a line in :data:`dflib.parts.catalog.METRICS`.  The module defines ``PART``, a
:class:`Metric`: a function of the sums and ranks in :class:`dflib.reporting.resamples.Resamples`, vectorised over the
resamples of the bootstrap.  :mod:`dflib.reporting.bootstrap` adds the intervals.

A metric that is not defined (one class only, nothing decided) is NaN here and null in the table.
"""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from dflib.parts import catalog
from dflib.reporting import bootstrap
from dflib.reporting.bootstrap import Bootstrap, Estimate
from dflib.reporting.resamples import Array, Ranking, Resamples, roc_curve

__all__ = [
    "Bootstrap",
    "Estimate",
    "FaceCounts",
    "Metric",
    "Scored",
    "all_metrics",
    "face_metrics",
    "roc_curve",
    "video_metrics",
]


@dataclass(frozen=True)
class Scored:
    """The labelled videos of a slice, UNDETERMINED ones among them.

    Attributes:
        fake: whether the label is FAKE, bool [n].
        score: pooled score, float64 [n]; NaN when UNDETERMINED.
        called_fake: whether the verdict is FAKE, bool [n]; any value when UNDETERMINED.
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
    """The scored faces of the labelled videos of a slice, summed per video.

    Attributes:
        fake: whether the video's label is FAKE, bool [n].
        faces: number of scored faces, float64 [n].
        called_fake: number of those above the threshold, float64 [n].
        score_sum: sum of their scores, float64 [n].
        group: number of the source group, int64 [n].
    """

    fake: npt.NDArray[np.bool_]
    faces: Array
    called_fake: Array
    score_sum: Array
    group: npt.NDArray[np.int64]


@dataclass(frozen=True)
class Metric:
    """A metric; each module of this package defines one as ``PART``.

    Attributes:
        value: from sums and ranks to the metric, float64 [resamples], NaN where undefined.
        title: its name on the page; None: it is in the table only.
        version: version of the metric's meaning; increment it when a change alters values for unchanged verdicts.
        columns: further quantities that ``value`` needs the sum of: from the decided videos of a slice to float64 [n],
            by the name under which ``value`` finds the sum.  For videos only.
        levels: ``video`` for verdicts of videos, ``face`` for single faces.
        bearing: the properties of Resamples that count the videos which bear on the metric, such as ``fakes`` and
            ``reals`` for an AUC: an interval needs enough source groups with such videos in each.
        counts_undetermined: whether UNDETERMINED videos are in the value; if not, they are left out.
        needs_probability: whether it is defined for scores that are probabilities only.
    """

    value: Callable[[Resamples], Array]
    title: str | None = None
    version: int = 1
    columns: Mapping[str, Callable[[Scored], Array]] = field(default_factory=dict)
    levels: tuple[str, ...] = ("video",)
    bearing: tuple[str, ...] = ("decided",)
    counts_undetermined: bool = False
    needs_probability: bool = False


@functools.cache
def all_metrics() -> dict[str, Metric]:
    """All metrics of the catalog by name, in its order."""
    return {name: catalog.METRICS.load(name) for name in catalog.METRICS.names}


def video_metrics(scored: Scored, settings: Bootstrap) -> dict[str, Estimate]:
    """The metrics of a slice of videos with intervals, by name; NaN where a metric is not defined on it."""
    decided = ~np.isnan(scored.score)
    fake, called = scored.fake, scored.called_fake
    score = np.where(decided, scored.score, 0.0)
    columns: dict[str, npt.NDArray[np.generic]] = {
        "true_fake": decided & fake & called,
        "false_real": decided & fake & ~called,
        "true_real": decided & ~fake & ~called,
        "false_fake": decided & ~fake & called,
        "undetermined": ~decided,
        "score_fake": np.where(fake, score, 0.0),
        "score_real": np.where(fake, 0.0, score),
    }
    of_level = {name: metric for name, metric in all_metrics().items() if "video" in metric.levels}
    defined = {name: one for name, one in of_level.items() if scored.probability or not one.needs_probability}
    of_decided = Scored(fake[decided], score[decided], called[decided], scored.group[decided], scored.probability)
    for metric_name, metric in of_level.items():
        for name, column in metric.columns.items():
            if name in columns:
                raise ValueError(f"metric {metric_name}: the column {name!r} exists already; rename it")
            # Columns that nothing uses stay zero: without them, the sums of the others would be rounded differently.
            columns[name] = np.zeros(len(score))
            if metric_name in defined:
                columns[name][decided] = column(of_decided)
    sums, group = _sum_by_group(columns, scored.group)
    ranking = Ranking(of_decided.score, of_decided.fake, group[decided])
    found = _estimates(defined, list(columns), sums, ranking, max(len(score), 1), settings)
    undefined = Estimate(np.nan, np.nan, np.nan, "UNDEFINED")
    return {name: found.get(name, undefined) for name in of_level}


def face_metrics(counts: FaceCounts, settings: Bootstrap) -> dict[str, Estimate]:
    """The metrics of single faces with intervals over source groups, by name; NaN where not defined."""
    fake, called, faces = counts.fake, counts.called_fake, counts.faces
    columns: dict[str, npt.NDArray[np.generic]] = {
        "true_fake": np.where(fake, called, 0.0),
        "false_real": np.where(fake, faces - called, 0.0),
        "true_real": np.where(fake, 0.0, faces - called),
        "false_fake": np.where(fake, 0.0, called),
        "undetermined": np.zeros(len(fake)),
        "score_fake": np.where(fake, counts.score_sum, 0.0),
        "score_real": np.where(fake, 0.0, counts.score_sum),
    }
    of_level = {name: metric for name, metric in all_metrics().items() if "face" in metric.levels}
    sums, _ = _sum_by_group(columns, counts.group)
    return _estimates(of_level, list(columns), sums, None, 1, settings)


def _sum_by_group(
    columns: Mapping[str, npt.NDArray[np.generic]], group: npt.NDArray[np.int64]
) -> tuple[Array, npt.NDArray[np.int64]]:
    """Sums [groups, columns], and the groups numbered from 0 without gaps [n]."""
    present, number = np.unique(group, return_inverse=True)
    sums = [
        np.bincount(number, weights=column.astype(np.float64), minlength=len(present)) for column in columns.values()
    ]
    return np.stack(sums, axis=1), number


def _estimates(
    metrics: Mapping[str, Metric],
    columns: list[str],
    sums: Array,
    ranking: Ranking | None,
    videos: int,
    settings: Bootstrap,
) -> dict[str, Estimate]:
    """Estimates from sums [groups, columns] and the ranking of the decided videos."""

    def values(weights: Array, names: frozenset[str]) -> dict[str, Array]:
        resamples = Resamples(dict(zip(columns, (weights @ sums).T, strict=True)), ranking, weights)
        return {name: metric.value(resamples) for name, metric in metrics.items() if name in names}

    by_group = Resamples(dict(zip(columns, sums.T, strict=True)))
    bearing = {
        name: min(int(np.count_nonzero(getattr(by_group, counted))) for counted in metric.bearing)
        for name, metric in metrics.items()
    }
    return bootstrap.estimates(values, bearing, len(sums), videos, settings)
