"""Figures that the page derives from the videos."""

import numpy as np
import pytest

from tests.reporting.made_findings import findings, video


def test_margins_are_scores_minus_the_threshold() -> None:
    found = findings([video("a", 0.25), video("b", None), video("c", 0.75)], threshold=0.5)
    np.testing.assert_allclose(found.margins, [-0.25, np.nan, 0.25])


def test_margins_of_a_rule_without_threshold_are_taken_from_between_the_verdicts() -> None:
    def ranked(name: str, score: float | None, fake: bool) -> dict[str, object]:
        return video(name, score) | {"run:3_p": np.nan if score is None else score, "run:3_fake": fake}

    rows = [ranked("a", 0.2, False), ranked("b", 0.4, False), ranked("c", 0.6, True), ranked("d", None, False)]
    found = findings(rows, rules=("run:3",))
    assert found.pooling_rule.limit is None
    np.testing.assert_allclose(found.margins, [-0.3, -0.1, 0.1, np.nan])
    assert np.isnan(findings(rows[:2], rules=("run:3",)).margins).all()


def test_face_counts_count_each_face_once() -> None:
    found = findings(
        [
            video("used", 0.9),
            video("static", 0.9, face_rows=9, faces_moving=6, faces_used=5, faces_scored=5),
            video("unscored", None, reason="NOT_SCORED", face_rows=4, faces_moving=4, faces_used=4, faces_scored=3),
            video("changed", None, reason="CHANGED", face_rows=7, faces_moving=6, faces_used=0, faces_scored=0),
            video("none", None),
        ]
    )
    counts = found.face_counts
    assert counts.found == 2 + 9 + 4 + 7
    assert (counts.static, counts.poor, counts.unscored, counts.changed, counts.undetermined) == (3, 1, 1, 7, 3)
    assert counts.used == 2 + 5


def test_reasons_are_ordered_by_frequency_then_name() -> None:
    rows = [video(str(number), None, reason=reason) for number, reason in enumerate(["B", "A", "C", "C"])]
    assert list(findings(rows).reasons.items()) == [("C", 2), ("A", 1), ("B", 1)]


@pytest.mark.parametrize(("split", "expected"), [("test", "split=test"), ("train", "all")])
def test_headline_slice_is_the_test_split_of_a_model_trained_here(split: str, expected: str) -> None:
    rows = [video("a", 0.9, "FAKE", split=split), video("b", 0.1, "REAL", split="train")]
    found = findings(rows, training_set="set1")
    assert found.headline_slice == expected
    assert found.has_seen_videos == (expected == "all")
    assert findings(rows).headline_slice == "all"
