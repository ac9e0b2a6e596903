"""The views against report's own metrics, and against pandas, on random rows."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
from deltalake import DeltaTable
from pyspark.sql import SparkSession

from dflib.models import aliases
from dflib.storage import Storage
from dflib.tables import current, names
from dflib.tables.schemas import (
    EXTRACTIONS,
    METRICS,
    MODELS,
    PREDICTIONS,
    TABLES,
    VERDICTS,
    VIDEOS,
    Table,
)
from dflib.tables.store import Tables
from dflib.tables.views import VIEWS
from tests.reporting.conftest import random_rows, run
from tests.score_rows import EXTRACTOR, WHEN, assign, model, train_on
from tests.table_rows import add

pytestmark = pytest.mark.spark

KEY = ["model_id", "extractor", "rule"]
COUNTS = ("true_fake", "false_fake", "true_real", "false_real", "undetermined")
RATIOS = ("accuracy", "accuracy_all", "accuracy_real", "accuracy_fake", "balanced_accuracy", "majority_baseline")
RULES = ("mean", "share")
CHANGED = (2, 5, 8, 50)
WAITING = "even9-mtcnn-00000000"
CROPS = f"{current.CROPS}0123abcd"


@dataclass(frozen=True)
class Viewed:
    """The views of verdicts some of which are older than their files, and what a report says that knows of that."""

    tables: Tables
    views: dict[str, pd.DataFrame]
    metrics: pd.DataFrame
    verdicts: pd.DataFrame


def path(tables: Tables, table: Table) -> str:
    return tables.uri(table).removeprefix("file://")


def read(tables: Tables, table: Table) -> pd.DataFrame:
    return DeltaTable(path(tables, table)).to_pandas()


@pytest.fixture(scope="module")
def viewed(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Viewed:
    """Two models: one trained here, one imported that scores otherwise and has not scored some faces."""
    folder = tmp_path_factory.mktemp("viewed")
    tables = Tables(spark, f"file://{folder}/tables", Storage())
    rows = random_rows(5)
    train_on(
        tables, "set1", {f"g{number}": ("train", "validation", "test", "test")[number % 4] for number in range(29)}
    )
    assign(tables, {f"g{number}": ("train", "test")[number % 2] for number in range(27)})
    # Crops that were cut beside the video say nothing of its bytes; a video that is crops has no others.
    beside = {**rows.extractions[0], "extractor": CROPS, "fingerprint": "of the crops"}
    rows.extractions += [beside, {**beside, "video_id": "t/v001"}]
    rows.videos[1] |= {"packing": "crops", "fingerprint": "of other crops"}
    rows.extractions[1] |= {"fingerprint": "of other crops"}
    for number in CHANGED:
        rows.videos[number]["fingerprint"] = "new"
    rows.write(tables, training_set="set1")
    random = np.random.default_rng(6)
    other = [
        {**row, "model_id": "n", "p_fake": float(np.clip(row["p_fake"] + random.integers(-3, 4) / 8, 0, 1))}
        for number, row in enumerate(rows.predictions)
        if number % 40 != 0
    ]
    add(tables, PREDICTIONS, other)
    add(tables, MODELS, [model("n")])
    aliases.assign(tables, aliases.CHAMPION, "n", "ana", None)
    run(tables, folder, rules=RULES, model="all")
    verdicts, metrics = read(tables, VERDICTS), read(tables, METRICS)
    # As an earlier report has left them, before the files changed.
    stale = {"p_fake": "0.9", "verdict": "'FAKE'", "reason": "NULL", "faces_used": "2", "frames_used": "1"}
    DeltaTable(path(tables, VERDICTS)).update(stale, predicate="reason = 'CHANGED'")
    verdict = {"extractor": CROPS, "model_id": "m", "rule": "mean(old)", "p_fake": 0.9, "verdict": "FAKE"}
    verdict |= {"faces_used": 3, "frames_used": 2, "label": "FAKE", "judged_at": WHEN}
    # Of videos that wait to be extracted again the ledger has no row; a verdict of an older version names no run.
    waiting = {**verdict, "extractor": WAITING, "rule": "mean(waiting)"}
    add(tables, VERDICTS, [
        *({**verdict, "video_id": video_id} for video_id in ("t/v000", "t/v001")),
        {**waiting, "video_id": "t/v000", "extraction_run": "r"}, {**waiting, "video_id": "t/v001"},
    ])  # fmt: skip
    names.register(tables, "viewed", move=False)
    views = {name: spark.table(f"viewed.{name}").toPandas() for name in VIEWS}
    return Viewed(tables, views, metrics[metrics["level"] == "video"], verdicts)


def test_judged_verdicts_equal_those_of_a_report(viewed: Viewed) -> None:
    columns = [*KEY, "video_id", "p_fake", "verdict", "reason", "label", "split", "faces_used", "frames_used"]
    ordered = [
        frame[frame["extractor"] == EXTRACTOR][columns].sort_values([*KEY, "video_id"], ignore_index=True)
        for frame in (viewed.views["judged"], viewed.verdicts)
    ]
    assert (ordered[1]["reason"] == "CHANGED").sum() == 4 * len(CHANGED)
    pd.testing.assert_frame_equal(*ordered, check_dtype=False)


def test_judged_marks_changed_files_as_the_ledger_does(viewed: Viewed) -> None:
    tables = viewed.tables
    ledger = current.ledger(tables.read(EXTRACTIONS), tables.read(VIDEOS)).where("changed").collect()
    changed = viewed.views["judged"].query("reason == 'CHANGED'")
    found = set(zip(changed["video_id"], changed["extractor"], strict=True))
    assert found == {(row["video_id"], row["extractor"]) for row in ledger} | {("t/v000", WAITING)}
    assert ("t/v001", CROPS) in found and ("t/v000", CROPS) not in found


@pytest.mark.parametrize(("view", "column"), [("confusion", "split"), ("accuracy_by_chunk", "chunk")])
def test_counts_equal_those_of_a_report(viewed: Viewed, view: str, column: str) -> None:
    rows = viewed.views[view].query("extractor == @EXTRACTOR").set_index([*KEY, column])
    values = viewed.metrics.set_index([*KEY, "slice", "name"])["value"]
    accuracies = viewed.metrics.query("name == 'accuracy'")["slice"]
    assert len(rows) == (accuracies.str.startswith(f"{column}=") | ((accuracies == "all") & (column == "split"))).sum()
    checked = 0
    for key, row in rows.iterrows():
        part = "all" if key[-1] == "all" else f"{column}={key[-1]}"
        for name in (*COUNTS, *RATIOS, "precision"):
            expected = values[(*key[:-1], part, name)]
            assert row[name] == pytest.approx(expected, nan_ok=True), (key, name)
            checked += not np.isnan(expected)
        assert row["videos"] == sum(row[list(COUNTS)])
    assert checked > 50
    if view == "confusion":
        labelled = viewed.verdicts["label"].notna()
        unlabelled = viewed.verdicts[~labelled].groupby(KEY).size()
        everything = rows.xs("all", level="split")
        assert (everything["unlabelled"] == unlabelled[everything.index]).all()
        trained = viewed.verdicts[labelled & viewed.verdicts["split"].isin(["train", "validation"])].groupby(KEY).size()
        # The imported model has seen nothing, though its videos have splits.
        expected = {key: int(trained[key]) if key[0] == "m" else 0 for key in everything.index}
        assert everything["seen"].to_dict() == expected and trained.min() > 0


def test_most_wrong_videos_equal_pandas(viewed: Viewed) -> None:
    verdicts = viewed.verdicts[viewed.verdicts["label"].notna() & (viewed.verdicts["verdict"] != "UNDETERMINED")]
    wrong = verdicts[(verdicts["verdict"] != verdicts["label"]) & (verdicts["extractor"] == EXTRACTOR)].copy()
    wrong["error"] = (wrong["p_fake"] - (wrong["label"] == "FAKE")).abs()
    wrong = wrong.sort_values([*KEY, "error", "video_id"], ascending=[True, True, True, False, True])
    wrong["place"] = wrong.groupby(KEY).cumcount() + 1
    shown = viewed.views["most_wrong"].query("extractor == @EXTRACTOR")
    columns = [*KEY, "place", "video_id", "label", "verdict", "p_fake", "error"]
    assert len(shown) > 20
    pd.testing.assert_frame_equal(
        shown[columns].reset_index(drop=True), wrong[columns].reset_index(drop=True), check_dtype=False
    )


def test_newest_verdict_has_one_row_per_video(viewed: Viewed) -> None:
    judged, newest = viewed.views["judged"], viewed.views["newest_verdict"].set_index("video_id")
    assert newest.index.is_unique and set(newest.index) == set(judged["video_id"])
    published = judged[judged["rule"].str.startswith("mean(t=") & (judged["model_id"] == "n")].set_index("video_id")
    pd.testing.assert_frame_equal(newest.sort_index(), published.sort_index())
    assert set(newest.loc[["t/v002", "t/v005"], "verdict"]) == {"UNDETERMINED"}


def test_model_against_model_compares_videos_that_both_decide(viewed: Viewed) -> None:
    shown = viewed.views["model_against_model"]
    verdicts = viewed.verdicts[viewed.verdicts["label"].notna() & (viewed.verdicts["extractor"] == EXTRACTOR)].copy()
    right = (verdicts["verdict"] == verdicts["label"]).where(verdicts["verdict"] != "UNDETERMINED")
    verdicts["right"] = right
    assert len(shown) == len(RULES) * 2
    for row in shown.itertuples():
        assert (row.model_a, row.model_b) == ("m", "n")
        both = verdicts[verdicts["rule"] == row.rule].pivot(index="video_id", columns="model_id")
        if row.slice == "split=test":
            both = both[(both["split"] == "test").all(axis=1)]
        decided = both["right"].dropna().astype(bool)
        counted = [
            int((decided["m"] & decided["n"]).sum()),
            int((decided["m"] & ~decided["n"]).sum()),
            int((~decided["m"] & decided["n"]).sum()),
            int((~decided["m"] & ~decided["n"]).sum()),
        ]
        assert [row.both_right, row.only_a_right, row.only_b_right, row.neither_right] == counted
        assert row.videos == len(decided) == sum(counted)
        assert row.undetermined == len(both) - len(decided) > 0
        assert row.accuracy_a == pytest.approx(decided["m"].mean())
        apart = counted[1] + counted[2]
        assert row.mcnemar == pytest.approx(max(abs(counted[1] - counted[2]) - 1, 0) ** 2 / apart)


def test_quarantine_lists_failed_videos(viewed: Viewed) -> None:
    ledger = read(viewed.tables, EXTRACTIONS)
    assert set(viewed.views["quarantine"]["video_id"]) == set(ledger.loc[ledger["outcome"] == "FAILED", "video_id"])
    assert list(viewed.views["quarantine"].columns) == EXTRACTIONS.schema.names


def test_describe_has_a_comment_for_every_column(viewed: Viewed) -> None:
    sql = viewed.tables.spark.sql
    for name in sorted(
        {*TABLES, *VIEWS, "runs"} & {row["tableName"] for row in sql("SHOW TABLES IN viewed").collect()}
    ):
        columns = sql(f"DESCRIBE viewed.{name}").collect()
        assert all(row["comment"] for row in columns if not row["col_name"].startswith("#")), name
        if name in VIEWS:
            assert {row["col_name"]: row["comment"] for row in columns} == VIEWS[name].columns
            (comment,) = sql(f"DESCRIBE EXTENDED viewed.{name}").where("col_name = 'Comment'").collect()
            assert comment["data_type"] == VIEWS[name].comment
