"""Tables against a real Delta table, and against delta-rs as a second reader."""

import dataclasses
import logging
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest
from deltalake import DeltaTable
from pyspark.sql import DataFrame

from dflib import uris
from dflib.errors import CountError, StorageError, TableError
from dflib.storage import Storage, for_jvm, local_path
from dflib.tables.schemas import SPLITS, TABLES
from dflib.tables.store import Tables

pytestmark = pytest.mark.spark
EARLY, LATE = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 6, 1, tzinfo=UTC)


def rows(tables: Tables, *groups: tuple[str, str], when: datetime = EARLY) -> DataFrame:
    assigned = {"split_by": "original", "assigned_at": when}
    return SPLITS.frame(tables.spark, [assigned | {"source_group": group, "split": split} for group, split in groups])


def content(tables: Tables) -> dict[str, str]:
    path = tables.uri(SPLITS).removeprefix("file://")
    frame = DeltaTable(path).to_pandas()
    return dict(zip(frame["source_group"], frame["split"], strict=True))


def test_insert_new_adds_only_unknown_keys(tables: Tables) -> None:
    assert tables.insert_new(SPLITS, rows(tables, ("a", "train"), ("b", "test"))) == 2
    assert tables.insert_new(SPLITS, rows(tables, ("b", "train"), ("c", "train"))) == 1
    assert content(tables) == {"a": "train", "b": "test", "c": "train"}


def test_insert_new_without_new_rows_makes_no_version(tables: Tables) -> None:
    tables.insert_new(SPLITS, rows(tables, ("a", "train")))
    before = tables.version(SPLITS)
    assert tables.insert_new(SPLITS, rows(tables, ("a", "test"))) == 0
    assert tables.version(SPLITS) == before


def test_writes_return_the_counts_of_their_commit(tables: Tables, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another writer inserts one of the rows after this one has counted them."""
    other = Tables(tables.spark, tables.root, tables.storage)
    count = Tables._count_unique

    def count_and_wait(self: Tables, *arguments: object) -> int:
        found = count(self, *arguments)  # type: ignore[arg-type]
        if self is tables and found == 2:
            other.insert_new(SPLITS, rows(tables, ("b", "test")))
        return found

    monkeypatch.setattr(Tables, "_count_unique", count_and_wait)
    assert tables.insert_new(SPLITS, rows(tables, ("a", "train"), ("b", "test"))) == 1
    assert tables.upsert(SPLITS, rows(tables, ("a", "test"), ("b", "test"), ("c", "train"))) == 2
    assert content(tables) == {"a": "test", "b": "test", "c": "train"}


def test_insert_new_rejects_duplicate_keys(tables: Tables) -> None:
    with pytest.raises(CountError, match="1 of 2 new rows repeat a key"):
        tables.insert_new(SPLITS, rows(tables, ("a", "train"), ("a", "test")))
    assert content(tables) == {}


def test_upsert_replaces_true_differences_only(tables: Tables) -> None:
    tables.upsert(SPLITS, rows(tables, ("a", "train"), ("b", "test")))
    before = tables.version(SPLITS)
    assert tables.upsert(SPLITS, rows(tables, ("a", "train"), ("b", "test"), when=LATE)) == 0
    assert tables.version(SPLITS) == before
    assert tables.upsert(SPLITS, rows(tables, ("a", "train"), ("b", "train"), when=LATE)) == 1
    assert content(tables) == {"a": "train", "b": "train"}


def test_upsert_sees_a_null_become_a_value(tables: Tables) -> None:
    table = TABLES["models"]
    hashes = ("0", None, None)
    row = ("m", "meso4", "file:///m", *hashes, "tf", "{}", "trained", "fake", None, None, None, {"a": 1.0}, EARLY)
    first = tables.spark.createDataFrame([row], table.spark_schema())
    tables.upsert(table, first)
    assert tables.upsert(table, first) == 0
    second = tables.spark.createDataFrame([(*row[:10], "even20", *row[11:])], table.spark_schema())
    assert tables.upsert(table, second) == 1
    found = tables.read(table).first()
    assert found is not None and found["extractor"] == "even20"


def test_read_returns_an_earlier_version(tables: Tables) -> None:
    tables.insert_new(SPLITS, rows(tables, ("a", "train")))
    old = tables.version(SPLITS)
    tables.insert_new(SPLITS, rows(tables, ("b", "train")))
    assert tables.read(SPLITS, old).count() == 1
    assert tables.read(SPLITS).count() == 2


def test_read_of_a_missing_table_returns_no_rows(tables: Tables) -> None:
    assert tables.read(SPLITS).count() == 0
    with pytest.raises(TableError, match="no version 3"):
        tables.read(SPLITS, 3)


def test_insert_new_rejects_unknown_and_missing_columns(tables: Tables) -> None:
    frame = rows(tables, ("a", "train"))
    with pytest.raises(TableError, match=r"missing columns \['split'\], unknown columns \['splitt'\]"):
        tables.insert_new(SPLITS, frame.withColumnRenamed("split", "splitt"))


def test_delete_matching_deletes_only_their_rows(tables: Tables) -> None:
    table = TABLES["predictions"]
    schema = table.spark_schema()
    tables.insert_new(
        table,
        tables.spark.createDataFrame(
            [(f"{video}/0", "m", video, "x", 0, 0, 0.5, "r") for video in ("a", "b", "c")], schema
        ),
    )
    wanted = tables.spark.createDataFrame(
        [("a", "x"), ("b", "y"), ("c", "x"), ("a", "x")], "video_id string, extractor string"
    )
    tables.delete_matching(table, wanted)
    assert [row["video_id"] for row in tables.read(table).collect()] == ["b"]
    version = tables.version(table)
    tables.delete_matching(table, wanted)
    tables.delete_matching(TABLES["verdicts"], wanted)
    assert tables.version(table) == version and not tables.exists(TABLES["verdicts"])


def test_stage_computes_rows_once(tables: Tables) -> None:
    counter = tables.spark.sparkContext.accumulator(0)

    def count(batches):  # type: ignore[no-untyped-def]
        for batch in batches:
            counter.add(batch.num_rows)
            yield batch

    frame = tables.spark.range(10).mapInArrow(count, "id long")
    with tables.stage(frame, "test") as staged:
        assert staged.count() == staged.select("id").distinct().count() == 10
    assert counter.value == 10
    assert list(tables.storage.list_files(f"{tables.root}/_staging")) == []


def test_stage_folders_are_unique_and_old_leftovers_are_deleted(tables: Tables) -> None:
    old, young, unknown = (f"{tables.root}/_staging/{name}" for name in (
        "20200101T000000Z-score-0", f"{datetime.now(UTC) - timedelta(days=6):%Y%m%dT%H%M%SZ}-score-0", "else",
    ))  # fmt: skip
    for folder in (old, young, unknown):
        tables.storage.write(f"{folder}/part-0.parquet", b"x")
    other = Tables(tables.spark, tables.root, tables.storage)
    with tables.stage(tables.spark.range(3), "score") as mine:
        with other.stage(tables.spark.range(5), "score") as theirs:
            assert (mine.count(), theirs.count()) == (3, 5)
        assert mine.count() == 3
    left = {entry.uri for entry in tables.storage.list_files(f"{tables.root}/_staging")}
    assert left == {f"{young}/part-0.parquet", f"{unknown}/part-0.parquet"}


def test_insert_new_rejects_null_in_a_required_column(tables: Tables) -> None:
    tables.create(SPLITS)
    frame = rows(tables, ("a", "train")).selectExpr(
        "source_group", "split", "cast(null as string) split_by", "assigned_at"
    )
    with pytest.raises(Exception, match=r"NOT NULL|NOT_NULL"):
        tables.insert_new(SPLITS, frame)
    assert content(tables) == {}


def test_insert_new_adds_columns_that_an_older_table_lacks(tables: Tables) -> None:
    """Rows written before keep their values and have nulls in the new column, which is added once."""
    fields = list(SPLITS.schema)
    older = dataclasses.replace(SPLITS, schema=pa.schema([field for field in fields if field.name != "split_by"]))
    old_rows = tables.spark.createDataFrame([("a", "train", EARLY)], older.spark_schema())
    tables.insert_new(older, old_rows)
    newer = dataclasses.replace(SPLITS, schema=pa.schema([f.with_nullable(f.name == "split_by") for f in fields]))
    assert tables.read(newer).first()["split_by"] is None
    new_rows = tables.spark.createDataFrame([("b", "test", "chunk", EARLY)], newer.spark_schema())
    assert tables.insert_new(newer, new_rows) == 1
    version = tables.version(newer)
    assert {row["source_group"]: row["split_by"] for row in tables.read(newer).collect()} == {"a": None, "b": "chunk"}
    assert tables.insert_new(newer, new_rows) == 0 and tables.version(newer) == version


def test_version_sees_commits_of_others_in_one_request(tables: Tables) -> None:
    other = Tables(tables.spark, tables.root, Storage())
    assert tables.version(SPLITS) is None and tables.versions() == {}
    other.create(SPLITS)
    properties = "'delta.checkpointInterval' = '3'"
    tables.spark.sql(f"ALTER TABLE delta.`{for_jvm(tables.uri(SPLITS))}` SET TBLPROPERTIES ({properties})")
    for number in range(3):  # a checkpoint is written at version 3
        other.insert_new(SPLITS, rows(tables, (f"g{number}", "train")))
    assert tables.version(SPLITS) == 4
    first = tables.storage.counters.requests
    assert tables.version(SPLITS) == 4 and tables.storage.counters.requests == first + 1
    other.insert_new(SPLITS, rows(tables, ("late", "train")))
    assert tables.version(SPLITS) == 5 and tables.storage.counters.requests == first + 2
    log_folder = local_path(tables.uri(SPLITS)) / "_delta_log"
    assert (log_folder / "_last_checkpoint").is_file()
    for number in range(3):  # as Delta's log cleanup does
        (log_folder / f"{number:020d}.json").unlink()
    assert tables.version(SPLITS) == Tables(tables.spark, tables.root, Storage()).version(SPLITS) == 5
    listed = [uris.name(entry.uri) for entry in Storage().list_files(f"file://{log_folder}")]
    assert max(int(name[:20]) for name in listed if name.endswith(".json")) == 5


@pytest.mark.parametrize("checkpoint", [b"", b"{", b"[]", b"{}", b'{"version": 99}'])
def test_version_ignores_a_damaged_checkpoint_pointer(tables: Tables, checkpoint: bytes) -> None:
    tables.create(SPLITS)
    tables.storage.write(f"{tables.uri(SPLITS)}/_delta_log/_last_checkpoint", checkpoint)
    assert Tables(tables.spark, tables.root, Storage()).version(SPLITS) == 0


def test_version_forgets_a_deleted_table(tables: Tables) -> None:
    for group in ("a", "b"):
        tables.insert_new(SPLITS, rows(tables, (group, "train")))
    tables.storage.delete_folder(tables.uri(SPLITS))
    assert tables.version(SPLITS) is None
    tables.create(SPLITS)
    assert tables.version(SPLITS) == 0


def test_stage_only_warns_when_its_folder_can_not_be_deleted(
    tables: Tables, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(uri: str) -> None:
        raise StorageError(f"{uri}: Permission denied")

    with caplog.at_level(logging.WARNING), tables.stage(tables.spark.range(3), "test") as staged:
        assert staged.count() == 3
        monkeypatch.setattr(tables.storage, "delete_folder", refuse)
    assert "left for a later run" in caplog.text and "Permission denied" in caplog.text


def test_a_row_that_violates_a_constraint_is_refused_with_the_reason(tables: Tables) -> None:
    with pytest.raises(TableError, match=r"nothing was written: .*CHECK constraint split_is_known"):
        tables.insert_new(SPLITS, rows(tables, ("a", "holdout")))
    assert tables.read(SPLITS).isEmpty()
    tables.insert_new(SPLITS, rows(tables, ("a", "train")))
    assert tables.missing_constraints(SPLITS) == {}


def test_constraints_are_added_to_a_table_of_an_earlier_version(tables: Tables) -> None:
    table = dataclasses.replace(SPLITS, constraints={})
    tables.insert_new(table, rows(tables, ("a", "train")))
    assert list(tables.missing_constraints(SPLITS)) == ["split_is_known"]
    tables.add_constraints(SPLITS)
    assert tables.missing_constraints(SPLITS) == {}
    with pytest.raises(TableError, match="split_is_known"):
        tables.insert_new(SPLITS, rows(tables, ("b", "holdout")))


def test_constraints_that_rows_violate_are_not_added(tables: Tables) -> None:
    table = dataclasses.replace(SPLITS, constraints={})
    tables.insert_new(table, rows(tables, ("a", "holdout")))
    with pytest.raises(TableError, match=r"rows violate the constraint split_is_known, CHECK \(split IN"):
        tables.add_constraints(SPLITS)
    assert list(tables.missing_constraints(SPLITS)) == ["split_is_known"]
