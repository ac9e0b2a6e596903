"""Reports on Delta tables, compared with an independent computation in pandas."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dflib.errors import CountError, ModelError, TableError
from dflib.models import aliases
from dflib.reporting.report import choose, page_name
from dflib.tables.schemas import METRICS, MODELS, PREDICTIONS, VERDICTS
from dflib.tables.store import Tables
from tests.reporting.conftest import SPLITS, Reported, random_rows, run
from tests.score_rows import WHEN, ScoreRows, assign, model, train_on
from tests.table_rows import add

pytestmark = pytest.mark.spark
MEAN = "mean(t=0.5,static=out,min_faces=1)"


def test_report_equals_pandas(reported: Reported) -> None:
    rows, content = reported.rows, reported.table
    faces = pd.DataFrame(rows.predictions).merge(pd.DataFrame(rows.faces)[["face_id", "static"]])
    faces = faces[~faces["static"]].merge(pd.DataFrame(rows.videos)[["video_id", "label"]])
    videos = faces.groupby("video_id").agg(score=("p_fake", "mean"), label=("label", "first"))
    expected: dict[tuple[str, str], float] = {}
    for level, table, score in (("face", faces, "p_fake"), ("video", videos, "score")):
        known = table[table["label"].notna()]
        called = np.where(known[score] > 0.5, "FAKE", "REAL")
        confusion = pd.crosstab(known["label"], called)
        expected[level, "true_real"], expected[level, "false_fake"] = confusion.loc["REAL", ["REAL", "FAKE"]]
        expected[level, "false_real"], expected[level, "true_fake"] = confusion.loc["FAKE", ["REAL", "FAKE"]]
        expected[level, "accuracy"] = (called == known["label"]).mean()
        for label in ("REAL", "FAKE"):
            of_label = known["label"] == label
            expected[level, f"accuracy_{label.lower()}"] = (called == label)[of_label].mean()
            expected[level, f"mean_score_{label.lower()}"] = known[score][of_label].mean()
    metrics = content("metrics")
    of_all = metrics[(metrics["slice"] == "all") & metrics["rule"].isin([MEAN, "face(t=0.5,static=out)"])]
    found = of_all.set_index(["level", "name"])["value"].to_dict()
    assert {key: found[key] for key in expected} == pytest.approx(expected)

    # The table of video, score and true label.
    verdicts = content("verdicts")
    of_mean = verdicts[verdicts["rule"] == MEAN].set_index("video_id")
    pd.testing.assert_series_equal(
        of_mean["p_fake"].dropna().sort_index(), videos["score"].sort_index(), check_names=False
    )
    labels = pd.DataFrame(rows.videos).set_index("video_id")["label"]
    assert of_mean["label"].dropna().to_dict() == labels.drop("t/later").dropna().to_dict()
    assert set(of_mean.index) == {row["video_id"] for row in rows.extractions}


def test_report_counts_undetermined_videos_and_gives_them_no_score(reported: Reported) -> None:
    verdicts = reported.table("verdicts")
    of_mean = verdicts[verdicts["rule"] == MEAN]
    undetermined = of_mean[of_mean["verdict"] == "UNDETERMINED"]
    assert undetermined["p_fake"].isna().all() and undetermined["reason"].notna().all()
    assert (undetermined["reason"] == "UNREADABLE").sum() == 7
    assert reported.result.undetermined == len(undetermined) > 7
    assert reported.result.not_extracted == 1
    assert "UNREADABLE: 7" in reported.result.text
    metrics = reported.table("metrics").query("slice == 'all' and rule == @MEAN").set_index("name")
    labelled = of_mean[of_mean["label"].notna()]
    missing = (labelled["verdict"] == "UNDETERMINED").sum()
    assert (metrics["undetermined"] == missing).all() and missing > 0
    assert metrics.loc["accuracy", "count"] == len(labelled) - missing
    assert not metrics.loc["accuracy", "includes_undetermined"]
    assert metrics.loc["accuracy_all", "count"] == len(labelled)
    assert metrics.loc["accuracy_all", "includes_undetermined"]
    assert metrics.loc["accuracy_all", "value"] == pytest.approx((labelled["verdict"] == labelled["label"]).mean())


def test_report_slices_metrics_and_takes_the_test_split_for_the_headline(reported: Reported) -> None:
    verdicts, metrics = reported.table("verdicts"), reported.table("metrics")
    groups = pd.DataFrame(reported.rows.videos).set_index("video_id")["source_group"]
    assert verdicts["split"].fillna("-").tolist() == [SPLITS.get(groups[video], "-") for video in verdicts["video_id"]]
    assert set(metrics["slice"]) == {
        *("all", "label=REAL", "label=FAKE", "chunk=part_0", "chunk=part_1"),
        *("split=train", "split=validation", "split=test", "split=none"),
    }
    of_test = verdicts[(verdicts["split"] == "test") & (verdicts["rule"] == MEAN) & verdicts["label"].notna()]
    of_slice = metrics.query("slice == 'split=test' and rule == @MEAN").set_index("name")["value"]
    assert of_slice["accuracy_all"] == pytest.approx((of_test["verdict"] == of_test["label"]).mean())
    assert f"on split=test: {of_test['p_fake'].notna().sum()} labelled videos with a verdict" in reported.result.text
    for called, right in (("REAL", "true_real"), ("FAKE", "true_fake")):
        of_label = of_test[of_test["label"] == called]
        assert of_slice[right] == (of_label["verdict"] == called).sum()
        counts = [(of_label["verdict"] == verdict).sum() for verdict in ("REAL", "FAKE")]
        assert f"{called:12}{counts[0]:>14,}{counts[1]:>14,}" in reported.result.text
    one_class = metrics.query("slice == 'label=REAL' and name in ['auc', 'balanced_accuracy', 'average_precision']")
    assert len(one_class) > 3 and one_class[["value", "low", "high"]].isna().all(axis=None)


def test_report_changes_nothing_when_repeated(reported: Reported) -> None:
    first = reported.result
    assert first.pages_written == 1 and first.verdicts == 3 * first.videos == 3 * 121 and first.metrics > 0
    pages = [reported.page, *(reported.folder / "reports").rglob("*.html")]
    before, written = reported.tables.versions(), [page.stat().st_mtime_ns for page in pages]
    second = reported.again()
    assert (second.verdicts, second.metrics, second.pages_written) == (0, 0, 0)
    assert reported.tables.versions() == before
    assert [page.stat().st_mtime_ns for page in pages] == written
    assert len(pages) == 1 + len(list((reported.folder / "reports").rglob("*.html"))) == 3
    assert second.text == first.text


def test_report_assigns_videos_in_training_to_no_unseen_split(tables: Tables, tmp_path: Path) -> None:
    rows = ScoreRows()
    for video_id, fields in {
        "moved": {"group": "test_original", "original": "test_original"},  # trained on before its metadata named one
        "balanced_out": {"group": "train_original", "original": "train_original"},
        "test_original": {},
        "unseen": {"group": "test_original", "original": "test_original"},
        "joiner": {"group": "test_original", "original": "train_original"},
        "parent": {"group": "test_original", "original": "test_original"},  # its own fakes are in train
        "of_a_group_left_out": {"group": "left_out", "original": "left_out"},
        "joins_left_out": {"group": "test_original", "original": "left_out"},
    }.items():
        rows.video(video_id, [[0.9]], label="FAKE", **fields)
    split = {"moved": "train", "train_original": "train", "test_original": "test", "parent": "train"}
    train_on(tables, "set1", split, videos={"parent": "its_fake"})
    assign(tables, {**split, "left_out": "train"})
    rows.write(tables, training_set="set1")
    run(tables, tmp_path, rules=("mean",))
    assert {row["video_id"]: row["split"] for row in tables.read(VERDICTS).collect()} == {
        "moved": "train", "balanced_out": "train", "test_original": "test", "unseen": "test", "joiner": None,
        "parent": None, "of_a_group_left_out": None, "joins_left_out": None,
    }  # fmt: skip
    assert tables.read(METRICS).where("slice = 'split=test' AND name = 'accuracy_all'").first()["count"] == 2


def test_report_leaves_out_faces_of_a_replaced_file(tables: Tables, tmp_path: Path) -> None:
    rows = random_rows(11)
    rows.video("t/replaced", [[0.9], [0.9]], label="FAKE", fingerprint="new", read="old")
    rows.write(tables)
    result = run(tables, tmp_path)
    assert result.videos == 121 and "UNDETERMINED, CHANGED: 1" in result.text
    of_video = tables.read(VERDICTS).where("video_id = 't/replaced'").collect()
    assert {(row["verdict"], row["reason"], row["p_fake"], row["faces_used"]) for row in of_video} == {
        ("UNDETERMINED", "CHANGED", None, 0)
    }
    labelled = {video["video_id"] for video in rows.videos if video["label"]}
    counted = tables.read(METRICS).where("slice = 'all' AND level = 'face' AND name = 'accuracy'").first()["count"]
    assert counted == sum(not f["static"] and f["video_id"] in labelled for f in rows.faces) - 2


def test_report_rejects_a_missing_training_set(tables: Tables, tmp_path: Path) -> None:
    random_rows(4).write(tables, training_set="gone")
    with pytest.raises(TableError, match="the training set of model m is missing"):
        run(tables, tmp_path)


def test_report_without_labels_writes_verdicts_and_no_metrics(tables: Tables, tmp_path: Path) -> None:
    random_rows(5, labels=(None,)).write(tables)
    aliases.assign(tables, "champion", "m", "ana", None)
    held = run(tables, tmp_path, failed_checks=("orphans",))
    assert len(held.held) == 1 and not held.pages and tables.read(VERDICTS).isEmpty()
    result = run(tables, tmp_path)
    assert tables.read(VERDICTS).count() == 360
    assert (held.videos, held.undetermined) == (result.videos, result.undetermined) == (120, result.undetermined)
    assert tables.version(METRICS) is None
    assert "No video has a label" in result.text
    (page,) = (tmp_path / "reports").glob("*.html")
    assert "No video has a label" in page.read_text()


def test_choose_finds_all_aliased_and_named_models(tables: Tables, tmp_path: Path) -> None:
    rows = random_rows(7)
    rows.write(tables)
    add(tables, PREDICTIONS, [{**row, "model_id": "n"} for row in rows.predictions])
    add(tables, MODELS, [model("n", when=WHEN.replace(year=2027)), model("idle", when=WHEN.replace(year=2025))])
    predictions = tables.read(PREDICTIONS)
    aliases.assign(tables, "champion", "n", "ana", None)
    aliases.assign(tables, "challenger", "m", "ana", None)
    for wanted, expected in (("champion", ["n"]), ("m", ["m"]), ("all", ["m", "n"]), ("aliased", ["n", "m"])):
        assert [found.model_id for found, _ in choose(tables, predictions, wanted)] == expected
    with pytest.raises(ModelError, match="no model 'mm'"):
        choose(tables, predictions, "mm")
    with pytest.raises(TableError, match=r"no predictions of idle; .*a model that has some: m, n"):
        choose(tables, predictions, "idle")
    assert "model m" in run(tables, tmp_path, dry_run=True).text
    assert tables.version(VERDICTS) is None and not (tmp_path / "reports").exists()


def test_report_rejects_missing_predictions(tables: Tables, tmp_path: Path) -> None:
    with pytest.raises(TableError, match="there are no predictions"):
        run(tables, tmp_path)
    assert not (tmp_path / "reports").exists()


@pytest.mark.parametrize("fault", ["a face less than promised", "no probability", "no video"])
def test_report_rejects_counts_that_disagree(tables: Tables, tmp_path: Path, fault: str) -> None:
    rows = random_rows(9)
    if fault == "a face less than promised":
        rows.extractions[0]["faces"] += 1
        reason = "the first is t/v000"
    elif fault == "no video":
        rows.videos.pop(7)
        reason = "not in videos.*t/v007"
    else:
        rows.predictions[0]["p_fake"], rows.predictions[-1]["p_fake"] = 1.25, float("nan")
        reason = "2 videos have scores outside 0 to 1"
    rows.write(tables)
    with pytest.raises(CountError, match=reason):
        run(tables, tmp_path)
    assert tables.version(VERDICTS) is None


def test_page_name_is_safe_and_unique() -> None:
    assert page_name("meso4-1", "even20").startswith("meso4-1-even20-")
    names = {page_name("../../etc/x", "e"), page_name(".._.._etc/x", "e"), page_name("", "e"), page_name(".", "e")}
    names |= {page_name("a-b", "c"), page_name("a", "b-c")}
    assert len(names) == 6
    assert not any("/" in name or name.startswith(".") for name in names)
