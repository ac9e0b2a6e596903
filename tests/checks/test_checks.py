"""Data checks on tables that are right, and on ones with a planted fault each."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from deltalake import DeltaTable
from scipy import stats

from dflib.checks import _drift, drift_ks, drift_psi, evaluate
from dflib.config import ChecksConfig
from dflib.models import aliases
from dflib.parts import catalog
from dflib.tables.schemas import (
    CHECKS,
    FACES,
    FRAMES,
    PREDICTIONS,
    VERDICTS,
    VIDEOS,
    Table,
)
from dflib.tables.store import Tables
from tests.score_rows import EXTRACTOR, WHEN, ScoreRows
from tests.table_rows import add


def filled(tables: Tables) -> ScoreRows:
    """Three videos with two faces each, one without a face, one that failed; all rows agree."""
    rows = ScoreRows()
    for name in "abc":
        rows.video(f"t/{name}", [[0.2], [0.9]])
    rows.video("t/faceless", [[]])
    rows.video("t/failed", failed="UNREADABLE")
    rows.write(tables)
    frames = [
        {"video_id": row["video_id"], "extractor": EXTRACTOR, "frame_index": number, "faces": 1}
        for row in rows.extractions
        for number in range(row["frames"])
    ]
    add(tables, FRAMES, frames)
    return rows


def outcomes(tables: Tables, *checks: str) -> dict[str, tuple[str, float | None]]:
    results = evaluate.evaluate(tables, ChecksConfig(fail=checks, warn=()))
    return {result.name: (result.outcome, result.value) for result in results}


def change(tables: Tables, table: Table, values: dict[str, str], where: str) -> None:
    DeltaTable(tables.uri(table).removeprefix("file://")).update(values, predicate=where)


STRICT = ("unique_keys", "promised_rows", "orphans", "score_range")
FAULTS: dict[str, tuple[str, Callable[[Tables, ScoreRows], Any], int]] = {
    "a face that was written twice": ("unique_keys", lambda t, r: add(t, FACES, [r.faces[0], r.faces[0]]), 2),
    "a verdict that was written twice": (
        "unique_keys",
        lambda t, r: add(t, VERDICTS, [verdict("t/a", "FAKE")] * 2),
        1,
    ),
    "a face that is not there": (
        "promised_rows",
        lambda t, r: DeltaTable(t.uri(FACES).removeprefix("file://")).delete("video_id = 't/b' AND frame_index = 0"),
        1,
    ),
    "a frame that the ledger does not count": (
        "promised_rows",
        lambda t, r: add(t, FRAMES, [{"video_id": "t/b", "extractor": EXTRACTOR, "frame_index": 77, "faces": 0}]),
        1,
    ),
    "a ledger row without a video": (
        "orphans",
        lambda t, r: DeltaTable(t.uri(VIDEOS).removeprefix("file://")).delete("video_id = 't/faceless'"),
        1,
    ),
    "scores of faces that are gone": (
        "orphans",
        lambda t, r: DeltaTable(t.uri(FACES).removeprefix("file://")).delete("video_id = 't/b'"),
        2,
    ),
    "a score above 1": ("score_range", lambda t, r: change(t, PREDICTIONS, {"p_fake": "1.5"}, "video_id = 't/a'"), 2),
    "a score that is not a number": (
        "score_range",
        lambda t, r: change(t, PREDICTIONS, {"p_fake": "arrow_cast('NaN', 'Float64')"}, "video_id = 't/a'"),
        2,
    ),
}


def verdict(video_id: str, kind: str) -> dict[str, Any]:
    row = {"video_id": video_id, "extractor": EXTRACTOR, "model_id": "m", "rule": "mean", "verdict": kind}
    return row | {"p_fake": 0.5, "faces_used": 1, "frames_used": 1, "judged_at": WHEN}


@pytest.mark.spark
def test_checks_pass_on_tables_that_agree(tables: Tables) -> None:
    assert outcomes(tables, *STRICT) == dict.fromkeys(STRICT, ("PASSED", 0))  # no table at all
    filled(tables)
    # What a killed extract left counts nowhere.
    add(tables, FRAMES, [{"video_id": "t/x", "extractor": EXTRACTOR, "frame_index": 0, "faces": 0}])
    assert outcomes(tables, *STRICT) == dict.fromkeys(STRICT, ("PASSED", 0))


@pytest.mark.spark
@pytest.mark.parametrize("fault", FAULTS)
def test_check_counts_a_planted_fault(tables: Tables, fault: str) -> None:
    name, plant, count = FAULTS[fault]
    plant(tables, filled(tables))
    assert outcomes(tables, name) == {name: ("FAILED", count)}


@pytest.mark.spark
def test_shares_are_compared_with_their_bounds(tables: Tables) -> None:
    assert outcomes(tables, "faceless_share", "fake_share") == {
        "faceless_share": ("UNMEASURED", None),
        "fake_share": ("UNMEASURED", None),
    }
    filled(tables)
    assert outcomes(tables, "faceless_share:0.25", "faceless_share:0.2") == {
        "faceless_share:0.25": ("PASSED", 0.25),
        "faceless_share:0.2": ("FAILED", 0.25),
    }
    videos = [(f"t/{chunk}{number}", chunk, number) for chunk in ("p", "q") for number in range(40)]
    add(tables, VIDEOS, [
        {"video_id": video, "dataset": "t", "chunk": chunk, "source_group": video, "problems": [], "ingested_at": WHEN}
        for video, chunk, _ in videos
    ])  # fmt: skip
    add(tables, PREDICTIONS, [
        {"face_id": f"{video}/{face}", "video_id": video, "extractor": EXTRACTOR, "frame_index": face, "model_id": "n",
         "p_fake": 0.9 if number < (30 if chunk == "p" else 10) else 0.3}
        for video, chunk, number in videos for face in range(2)
    ])  # fmt: skip
    assert outcomes(tables, "fake_share")["fake_share"][0] == "UNMEASURED"
    aliases.assign(tables, aliases.CHAMPION, "n", "r", None)
    assert outcomes(tables, "fake_share:0.25", "fake_share:0.24") == {
        "fake_share:0.25": ("PASSED", 0.25),
        "fake_share:0.24": ("FAILED", 0.25),
    }


@pytest.mark.spark
def test_drift_compares_the_newest_run_with_the_earlier_ones(tables: Tables) -> None:
    random = np.random.default_rng(8)
    scores = {"r1": random.beta(2, 5, 300), "r2": random.beta(2, 5, 300), "r3": random.beta(5, 2, 250)}
    add(tables, PREDICTIONS, [
        {"face_id": f"{run_id}/{number}", "model_id": "m", "video_id": "v", "extractor": "x", "frame_index": 0,
         "p_fake": float(score), "run_id": run_id}
        for run_id, of_run in scores.items() for number, score in enumerate(of_run)
    ])  # fmt: skip
    (drift,) = _drift.drifts(tables)
    edges = np.linspace(0, 1, _drift.BINS + 1)
    earlier = np.concatenate([scores["r1"], scores["r2"]])
    np.testing.assert_array_equal(drift.newest, np.histogram(scores["r3"], edges)[0])
    np.testing.assert_array_equal(drift.earlier, np.histogram(earlier, edges)[0])
    exact = stats.ks_2samp(scores["r3"], earlier).statistic
    assert outcomes(tables, "drift_ks:0.2")["drift_ks:0.2"][0] == "FAILED"
    assert drift_ks.distance(drift.newest, drift.earlier) == pytest.approx(exact, abs=0.05)
    assert outcomes(tables, "drift_psi")["drift_psi"][0] == "FAILED"


def test_psi_and_distance_of_equal_shares_are_nearly_zero() -> None:
    counts = np.array([0, 500, 1000, 500] + [0] * 16)
    assert drift_psi.psi(counts, counts * 3) < 0.02 and drift_ks.distance(counts, counts * 3) == 0
    # By hand: shares .75 and .25 against .25 and .75, ln 3 each; half a score in each bin changes little.
    assert drift_psi.psi(np.array([7500, 2500]), np.array([2500, 7500])) == pytest.approx(np.log(3), abs=1e-3)


@pytest.mark.spark
def test_write_keeps_results_and_failures_are_those_of_the_newest_run(tables: Tables) -> None:
    settings = ChecksConfig(fail=("unique_keys", "score_range"), warn=("promised_rows",))
    assert evaluate.failures(tables, settings) == []
    rows = filled(tables)
    add(tables, FACES, [rows.faces[0]])
    results = evaluate.evaluate(tables, settings)
    assert [result.outcome for result in results] == ["FAILED", "PASSED", "WARNED"]
    evaluate.write(tables, results, "20260102-checks-1")
    assert evaluate.failures(tables, settings) == ["unique_keys"]
    assert evaluate.failures(tables, ChecksConfig(fail=("score_range",), warn=("unique_keys",))) == []
    # A later run whose clock was set back is the newest all the same.
    evaluate.write(tables, evaluate.evaluate(tables, ChecksConfig(fail=(), warn=("orphans",))), "20250103-checks-1")
    assert evaluate.failures(tables, settings) == []
    assert tables.read(CHECKS).count() == 4


@pytest.mark.spark
@pytest.mark.parametrize(
    ("zone", "at"),
    [
        ("Europe/Berlin", datetime(2026, 10, 25, 0, 30, tzinfo=UTC)),
        ("Europe/Berlin", datetime(2026, 10, 25, 1, 30, tzinfo=UTC)),
        ("America/New_York", datetime(2026, 11, 1, 5, 30, tzinfo=UTC)),
        ("America/New_York", datetime(2026, 11, 1, 6, 30, tzinfo=UTC)),
    ],
)
def test_failures_are_found_in_the_hour_that_comes_twice(
    tables: Tables, zone: str, at: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = {"run_id": "r", "name": "orphans", "level": "fail", "outcome": "FAILED", "bound": 0.0, "checked_at": at}
    add(tables, CHECKS, [row])
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        assert evaluate.failures(tables, ChecksConfig(fail=("orphans",), warn=())) == ["orphans"]
    finally:
        monkeypatch.undo()
        time.tzset()


def test_every_check_has_a_bound_that_can_be_read() -> None:
    for part in catalog.CHECKS:
        assert part.argument is None or float(part.default or "") > 0
    assert {part.name for part in catalog.CHECKS} >= set(STRICT)


@pytest.mark.spark
def test_a_check_that_cannot_be_measured_has_not_passed(tables: Tables, tmp_path: Path) -> None:
    filled(tables)
    for path in (tmp_path / "tables" / "faces").glob("part-*.parquet"):
        path.write_bytes(b"damaged")
    settings = ChecksConfig(fail=("promised_rows",), warn=("faceless_share",))
    results = evaluate.evaluate(tables, settings)
    assert [(result.outcome, result.value is None) for result in results] == [("FAILED", True), ("PASSED", False)]
    assert "can't be measured" in results[0].detail
    evaluate.write(tables, results, "r")
    assert evaluate.failures(tables, settings) == ["promised_rows"]


def test_a_check_listed_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="orphans: listed twice"):
        ChecksConfig(fail=("orphans",), warn=("orphans", "drift_ks:0.2"))
