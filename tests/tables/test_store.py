"""Tables against a real Delta table, and against delta-rs as a second reader."""

import dataclasses
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest
from deltalake import DeltaTable
from pyspark.sql import DataFrame

from dflib.errors import CountError, TableError
from dflib.tables.schemas import SPLITS, TABLES
from dflib.tables.store import Tables

pytestmark = pytest.mark.spark
EARLY, LATE = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 6, 1, tzinfo=UTC)


def rows(tables: Tables, *groups: tuple[str, str], when: datetime = EARLY) -> DataFrame:
    data = [(group, split, "original", when) for group, split in groups]
    return tables.spark.createDataFrame(data, SPLITS.spark_schema())


def content(tables: Tables) -> dict[str, str]:
    path = tables.uri(SPLITS).removeprefix("file://")
    frame = DeltaTable(path).to_pandas()
    return dict(zip(frame["source_group"], frame["split"], strict=True))


def test_insert_new_adds_only_unknown_keys(tables: Tables) -> None:
    assert tables.insert_new(SPLITS, rows(tables, ("a", "train"), ("b", "test"))) == 2
    assert tables.insert_new(SPLITS, rows(tables, ("b", "train"), ("c", "train"))) == 1
    assert content(tables) == {"a": "train", "b": "test", "c": "train"}


def test_insert_new_of_nothing_new_makes_no_version(tables: Tables) -> None:
    tables.insert_new(SPLITS, rows(tables, ("a", "train")))
    before = tables.version(SPLITS)
    assert tables.insert_new(SPLITS, rows(tables, ("a", "test"))) == 0
    assert tables.version(SPLITS) == before


def test_insert_new_refuses_a_key_twice(tables: Tables) -> None:
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


def test_read_of_a_version(tables: Tables) -> None:
    tables.insert_new(SPLITS, rows(tables, ("a", "train")))
    old = tables.version(SPLITS)
    tables.insert_new(SPLITS, rows(tables, ("b", "train")))
    assert tables.read(SPLITS, old).count() == 1
    assert tables.read(SPLITS).count() == 2


def test_read_of_a_missing_table(tables: Tables) -> None:
    assert tables.read(SPLITS).count() == 0
    with pytest.raises(TableError, match="no version 3"):
        tables.read(SPLITS, 3)


def test_columns_must_be_the_tables(tables: Tables) -> None:
    frame = rows(tables, ("a", "train"))
    with pytest.raises(TableError, match=r"missing columns \['split'\], unknown columns \['splitt'\]"):
        tables.insert_new(SPLITS, frame.withColumnRenamed("split", "splitt"))


def test_delete_videos(tables: Tables) -> None:
    table = TABLES["predictions"]
    schema = table.spark_schema()
    tables.insert_new(
        table,
        tables.spark.createDataFrame([(f"{video}/0", "m", video, "x", 0, 0, 0.5) for video in ("a", "b", "c")], schema),
    )
    tables.delete_videos(table, tables.spark.createDataFrame([("a",), ("c",), ("a",)], "video_id string"))
    assert [row["video_id"] for row in tables.read(table).collect()] == ["b"]


def test_stage_is_read_again_without_computing_again(tables: Tables) -> None:
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


def test_two_jobs_stage_under_one_name_and_old_leftovers_go(tables: Tables) -> None:
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


def test_null_in_a_key_is_refused(tables: Tables) -> None:
    tables.create(SPLITS)
    frame = rows(tables, ("a", "train")).selectExpr(
        "source_group", "cast(null as string) split", "split_by", "assigned_at"
    )
    with pytest.raises(Exception, match=r"NOT NULL|NOT_NULL"):
        tables.insert_new(SPLITS, frame)
    assert content(tables) == {}


def test_a_table_of_an_older_version_gets_the_columns_it_lacks(tables: Tables) -> None:
    """Rows written before keep their values, with nulls in what is new; and it is done once."""
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
