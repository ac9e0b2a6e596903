"""Verdicts on rows made by hand, and against pandas on random ones."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from dflib.errors import ConfigError
from dflib.scoring import verdicts
from dflib.tables.schemas import EXTRACTIONS, FACES, PREDICTIONS, VERDICTS, VIDEOS
from dflib.tables.store import Tables
from tests.score_rows import EXTRACTOR, SETTINGS, ScoreRows, frame


def judged(tables: Tables, rows: ScoreRows, **changes: Any) -> pd.DataFrame:
    """Verdicts indexed by video and short rule."""
    settings = SETTINGS.model_copy(update=changes)
    pooled = verdicts.pool(
        frame(tables, PREDICTIONS, rows.predictions),
        frame(tables, FACES, rows.faces),
        frame(tables, VIDEOS, rows.videos),
        frame(tables, EXTRACTIONS, rows.extractions),
        tables.spark.createDataFrame([("tie", "test")], "video_id string, split string"),
        settings,
    )
    found = verdicts.verdicts(pooled, settings, "m", EXTRACTOR)
    assert found.columns == VERDICTS.schema.names
    result = found.toPandas()
    assert len(result) == len(rows.extractions) * len(settings.rules)
    short = {name: rule for rule, name in verdicts.rule_names(settings).items()}
    return result.assign(short=result["rule"].map(short)).set_index(["video_id", "short"])


def one(rows: pd.DataFrame, video: str, rule: str) -> tuple[float, str]:
    row = rows.loc[(video, rule)]
    return row["p_fake"], row["verdict"]


def test_rule_names_hold_parameters_and_filters() -> None:
    assert verdicts.rule_names(SETTINGS) == {
        "mean": "mean(t=0.5,static=out,min_faces=1)",
        "share": "share(t=0.5,share=0.5,static=out,min_faces=1)",
        "run": "run(t=0.5,length=3,static=out,min_faces=1)",
    }


@pytest.mark.parametrize("rules", [(), ("mena",)])
def test_unknown_rules_are_refused(rules: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError, match=r"report\.rules"):
        verdicts.rule_names(SETTINGS.model_copy(update={"rules": rules}))


@pytest.mark.spark
def test_rules_on_videos_made_by_hand(tables: Tables) -> None:
    rows = ScoreRows()
    rows.video("tie", [[0.25], [0.75]], group="g", label="FAKE")  # mean exactly .5; one of two frames suspicious
    rows.video("faces_tie", [[0.5], [0.5], [0.5]])  # equal to the threshold is not suspicious
    rows.video("run3", [[0.1], [0.9], [0.1, 0.9], [0.9], [0.1]])  # the middle frame by its second face
    rows.video("broken_run", [[0.9], [0.9], [0.5], [0.9], [0.9]])
    rows.video("gap", [[0.9], [], [0.9], [], [0.9]])  # frames without a face do not break a run
    found = judged(tables, rows)
    assert one(found, "tie", "mean") == (0.5, "REAL")
    assert one(found, "tie", "share") == (0.5, "REAL")
    assert one(found, "tie", "run") == (0.5, "REAL")
    assert one(found, "faces_tie", "mean") == (0.5, "REAL")
    assert one(found, "faces_tie", "share") == (0.0, "REAL")
    assert one(found, "faces_tie", "run") == (0.0, "REAL")
    assert one(found, "run3", "run") == (0.6, "FAKE")
    assert one(found, "run3", "share") == (0.6, "FAKE")
    assert one(found, "broken_run", "run") == (0.4, "REAL")
    assert one(found, "broken_run", "share") == (0.8, "FAKE")
    assert one(found, "gap", "run") == (1.0, "FAKE")
    assert found.loc[("tie", "mean"), ["split", "label", "faces_used", "frames_used"]].tolist() == [
        "test",
        "FAKE",
        2,
        2,
    ]
    assert found.loc[("run3", "mean"), ["split", "label", "faces_used", "frames_used"]].tolist() == [None, None, 6, 5]


@pytest.mark.spark
def test_undetermined_has_a_reason_and_no_score(tables: Tables) -> None:
    rows = ScoreRows()
    rows.video("no_face", [[], []])
    rows.video("portrait", [[0.9], [0.9]], static=[(0, 0), (1, 0)])
    rows.video("few", [[0.9], [0.9]], static=[(1, 0)])
    rows.video("unscored", [[0.9], [None]])
    rows.video("broken", failed="UNREADABLE")
    rows.video("later", extracted=False)
    rows.video("fine", [[0.9], [0.2]], static=[(1, 0)])
    rows.video("replaced", [[0.9]], fingerprint="new", read="old")
    rows.video("mended", failed="UNREADABLE", fingerprint="new", read="old")
    found = judged(tables, rows)
    assert found["reason"].unstack()["mean"].dropna().to_dict() == {
        "no_face": "NO_FACE",
        "portrait": "ONLY_STATIC_FACES",
        "unscored": "NOT_SCORED",
        "broken": "UNREADABLE",
        "replaced": "CHANGED",
        "mended": "CHANGED",
    }
    assert found.loc[("replaced", "mean"), ["faces_used", "frames_used"]].tolist() == [0, 0]
    undetermined = found[found["reason"].notna()]
    assert (undetermined["verdict"] == "UNDETERMINED").all() and undetermined["p_fake"].isna().all()
    assert one(found, "fine", "mean") == (0.9, "FAKE")
    kept = judged(tables, rows, exclude_static=False, min_faces=2)
    assert one(kept, "fine", "mean") == (0.55, "FAKE") and one(kept, "portrait", "mean") == (0.9, "FAKE")
    strict = judged(tables, rows, min_faces=2)
    assert strict.loc[("few", "mean"), "reason"] == strict.loc[("fine", "mean"), "reason"] == "TOO_FEW_FACES"


def longest_run(marks: list[bool]) -> int:
    return max(map(len, "".join("x" if mark else " " for mark in marks).split()), default=0)


@pytest.mark.spark
def test_rules_equal_pandas_on_random_faces(tables: Tables) -> None:
    random = np.random.default_rng(5)
    rows = ScoreRows()
    for number in range(60):
        # Eighths, so that ties with the threshold are common and sums are exact in any order.
        scores = [list(random.integers(0, 9, random.integers(0, 4)) / 8) for _ in range(random.integers(1, 9))]
        rows.video(f"v{number:02}", scores)
    found = judged(tables, rows)
    faces = pd.DataFrame(rows.predictions)
    mean = faces.groupby("video_id")["p_fake"].mean()
    top = faces.groupby(["video_id", "frame_index"])["p_fake"].max() > 0.5
    share = top.groupby("video_id").mean()
    run = top.groupby("video_id").agg(lambda marks: longest_run(list(marks)))
    by_rule = found["p_fake"].unstack()
    called = found["verdict"].unstack()
    decided = mean.index
    assert set(called.index[(called["mean"] == "UNDETERMINED")]) == set(called.index) - set(decided)
    pd.testing.assert_series_equal(by_rule.loc[decided, "mean"], mean, check_names=False)
    pd.testing.assert_series_equal(by_rule.loc[decided, "share"], share.astype(float), check_names=False)
    pd.testing.assert_series_equal(by_rule.loc[decided, "run"], run / top.groupby("video_id").size(), check_names=False)
    for rule, fake in (("mean", mean > 0.5), ("share", share > 0.5), ("run", run >= 3)):
        assert ((called.loc[decided, rule] == "FAKE") == fake).all()
        assert 0 < fake.sum() < len(fake)
