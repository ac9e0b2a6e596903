"""Upkeep: the rows stay, what nobody needs goes."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from dflib.config import MaintainConfig
from dflib.errors import TableError
from dflib.storage import Storage
from dflib.tables import history
from dflib.tables.schemas import PREDICTIONS, TRAINING_SET
from dflib.tables.store import Tables
from dflib.upkeep.maintain import maintain
from tests.score_rows import ScoreRows, train_on
from tests.table_rows import add

pytestmark = pytest.mark.spark
SETTINGS = MaintainConfig(keep_days=7, keep_run_days=30)


def prediction(number: int) -> dict[str, object]:
    return {
        "face_id": f"f{number:04}", "model_id": "m", "video_id": f"v{number % 5}", "extractor": "e", "frame_index": 0,
        "p_fake": 0.5,
    }  # fmt: skip


def files(tables: Tables) -> list[str]:
    return tables.read(PREDICTIONS).inputFiles()


def test_small_files_are_joined_once_and_rows_stay(tables: Tables, storage: Storage) -> None:
    for number in range(history.MIN_SMALL_FILES):
        add(tables, PREDICTIONS, [prediction(number)])
    before = tables.read(PREDICTIONS).toPandas().sort_values("face_id", ignore_index=True)
    assert len(files(tables)) == history.MIN_SMALL_FILES
    (planned,) = maintain(tables, storage, SETTINGS, dry_run=True).tables
    assert (planned.small_files, planned.old_files) == (history.MIN_SMALL_FILES, 0)
    assert len(files(tables)) == history.MIN_SMALL_FILES, "a dry run changes nothing"
    maintain(tables, storage, SETTINGS, dry_run=False)
    assert len(files(tables)) == 1
    assert tables.read(PREDICTIONS).toPandas().sort_values("face_id", ignore_index=True).equals(before)
    version = tables.version(PREDICTIONS)
    assert maintain(tables, storage, SETTINGS, dry_run=False).tables == ()
    assert tables.version(PREDICTIONS) == version
    # Versions of the last days stay readable.
    assert tables.read(PREDICTIONS, 0).count() == 1


def test_old_files_are_deleted_and_their_versions_are_refused(tables: Tables, storage: Storage) -> None:
    add(tables, PREDICTIONS, [prediction(0), prediction(1)])
    tables.delete_matching(PREDICTIONS, tables.read(PREDICTIONS).where("face_id = 'f0000'").select("face_id"))
    assert maintain(tables, storage, SETTINGS, dry_run=False).freed == 0, "younger than keep_days"
    place = history.Place(PREDICTIONS)
    (size,) = history.unused_files(tables, place, 0).values()
    assert size > 0
    history.vacuum(tables, place, 0)
    assert history.unused_files(tables, place, 0) == {}
    assert [row["face_id"] for row in tables.read(PREDICTIONS).collect()] == ["f0001"]


@pytest.mark.cluster  # make test has no time for it
def test_leftovers_and_old_records_go_except_those_that_rows_name(tables: Tables, storage: Storage) -> None:
    rows = ScoreRows()
    rows.video("t/a", [[0.5]], "REAL")
    old, new = "20240101T000000000000", f"{datetime.now(UTC):%Y%m%dT%H%M%S}000000"
    rows.extractions[0]["run_id"] = f"{old}-extract-1"
    rows.write(tables)
    kept = [f"{old}-extract-1", f"{old}-nightly-1", f"{old}-train-1", f"{new}-score-1"]
    gone = [f"{old}-extract-0", f"{old}-score-1", f"{old}-nightly-0"]
    for name in [*kept, *gone]:
        parent = f"{old}-nightly-1" if name == kept[0] else None
        storage.write(f"{tables.root}/runs/{name}.json", json.dumps({"parent": parent}).encode())
    week_old = f"{datetime.now(UTC) - timedelta(days=8):%Y%m%dT%H%M%SZ}"
    today = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    for stamp in (week_old, today):
        storage.write(f"{tables.root}/_staging/{stamp}-x-1/part", b"123")
    done = maintain(tables, storage, SETTINGS, dry_run=False)
    assert (done.staging_files, done.staging_bytes, done.records) == (1, 3, 3)
    left = {entry.uri.rpartition("/")[2].removesuffix(".json") for entry in storage.list_files(f"{tables.root}/runs")}
    assert left == set(kept)
    assert [entry.uri.split("/")[-2][:16] for entry in storage.list_files(f"{tables.root}/_staging")] == [today]


@pytest.mark.cluster  # make test has no time for it
def test_training_sets_keep_their_files(tables: Tables, storage: Storage, tmp_path: Path) -> None:
    ScoreRows().write(tables, "used")
    for name in ("used", "unused"):
        for _ in range(history.MIN_SMALL_FILES):
            train_on(tables, name, {"g": "train"})
    before = sorted(str(path) for path in (tmp_path / "tables" / "training_sets").rglob("*.parquet"))
    done = maintain(tables, storage, SETTINGS, dry_run=False)
    assert sorted(str(path) for path in (tmp_path / "tables" / "training_sets").rglob("*.parquet")) == before
    assert done.unused_sets == ("training_sets/unused",) and done.unused_set_bytes > 0
    assert tables.read(TRAINING_SET, folder="training_sets/used").count() == history.MIN_SMALL_FILES


def test_joined_files_have_row_groups_of_the_usual_size(tables: Tables, storage: Storage, tmp_path: Path) -> None:
    tables.create(PREDICTIONS)
    for number in range(history.MIN_SMALL_FILES):
        add(tables, PREDICTIONS, [prediction(number * 1000 + row) for row in range(1000)])
    maintain(tables, storage, SETTINGS, dry_run=False)
    (path,) = (Path(uri.removeprefix("file://")) for uri in files(tables))
    metadata = pq.ParquetFile(path).metadata
    limit = int(tables.spark.sparkContext.getConf().get("spark.hadoop.parquet.block.size"))
    assert all(metadata.row_group(n).total_byte_size <= 1.1 * limit for n in range(metadata.num_row_groups))


def test_a_version_that_was_removed_is_an_error_with_the_reason(tables: Tables) -> None:
    add(tables, PREDICTIONS, [prediction(0)])
    add(tables, PREDICTIONS, [prediction(1)])
    history.purge(tables, history.Place(PREDICTIONS))
    with pytest.raises(TableError, match=r"version 0 can't be read: .*Available versions.*removed by maintain"):
        tables.read(PREDICTIONS, 0)
