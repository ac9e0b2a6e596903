"""Exports, read back by pandas, pyarrow and delta-rs."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from dflib import config
from dflib.errors import ConfigError, TableError
from dflib.reporting import submission
from dflib.tables import export
from dflib.tables.schemas import PREDICTIONS, VERDICTS
from dflib.tables.store import Tables
from tests.score_rows import EXTRACTOR, WHEN, ScoreRows, train_on
from tests.table_rows import add

SETTINGS = config.ExportConfig(
    table="verdicts", version=None, format="csv", to=None, model="m", extractor=None, rule=None
)
MEAN = "mean(t=0.5,static=out,min_faces=1)"
HOSTILE = ' "quoted", comma\nnew line\r\ttab \\ back\\" '


def settings(**changes: Any) -> config.ExportConfig:
    return SETTINGS.model_copy(update=changes)


def exported(tables: Tables, to: str, dry_run: bool = False, **changes: Any) -> export.Exported:
    wanted = settings(**changes)
    return export.write(tables, tables.storage, export.read(tables, wanted), wanted.format, to, dry_run)


def add_verdicts(tables: Tables, scores: dict[str, float | None], rule: str = MEAN, extractor: str = EXTRACTOR) -> None:
    rows = [
        {
            "video_id": video_id,
            "extractor": extractor,
            "model_id": "m",
            "rule": rule,
            "p_fake": p_fake,
            "verdict": "UNDETERMINED" if p_fake is None else "FAKE" if p_fake > 0.5 else "REAL",
            "reason": "NO_FACE" if p_fake is None else None,
            "faces_used": 0,
            "frames_used": 0,
            "judged_at": WHEN,
        }
        for video_id, p_fake in scores.items()
    ]
    add(tables, VERDICTS, rows)


def make_videos(tables: Tables, *names: str) -> None:
    rows = ScoreRows()
    for name in names:
        rows.video(f"t/{name}", extracted=False)
    rows.predictions.append(
        {"face_id": "f", "model_id": "m", "video_id": "v", "extractor": "e", "frame_index": 0, "p_fake": 0.1}
    )
    rows.write(tables)


def csv(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, keep_default_na=False, na_values=[""], float_precision="round_trip", lineterminator="\n")


@pytest.mark.spark
def test_csv_keeps_hostile_text_and_exact_numbers(tables: Tables, tmp_path: Path) -> None:
    scores = {f"t/{HOSTILE}{number}": value for number, value in enumerate([1 / 3, 0.1 + 0.2, 1e-17, None])}
    scores |= {"  ": 0.5, "=1+1": 1.0, "ümläut 例": 0.0}
    add_verdicts(tables, scores)
    done = exported(tables, f"file://{tmp_path}/out")
    assert done.uri == f"file://{tmp_path}/out/verdicts.csv" and done.rows == 7
    path = tmp_path / "out" / "verdicts.csv"
    assert done.bytes == path.stat().st_size
    found = csv(path)
    expected = DeltaTable(tables.uri(VERDICTS).removeprefix("file://")).to_pandas().sort_values("video_id")
    assert list(found.columns) == VERDICTS.schema.names
    # Made harmless for spreadsheets: see the test of formulas.
    assert found["video_id"].replace("'=1+1", "=1+1").tolist() == expected["video_id"].tolist()
    assert found["p_fake"].fillna(-1).tolist() == expected["p_fake"].fillna(-1).tolist()
    assert (pd.to_datetime(found["judged_at"]) == WHEN).all()
    assert found["label"].isna().all()
    assert list(tables.storage.list_files(f"{tables.root}/_staging")) == []
    before = path.read_bytes()
    exported(tables, f"file://{path}")
    assert path.read_bytes() == before


@pytest.mark.spark
def test_csv_makes_formulas_harmless_and_says_so(tables: Tables, tmp_path: Path) -> None:
    formulas = ["=cmd|' /C calc'!A0", "+1", "-2+3", "@SUM(1)", "\t=1", "\r=1", "\n=1", "＝1", "'=1", "''-1"]
    plain = ["a=1", "a-1", " =1", "'a", "'", "[=1]", '"=1"', "ümläut"]
    add_verdicts(tables, dict.fromkeys(formulas + plain, 0.5))
    done = exported(tables, f"file://{tmp_path}/out")
    (note,) = (note for note in done.notes if "formulas" in note)
    assert note.startswith("10 values begin with = + - @")
    found = csv(tmp_path / "out" / "verdicts.csv")["video_id"].tolist()
    assert sorted(found) == sorted([f"'{text}" for text in formulas] + plain)
    # Numbers stay numbers, whatever their sign.
    table = tables.spark.createDataFrame([("a.mp4", -0.5)], "filename string, label double")
    rows = export.Rows("submission", table, ("filename",))
    assert export.write(tables, tables.storage, rows, "csv", f"file://{tmp_path}").notes == ()
    assert (tmp_path / "submission.csv").read_text() == "filename,label\na.mp4,-0.5\n"


@pytest.mark.spark
def test_csv_leaves_out_binary_columns_and_writes_lists_as_json(tables: Tables, tmp_path: Path) -> None:
    train_on(tables, "set-1", {"g": "train"})
    done = exported(tables, f"file://{tmp_path}", table="training_sets/set-1")
    assert done.notes == ("binary columns left out: image (Parquet holds them)",)
    row = csv(tmp_path / "training_sets-set-1.csv").iloc[0]
    assert "image" not in row and json.loads(row["box"]) == [0.0] * 4 and len(json.loads(row["landmarks"])) == 10


@pytest.mark.spark
def test_parquet_holds_all_rows_of_a_version(tables: Tables, tmp_path: Path) -> None:
    row = {"model_id": "m", "video_id": "v", "extractor": "e", "frame_index": 3, "track": None}
    for number in range(3):
        add(tables, PREDICTIONS, [{**row, "face_id": f"f{number}", "p_fake": number / 3}])
    done = exported(tables, f"file://{tmp_path}", table="predictions", format="parquet", version=1)
    assert done.rows == 2
    found = pq.ParquetDataset(tmp_path / "predictions-v1.parquet").read().to_pandas().sort_values("face_id")
    expected = DeltaTable(tables.uri(PREDICTIONS).removeprefix("file://"), version=1).to_pandas()
    pd.testing.assert_frame_equal(
        found.reset_index(drop=True), expected.sort_values("face_id").reset_index(drop=True), check_dtype=False
    )
    dry = exported(tables, f"file://{tmp_path}/dry", dry_run=True, table="predictions", format="parquet")
    assert dry.rows == 3 and dry.bytes > 0 and not (tmp_path / "dry").exists()
    with pytest.raises(TableError, match="no version 9; the newest is 2"):
        exported(tables, f"file://{tmp_path}", table="predictions", version=9)
    with pytest.raises(TableError, match="does not exist yet"):
        exported(tables, f"file://{tmp_path}", table="splits")


@pytest.mark.parametrize("name", ["verdict", "training_sets/../../etc", "training_sets/", "training_sets/.."])
def test_check_rejects_names_of_no_table(name: str) -> None:
    with pytest.raises(ConfigError, match=r"export\.table"):
        export.check(settings(table=name))


@pytest.mark.spark
def test_submission_has_one_row_per_video(tables: Tables, tmp_path: Path) -> None:
    make_videos(tables, "a", "b", "c", "late")
    add_verdicts(tables, {"t/a": 0.25, "t/b": 0.875, "t/c": None})
    add_verdicts(tables, {"t/a": 0.0, "t/b": 1.0, "t/c": None}, rule="share(t=0.5,share=0.5,static=out,min_faces=1)")
    rows = submission.submission(tables, settings(table="submission"), MEAN)
    done = export.write(tables, tables.storage, rows, "csv", f"file://{tmp_path}")
    assert (tmp_path / "submission.csv").read_text() == "filename,label\na.mp4,0.25\nb.mp4,0.875\nc.mp4,0.5\n"
    notes = "; ".join(done.notes)
    assert "1 videos are UNDETERMINED and have the label 0.5" in notes and "1 videos have no verdict yet" in notes
    of_share = submission.submission(tables, settings(table="submission", rule="share"), MEAN)
    assert {row["filename"]: row["label"] for row in of_share.frame.collect()}["b.mp4"] == 1.0
    with pytest.raises(TableError, match=r"export\.rule: there are no verdicts of 'run'; set .* to one of: mean"):
        submission.submission(tables, settings(table="submission", rule="run"), MEAN)
    add_verdicts(tables, {"t/a": 0.5}, extractor="other")
    with pytest.raises(TableError, match=r"export\.extractor: several match"):
        submission.submission(tables, settings(table="submission"), MEAN)


@pytest.mark.spark
def test_submission_rejects_a_repeated_file_name(tables: Tables) -> None:
    make_videos(tables, "x/a", "y/a")
    with pytest.raises(TableError, match="no verdicts of model m"):
        submission.submission(tables, settings(table="submission"), MEAN)
    add_verdicts(tables, {"t/x/a": 0.25, "t/y/a": 0.75})
    with pytest.raises(TableError, match="share a file name"):
        submission.submission(tables, settings(table="submission"), MEAN)


def test_submission_rejects_parquet_and_versions() -> None:
    with pytest.raises(ConfigError, match="leave out format and version"):
        submission.check(settings(table="submission", format="parquet"))
