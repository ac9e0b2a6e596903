"""Metrics compared with scikit-learn, intervals compared with a plain loop, and when there is no interval."""

import math
from collections.abc import Callable
from dataclasses import astuple

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as sk

from dflib.parts import catalog
from dflib.reporting import bootstrap
from dflib.reporting.bootstrap import MIN_GROUPS, Bootstrap
from dflib.reporting.metrics import FaceCounts, Scored, all_metrics, face_metrics, roc_curve, video_metrics

FEW = Bootstrap(100, 0.95, 1)


def random_slice(seed: int, videos: int = 150, groups: int = 40) -> Scored:
    """Scores in sixteenths, so that many are equal and some equal the threshold; one in ten is UNDETERMINED."""
    random = np.random.default_rng(seed)
    fake = random.random(videos) < random.uniform(0.2, 0.9)
    score = random.integers(0, 17, videos) / 16
    score[random.random(videos) < 0.1] = np.nan
    with np.errstate(invalid="ignore"):
        called = score > 0.5
    return Scored(fake, score, called, random.integers(0, groups, videos), True)


@pytest.mark.parametrize("seed", range(12))
def test_video_metrics_equal_scikit_learn(seed: int) -> None:
    scored = random_slice(seed)
    found = {name: metric.value for name, metric in video_metrics(scored, FEW).items()}
    decided = ~np.isnan(scored.score)
    fake, score, called = scored.fake[decided], scored.score[decided], scored.called_fake[decided]
    (true_real, false_fake), (false_real, true_fake) = sk.confusion_matrix(fake, called)
    expected = {
        "accuracy": sk.accuracy_score(fake, called),
        "accuracy_all": (true_real + true_fake) / len(decided),
        "accuracy_real": sk.recall_score(fake, called, pos_label=False),
        "accuracy_fake": sk.recall_score(fake, called),
        "balanced_accuracy": sk.balanced_accuracy_score(fake, called),
        "majority_baseline": max(fake.mean(), 1 - fake.mean()),
        "precision": sk.precision_score(fake, called),
        "mean_score_real": score[~fake].mean(),
        "mean_score_fake": score[fake].mean(),
        "log_loss": sk.log_loss(fake, score),
        "brier": sk.brier_score_loss(fake, score),
        "auc": sk.roc_auc_score(fake, score),
        "average_precision": sk.average_precision_score(fake, score),
        "eer": found["eer"],
        "true_fake": true_fake,
        "false_fake": false_fake,
        "true_real": true_real,
        "false_real": false_real,
        "undetermined": (~decided).sum(),
    }
    assert {name: found[name] for name in expected} == pytest.approx(expected, abs=1e-12)
    false, true = roc_curve(score, fake)
    theirs = sk.roc_curve(fake, score, drop_intermediate=False)
    np.testing.assert_allclose(false, theirs[0])
    np.testing.assert_allclose(true, theirs[1])
    # The equal error rate lies on the curve, where misses equal false alarms.
    along = np.linspace(0, len(theirs[0]) - 1, 100_001)
    false, true = (np.interp(along, np.arange(len(theirs[0])), rates) for rates in theirs[:2])
    nearest = np.argmin(np.abs(1 - true - false))
    assert found["eer"] == pytest.approx(false[nearest], abs=1e-3)


def test_eer_of_a_known_case() -> None:
    # One of four reals lies above one of four fakes: each threshold between them errs by a quarter on both sides.
    score = np.array([0.1, 0.2, 0.3, 0.7, 0.4, 0.8, 0.9, 1.0])
    fake = np.array([False] * 4 + [True] * 4)
    found = video_metrics(Scored(fake, score, score > 0.5, np.arange(8), True), FEW)
    assert found["eer"].value == 0.25


@pytest.mark.parametrize("seed", range(2))
def test_intervals_equal_a_plain_loop(seed: int) -> None:
    scored = random_slice(seed, videos=80, groups=30)
    found = video_metrics(scored, Bootstrap(200, 0.9, 7))
    members = [np.flatnonzero(scored.group == group) for group in np.unique(scored.group)]
    random = np.random.default_rng(7)
    drawn = random.integers(0, len(members), size=(200, len(members)))
    values: dict[str, list[float]] = {
        name: [] for name in ("accuracy", "accuracy_all", "auc", "log_loss", "average_precision")
    }
    for groups in drawn:
        rows = np.concatenate([members[group] for group in groups])
        decided = rows[~np.isnan(scored.score[rows])]
        fake, score, called = scored.fake[decided], scored.score[decided], scored.called_fake[decided]
        values["accuracy"].append(sk.accuracy_score(fake, called))
        values["accuracy_all"].append((fake == called).sum() / len(rows))
        values["auc"].append(sk.roc_auc_score(fake, score))
        values["log_loss"].append(sk.log_loss(fake, score, labels=[False, True]))
        values["average_precision"].append(sk.average_precision_score(fake, score))
    for name, of_loop in values.items():
        expected = np.quantile(of_loop, [0.05, 0.95])
        assert (found[name].low, found[name].high) == pytest.approx(tuple(expected), abs=1e-12), name
        assert found[name].low < found[name].value < found[name].high


def test_bootstrap_resamples_groups_not_videos() -> None:
    """Ten copies of a video are one piece of evidence: the interval must not shrink."""
    one = random_slice(4, videos=60, groups=10**9)
    apart = Scored(one.fake, one.score, one.called_fake, np.arange(60), True)
    columns = (apart.fake, apart.score, apart.called_fake, apart.group)
    copies = Scored(*(np.repeat(values, 10) for values in columns), True)
    found, expected = (astuple(video_metrics(videos, FEW)["auc"]) for videos in (copies, apart))
    assert found == pytest.approx(expected)
    ungrouped = Scored(copies.fake, copies.score, copies.called_fake, np.arange(600), True)
    narrow, wide = video_metrics(ungrouped, FEW)["accuracy"], video_metrics(copies, FEW)["accuracy"]
    assert (narrow.high - narrow.low) < 0.6 * (wide.high - wide.low)


@pytest.mark.parametrize("fake", [True, False])
def test_metrics_of_one_class(fake: bool) -> None:
    score = np.array([0.1, 0.6, 0.9, np.nan])
    found = video_metrics(
        Scored(np.full(4, fake), score, np.array([False, True, True, False]), np.arange(4), True), FEW
    )
    for name in ("auc", "average_precision", "eer", "balanced_accuracy"):
        assert all(math.isnan(value) for value in (found[name].value, found[name].low, found[name].high)), name
    other = "real" if fake else "fake"
    assert math.isnan(found[f"accuracy_{other}"].value) and math.isnan(found[f"mean_score_{other}"].value)
    right = 2 if fake else 1
    assert found["accuracy"].value == pytest.approx(right / 3)
    assert found["accuracy_all"].value == pytest.approx(right / 4)
    assert found["majority_baseline"].value == 1


def test_metrics_without_decided_videos() -> None:
    score = np.full(3, np.nan)
    found = video_metrics(Scored(np.array([True, False, True]), score, np.zeros(3, bool), np.arange(3), True), FEW)
    assert found["accuracy_all"].value == 0 and found["undetermined"].value == 3
    assert math.isnan(found["accuracy"].value) and math.isnan(found["auc"].value)


def test_probability_metrics_are_undefined_for_ranks() -> None:
    scored = random_slice(2)
    rank = Scored(scored.fake, scored.score, scored.called_fake, scored.group, False)
    found = video_metrics(rank, FEW)
    assert math.isnan(found["log_loss"].value) and math.isnan(found["brier"].value)
    assert found["auc"] == video_metrics(scored, FEW)["auc"]


def test_face_metrics_equal_scikit_learn() -> None:
    random = np.random.default_rng(9)
    fake = random.random(50) < 0.6
    scores = [random.integers(0, 9, random.integers(0, 6)) / 8 for _ in fake]
    called = [np.count_nonzero(of_video > 0.5) for of_video in scores]
    counts = FaceCounts(
        fake,
        np.array([len(of_video) for of_video in scores], float),
        np.array(called, float),
        np.array([of_video.sum() for of_video in scores]),
        np.arange(50) // 2,
    )
    found = face_metrics(counts, FEW)
    label = np.repeat(fake, [len(of_video) for of_video in scores])
    score = np.concatenate(scores)
    (true_real, false_fake), (false_real, true_fake) = sk.confusion_matrix(label, score > 0.5)
    assert [found[name].value for name in ("true_real", "false_fake", "false_real", "true_fake")] == [
        *(true_real, false_fake, false_real, true_fake)
    ]
    assert found["accuracy"].value == pytest.approx(sk.accuracy_score(label, score > 0.5))
    assert found["balanced_accuracy"].value == pytest.approx(sk.balanced_accuracy_score(label, score > 0.5))
    assert found["mean_score_real"].value == pytest.approx(score[~label].mean())
    assert found["mean_score_fake"].value == pytest.approx(score[label].mean())
    assert not {name for name in found if all_metrics()[name].counts_undetermined}


def clips(groups: int, videos_each: int = 4, wrong: Callable[[int], bool] = lambda group: False) -> Scored:
    """Source groups of one REAL video and its fakes; all scores of a group are on the wrong side where ``wrong``."""
    group = np.repeat(np.arange(groups), videos_each)
    fake = np.tile(np.arange(videos_each) > 0, groups)
    flipped = np.array([wrong(one) for one in group])
    # Scores differ, so that means over them do.
    score = np.where(fake ^ flipped, 0.75, 0.25) + np.linspace(0, 0.2, len(group))
    return Scored(fake, score, score > 0.5, group, True)


def test_five_videos_have_no_interval() -> None:
    """An AUC of 0 with an interval from 0 to 0, of five videos, was reported as such."""
    fake = np.array([True, False, True, False, True])
    score = np.where(fake, 0.2, 0.8)
    found = video_metrics(Scored(fake, score, score > 0.5, np.arange(5), True), FEW)
    assert found["auc"].value == 0
    for name, estimate in found.items():
        assert math.isnan(estimate.low) and math.isnan(estimate.high), name
        assert estimate.interval_reason == ("UNDEFINED" if math.isnan(estimate.value) else "FEW_GROUPS"), name


def test_min_groups_is_the_smallest_that_misses_at_most_twice_as_often_as_promised() -> None:
    def misses(groups: int) -> float:
        """Share of percentile intervals of a mean of normal values that miss it, nominally 5%."""
        return float(2 * stats.t.sf(stats.norm.ppf(0.975) * math.sqrt((groups - 1) / groups), groups - 1))

    assert misses(MIN_GROUPS) < 0.1 < misses(MIN_GROUPS - 1)
    random = np.random.default_rng(0)
    missed = 0
    for _ in range(400):
        values = random.normal(size=(1, MIN_GROUPS))
        mean = bootstrap.estimates(
            lambda weights, names, values=values: {"mean": (weights * values).sum(1) / weights.sum(1)},
            {"mean": MIN_GROUPS},
            MIN_GROUPS,
            1,
            Bootstrap(400, 0.95, int(random.integers(10**9))),
        )["mean"]
        missed += not mean.low <= 0 <= mean.high
    assert missed / 400 == pytest.approx(misses(MIN_GROUPS), abs=0.045)


@pytest.mark.parametrize("groups", [MIN_GROUPS - 1, MIN_GROUPS, 300])
def test_intervals_need_enough_groups(groups: int) -> None:
    found = video_metrics(clips(groups, wrong=lambda group: group % 5 == 0), FEW)
    for name in ("auc", "accuracy", "accuracy_real", "balanced_accuracy", "log_loss", "true_fake", "mean_score_fake"):
        estimate = found[name]
        if groups < MIN_GROUPS:
            assert (math.isnan(estimate.low), estimate.interval_reason) == (True, "FEW_GROUPS"), name
        else:
            assert estimate.low < estimate.high and estimate.interval_reason is None, name


def test_groups_are_counted_per_class() -> None:
    """Nine groups with a REAL video are too few for what is measured on REAL videos, however many have fakes."""
    videos = clips(60, wrong=lambda group: group % 5 == 0)
    kept = videos.fake | (videos.group < MIN_GROUPS - 1)
    found = video_metrics(
        Scored(videos.fake[kept], videos.score[kept], videos.called_fake[kept], videos.group[kept], True), FEW
    )
    without = {name for name, estimate in found.items() if estimate.interval_reason == "FEW_GROUPS"}
    assert without == {
        *("auc", "average_precision", "eer", "balanced_accuracy", "accuracy_real", "mean_score_real"),
        *("true_real", "false_fake"),
    }
    assert found["accuracy"].low < found["accuracy"].value < found["accuracy"].high


def test_resamples_that_agree_give_no_interval() -> None:
    found = video_metrics(clips(200), FEW)
    for name in ("auc", "accuracy", "accuracy_all", "precision", "average_precision", "majority_baseline"):
        assert math.isnan(found[name].low) and math.isnan(found[name].high), name
        assert found[name].interval_reason == "NO_SPREAD", name
    assert (found["auc"].value, found["eer"].value, found["false_fake"].value) == (1, 0, 0)
    # Scores do differ between groups, so their means have intervals.
    assert found["mean_score_fake"].low < found["mean_score_fake"].high


def test_metrics_undefined_in_many_resamples_have_no_interval() -> None:
    def values(weights: np.ndarray, names: frozenset[str]) -> dict[str, np.ndarray]:
        # The share of the first group, undefined without it: in (1 - 1/20)^20 = .36 of the resamples.
        share = weights[:, 0] / weights.sum(1)
        return {"often": np.where(share > 0, share, np.nan), "always": share}

    found = bootstrap.estimates(values, {"often": 20, "always": 20}, 20, 1, FEW)
    assert found["often"].interval_reason == "SPARSE" and math.isnan(found["often"].high)
    assert found["always"].low == 0 < found["always"].value == found["often"].value == 1 / 20


def test_every_reason_has_words() -> None:
    one_class = Scored(np.full(3, True), np.ones(3), np.ones(3, bool), np.arange(3), True)
    found = {estimate.interval_reason for estimate in video_metrics(one_class, FEW).values()}
    assert {"UNDEFINED", "FEW_GROUPS"} == found < set(bootstrap.REASONS)
    assert set(bootstrap.REASONS) == {"UNDEFINED", "FEW_GROUPS", "SPARSE", "NO_SPREAD"}


def test_every_metric_of_the_catalog_is_computed() -> None:
    metrics = all_metrics()
    assert list(metrics) == list(catalog.METRICS.names)
    assert all(metric.version >= 1 for metric in metrics.values())
    assert set(video_metrics(random_slice(0), FEW)) == {n for n, metric in metrics.items() if "video" in metric.levels}
    assert metrics["accuracy_all"].counts_undetermined and metrics["undetermined"].counts_undetermined
    assert not metrics["accuracy"].counts_undetermined
    assert metrics["log_loss"].needs_probability and metrics["brier"].needs_probability
    assert not metrics["auc"].needs_probability
