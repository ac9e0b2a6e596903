"""Metrics against scikit-learn, and intervals against a plain loop."""

import math
from dataclasses import astuple

import numpy as np
import pytest
from sklearn import metrics as sk

from dflib.reporting.metrics import (
    COUNTS_UNDETERMINED,
    Bootstrap,
    FaceCounts,
    Scored,
    face_metrics,
    roc_curve,
    video_metrics,
)

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
def test_values_equal_scikit_learns(seed: int) -> None:
    scored = random_slice(seed)
    found = {name: metric.value for name, metric in video_metrics(scored, FEW).items()}
    decided = ~np.isnan(scored.score)
    fake, score, called = scored.fake[decided], scored.score[decided], scored.called_fake[decided]
    (true_real, false_fake), (false_real, true_fake) = sk.confusion_matrix(fake, called)
    assert found == pytest.approx(
        {
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
        },
        abs=1e-12,
    )
    false, true = roc_curve(score, fake)
    theirs = sk.roc_curve(fake, score, drop_intermediate=False)
    np.testing.assert_allclose(false, theirs[0])
    np.testing.assert_allclose(true, theirs[1])
    # The equal error rate lies on the curve, where misses equal false alarms.
    along = np.linspace(0, len(theirs[0]) - 1, 100_001)
    false, true = (np.interp(along, np.arange(len(theirs[0])), rates) for rates in theirs[:2])
    nearest = np.argmin(np.abs(1 - true - false))
    assert found["eer"] == pytest.approx(false[nearest], abs=1e-3)


def test_equal_error_rate_of_a_known_case() -> None:
    # One of four reals lies above one of four fakes: each threshold between them errs by a quarter on both sides.
    score = np.array([0.1, 0.2, 0.3, 0.7, 0.4, 0.8, 0.9, 1.0])
    fake = np.array([False] * 4 + [True] * 4)
    found = video_metrics(Scored(fake, score, score > 0.5, np.arange(8), True), FEW)
    assert found["eer"].value == 0.25


@pytest.mark.parametrize("seed", range(2))
def test_intervals_equal_a_plain_loop(seed: int) -> None:
    scored = random_slice(seed, videos=80, groups=30)
    bootstrap = Bootstrap(200, 0.9, 7)
    found = video_metrics(scored, bootstrap)
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


def test_groups_are_resampled_and_not_videos() -> None:
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
def test_one_class_only(fake: bool) -> None:
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


def test_nothing_decided() -> None:
    score = np.full(3, np.nan)
    found = video_metrics(Scored(np.array([True, False, True]), score, np.zeros(3, bool), np.arange(3), True), FEW)
    assert found["accuracy_all"].value == 0 and found["undetermined"].value == 3
    assert math.isnan(found["accuracy"].value) and math.isnan(found["auc"].value)


def test_one_group_has_no_interval() -> None:
    score = np.array([0.2, 0.7])
    found = video_metrics(Scored(np.array([False, True]), score, score > 0.5, np.zeros(2, int), True), FEW)
    assert found["auc"].value == 1
    assert math.isnan(found["auc"].low) and math.isnan(found["accuracy"].high)


def test_a_rank_is_no_probability() -> None:
    scored = random_slice(2)
    rank = Scored(scored.fake, scored.score, scored.called_fake, scored.group, False)
    found = video_metrics(rank, FEW)
    assert math.isnan(found["log_loss"].value) and math.isnan(found["brier"].value)
    assert found["auc"] == video_metrics(scored, FEW)["auc"]


def test_face_metrics_equal_scikit_learns_over_all_faces() -> None:
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
    assert not COUNTS_UNDETERMINED & set(found)
