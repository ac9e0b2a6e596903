"""Verdicts compared with earlier ones: hand-made rows, and random ones against a plain loop."""

import itertools
from typing import Any

import numpy as np
import pandas as pd
import pytest

from dflib.scoring import changes

BEFORE: dict[str, Any] = {
    "extractor": "x",
    "model_id": "m",
    "rule": "mean(t=0.5)",
    "verdict": "REAL",
    "p_fake": 0.2,
    "label": "REAL",
    "fingerprint": "1:2",
    "extraction_run": "r1",
    "current_since": pd.Timestamp("2026-01-02", tz="UTC"),
}
AFTER = {name: BEFORE[name] for name in changes.COMPARED} | {"reason": None}
FAKE = {"verdict": "FAKE", "p_fake": 0.9}


def compared(before: dict[str, Any], after: dict[str, Any], move: float = 0.1) -> pd.DataFrame:
    """A video that changes as described beside one that stays."""
    old = [{"video_id": "a"} | BEFORE | before, {"video_id": "b"} | BEFORE, {"video_id": "gone"} | BEFORE]
    new = [{"video_id": "new"} | AFTER, {"video_id": "b"} | AFTER, {"video_id": "a"} | AFTER | after]
    return changes.compare(pd.DataFrame(old), pd.DataFrame(new), move)


@pytest.mark.parametrize(
    ("before", "after", "cause"),
    [
        ({}, FAKE, "NEW_SCORES"),
        ({}, FAKE | {"label": "FAKE"}, "NEW_LABEL"),
        ({}, FAKE | {"extraction_run": "r2", "label": None}, "NEW_FACES"),
        ({}, FAKE | {"rule": "mean(t=0.1)", "extraction_run": "r2"}, "NEW_RULE"),
        ({}, FAKE | {"model_id": "n", "rule": "mean(t=0.1)"}, "NEW_MODEL"),
        ({}, FAKE | {"extractor": "y", "model_id": "n"}, "NEW_EXTRACTOR"),
        ({}, FAKE | {"fingerprint": "3:4", "extraction_run": "r2", "model_id": "n"}, "NEW_BYTES"),
        (
            {},
            {"verdict": "UNDETERMINED", "p_fake": None, "reason": "MISSING_FILE", "fingerprint": None},
            "MISSING_FILE",
        ),
        ({}, {"verdict": "UNDETERMINED", "p_fake": None, "reason": "NO_FACE", "extraction_run": "r2"}, "NEW_FACES"),
        # Rows of older versions have neither.
        ({"fingerprint": None, "extraction_run": None}, FAKE, "NEW_SCORES"),
    ],
)
def test_compare_names_the_first_cause_of_a_flip(before: dict[str, Any], after: dict[str, Any], cause: str) -> None:
    (row,) = compared(before, after).to_dict("records")
    assert (row["video_id"], row["cause"], row["flipped"]) == ("a", cause, True)
    assert (row["from_verdict"], row["to_verdict"]) == ("REAL", after["verdict"])
    assert row["current_since"] == BEFORE["current_since"]


def test_compare_lists_moved_scores_and_labels_without_a_flip() -> None:
    (row,) = compared({}, {"p_fake": 0.31}).to_dict("records")
    assert (row["flipped"], row["from_p_fake"], row["to_p_fake"]) == (False, 0.2, 0.31)
    (row,) = compared({}, {"label": None}).to_dict("records")
    assert (row["flipped"], row["cause"], row["from_label"]) == (False, "NEW_LABEL", "REAL")
    assert compared({}, {"p_fake": 0.2999, "extraction_run": "r2", "model_id": "n"}).empty
    assert compared({"label": None}, {"label": None}).empty
    undecided: dict[str, Any] = {"verdict": "UNDETERMINED", "p_fake": None}
    assert compared(undecided, undecided).empty


def test_compare_equals_a_loop_over_random_verdicts() -> None:
    random = np.random.default_rng(4)

    def frame(videos: list[int]) -> pd.DataFrame:
        rows = []
        for video in videos:
            p_fake = random.choice([np.nan, 0.1, 0.3, 0.6, 0.9])
            verdict = "UNDETERMINED" if np.isnan(p_fake) else "FAKE" if p_fake > 0.5 else "REAL"
            row = BEFORE | {"verdict": verdict, "p_fake": p_fake, "label": random.choice(["REAL", "FAKE", None])}
            rows.append({"video_id": f"v{video}", "reason": None} | row)
        return pd.DataFrame(rows)

    old = frame(sorted(random.choice(300, 200, replace=False)))
    new = frame(list(random.permutation(300)[:200]))
    found = changes.compare(old.drop(columns="reason"), new.drop(columns="current_since"), 0.25)
    expected = []
    for before, after in itertools.product(old.to_dict("records"), new.to_dict("records")):
        if before["video_id"] == after["video_id"]:
            flipped = before["verdict"] != after["verdict"]
            if flipped or abs(before["p_fake"] - after["p_fake"]) > 0.25 or before["label"] != after["label"]:
                expected.append((before["video_id"], flipped))
    assert len(expected) > 80
    assert list(zip(found["video_id"], found["flipped"], strict=True)) == sorted(expected)


@pytest.mark.parametrize(
    ("flipped", "compared", "limit", "held"),
    [(5, 100, 0.05, False), (6, 100, 0.05, True), (1, 19, 0.05, True), (0, 0, 0.0, False), (1, 100, 0.0, True),
     (7, 10, 7, False), (8, 10, 7, True), (1, 1000, 1, False), (2, 1000, 1, True)],
)  # fmt: skip
def test_exceeds_takes_a_share_below_1_and_a_number_from_1_on(
    flipped: int, compared: int, limit: float, held: bool
) -> None:
    assert changes.exceeds(flipped, compared, limit) is held
