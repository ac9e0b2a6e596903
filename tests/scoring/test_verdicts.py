"""Verdicts of hand-made faces, and of random ones compared with pandas."""

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from deltalake import DeltaTable
from pydantic import ValidationError

from dflib import config
from dflib.errors import ConfigError, CountError
from dflib.parts import catalog
from dflib.scoring import pooling, rules, verdicts
from dflib.tables.schemas import EXTRACTIONS, FACES, PREDICTIONS, VERDICTS, VIDEOS
from dflib.tables.store import Tables
from tests.score_rows import EXTRACTOR, SETTINGS, ScoreRows

ALL_RULES = ("mean", "share", "run")
"""Every rule with its default argument."""


def configured(**changes: Any) -> config.ReportConfig:
    """The settings with changes, validated as in a configuration file."""
    return config.ReportConfig.model_validate({**SETTINGS.model_dump(), **changes})


def judged(tables: Tables, rows: ScoreRows, **changes: Any) -> pd.DataFrame:
    """Verdicts as written, indexed by video and by the rule as configured."""
    settings = configured(**{"rules": ALL_RULES, **changes})
    judging = verdicts.judge(
        tables,
        PREDICTIONS.frame(tables.spark, rows.predictions),
        FACES.frame(tables.spark, rows.faces),
        VIDEOS.frame(tables.spark, rows.videos),
        EXTRACTIONS.frame(tables.spark, rows.extractions),
        tables.spark.createDataFrame(pa.table({"video_id": ["tie"], "split": ["test"]})),
        settings,
        "m",
        EXTRACTOR,
    )
    with judging as result:
        tables.upsert(VERDICTS, result.rows)
        assert result.pooled.count() == len(result.videos) == len(rows.extractions)
    texts = {name: text for text, name in pooling.rule_names(settings).items()}
    found = DeltaTable(tables.uri(VERDICTS).removeprefix("file://")).to_pandas()
    assert list(found.columns) == VERDICTS.schema.names
    found = found[found["rule"].isin(texts)]
    assert len(found) == len(rows.extractions) * len(settings.rules)
    return found.assign(text=found["rule"].map(texts)).set_index(["video_id", "text"]).sort_index()


def one(rows: pd.DataFrame, video: str, rule: str) -> tuple[float, str]:
    row = rows.loc[(video, rule)]
    return row["p_fake"], row["verdict"]


@pytest.mark.parametrize(
    "texts", [("mean", "share", "run"), ("mean", "share:0.5", "run:3"), ("mean", "share:.50", "run:3")]
)
def test_rule_names_equal_those_of_older_versions(texts: tuple[str, ...]) -> None:
    # As report wrote them into verdicts.rule with report.share=0.5 and report.run_length=3.
    assert list(pooling.rule_names(configured(rules=texts)).values()) == [
        "mean(t=0.5,static=out,min_faces=1)",
        "share(t=0.5,share=0.5,static=out,min_faces=1)",
        "run(t=0.5,length=3,static=out,min_faces=1)",
    ]


def test_rule_names_hold_threshold_arguments_and_filters() -> None:
    settings = configured(
        rules="mean,share:1,run:12", threshold=0.25, exclude_static=False, min_faces=2,
        quality={**SETTINGS.quality.model_dump(), "min_size": 64},
    )  # fmt: skip
    assert pooling.rule_names(settings) == {
        "mean": "mean(t=0.25,static=in,min_size=64,min_faces=2)",
        "share:1": "share(t=0.25,share=1,static=in,min_size=64,min_faces=2)",
        "run:12": "run(t=0.25,length=12,static=in,min_size=64,min_faces=2)",
    }
    assert pooling.face_rule_name(settings) == "face(t=0.25,static=in,min_size=64)"


@pytest.mark.parametrize(
    ("texts", "reason"),
    [
        ((), "no pooling rule; list one or more of mean"),
        (("mena",), "unknown pooling rule 'mena'; did you mean mean"),
        (("mean:3",), "takes no argument"),
        (("run:0",), "not a valid argument"),
        (("run:",), "not a valid argument"),
        (("share:1.5",), "not a valid argument"),
        (("mean", "mean"), "'mean' and 'mean' are the same pooling rule"),
        (("run", "mean", "run:3"), "'run' and 'run:3' are the same pooling rule"),
    ],
)
def test_report_config_rejects_unknown_and_repeated_rules(texts: tuple[str, ...], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        configured(rules=texts)


@pytest.mark.parametrize("texts", [("share:0.5", "share:.5"), ("share:0.1234561", "share:0.1234562")])
def test_rule_names_rejects_rules_with_one_name(texts: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError, match=r"report\.rules: 'share:.*' repeats the pooling rule share\("):
        pooling.rule_names(configured(rules=texts))


@pytest.mark.parametrize("name", catalog.RULES.names)
def test_every_rule_of_the_catalog_loads(name: str) -> None:
    rule = rules.load(name, 0.25)
    assert rule.limit is not None or rule.fake is not None


def test_rules_state_their_limit_and_whether_they_give_probabilities() -> None:
    found = {text: rules.load(text, 0.25) for text in ("mean", "share:0.75", "share", "run:4")}
    assert {text: rule.limit for text, rule in found.items()} == {
        "mean": 0.25, "share:0.75": 0.75, "share": 0.5, "run:4": None,
    }  # fmt: skip
    assert [text for text, rule in found.items() if rule.is_probability] == ["mean"]


@pytest.mark.spark
def test_one_rule_with_two_arguments_gives_two_verdicts(tables: Tables) -> None:
    rows = ScoreRows()
    rows.video("four", [[0.9]] * 4 + [[0.1]])
    found = judged(tables, rows, rules="run:3,run:5,share:0.8,share:0.7")
    assert one(found, "four", "run:3") == (0.8, "FAKE")
    assert one(found, "four", "run:5") == (0.8, "REAL")
    assert one(found, "four", "share:0.8") == (0.8, "REAL")
    assert one(found, "four", "share:0.7") == (0.8, "FAKE")
    assert found.loc[("four", "run:5"), "rule"] == "run(t=0.5,length=5,static=out,min_faces=1)"


@pytest.mark.spark
def test_judge_writes_nothing_new_twice_and_replaces_what_differs(tables: Tables) -> None:
    rows = ScoreRows()
    rows.video("a", [[0.9]], label="FAKE")
    rows.video("b", [[0.2]])
    judged(tables, rows)
    before = tables.version(VERDICTS)
    judged(tables, rows)
    assert tables.version(VERDICTS) == before
    rows.predictions[0]["p_fake"] = 0.4
    assert one(judged(tables, rows), "a", "mean") == (0.4, "REAL")
    assert tables.version(VERDICTS) == before + 1


@pytest.mark.spark
def test_judge_writes_nothing_when_counts_disagree(tables: Tables) -> None:
    rows = ScoreRows()
    rows.video("a", [[0.9]])
    rows.extractions[0]["faces"] = 2
    with pytest.raises(CountError, match=r"1 videos have more or fewer rows in faces.*the first is a"):
        judged(tables, rows)
    assert tables.version(VERDICTS) is None


@pytest.mark.spark
def test_rules_on_hand_made_videos(tables: Tables) -> None:
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
def test_undetermined_videos_have_a_reason_and_no_score(tables: Tables) -> None:
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
