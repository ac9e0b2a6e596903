"""Tables written before columns were renamed: read, written, travelled in time, and asked in SQL."""

import dataclasses
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable
from pyspark.sql import DataFrame

from dflib.runtime.runs import Run
from dflib.tables import names
from dflib.tables.schemas import EXTRACTIONS, FACES, TABLES, Table
from dflib.tables.store import Tables

pytestmark = pytest.mark.spark


def before(table: Table) -> Table:
    """The table as it was declared before its columns were renamed."""
    old = table.former
    fields = [field.with_name(old[field.name]) if field.name in old else field for field in table.schema]
    return dataclasses.replace(table, schema=pa.schema(fields), former={})


def frame(tables: Tables, table: Table, *rows: dict[str, Any]) -> DataFrame:
    """Rows with a value in every required column."""
    blank = {pa.string(): "x", pa.int32(): 0, pa.int64(): 0, pa.binary(): b"x", pa.float64(): 0.0}
    required = {field.name: blank.get(field.type, datetime(2026, 1, 1, tzinfo=UTC)) for field in table.schema
                if not field.nullable}  # fmt: skip
    arrow = pa.Table.from_pylist([required | row for row in rows], table.schema)
    return tables.spark.createDataFrame(arrow, table.spark_schema())


def old_ledger(tables: Tables) -> int:
    """A ledger of two rows in its old form; returns its version."""
    old = before(EXTRACTIONS)
    tables.insert_new(old, frame(
        tables, old,
        {"video_id": "a", "tries": 1, "outcome": "DONE"}, {"video_id": "b", "tries": 2, "outcome": "FAILED"},
    ))  # fmt: skip
    version = tables.version(old)
    assert version is not None
    return version


def attempts(rows: DataFrame) -> dict[str, int]:
    return {row["video_id"]: row["attempts"] for row in rows.collect()}


def stored(tables: Tables, table: Table) -> list[dict[str, Any]]:
    """What delta-rs finds, by its own names."""
    frame = DeltaTable(tables.uri(table).removeprefix("file://")).to_pandas()
    return frame.astype(object).where(frame.notna(), None).to_dict("records")


def test_every_former_name_belongs_to_a_column_and_is_free() -> None:
    assert TABLES["extractions"].former == {"attempts": "tries"} and TABLES["faces"].former == {"sharpness": "blur"}
    for table in TABLES.values():
        assert set(table.former) <= set(table.schema.names) and not set(table.former.values()) & set(table.schema.names)


def test_read_returns_present_names_and_writes_nothing(tables: Tables) -> None:
    version = old_ledger(tables)
    rows = tables.read(EXTRACTIONS)
    assert rows.columns == EXTRACTIONS.schema.names and attempts(rows) == {"a": 1, "b": 2}
    assert tables.version(EXTRACTIONS) == version


def test_insert_new_and_upsert_fill_both_columns(tables: Tables) -> None:
    version = old_ledger(tables)
    new = [{"video_id": "b", "attempts": 3, "outcome": "DONE"}, {"video_id": "c", "attempts": 4, "outcome": "DONE"}]
    assert tables.upsert(EXTRACTIONS, frame(tables, EXTRACTIONS, *new)) == 2
    assert tables.insert_new(EXTRACTIONS, frame(tables, EXTRACTIONS, {"video_id": "d", "attempts": 5})) == 1
    assert attempts(tables.read(EXTRACTIONS)) == {"a": 1, "b": 3, "c": 4, "d": 5}
    found = {row["video_id"]: (row["tries"], row["attempts"]) for row in stored(tables, EXTRACTIONS)}
    assert found == {"a": (1, None), "b": (3, 3), "c": (4, 4), "d": (5, 5)}
    # The same rows again are no difference.
    newest = tables.version(EXTRACTIONS)
    assert tables.upsert(EXTRACTIONS, frame(tables, EXTRACTIONS, *new)) == 0 and tables.version(EXTRACTIONS) == newest
    same = frame(tables, EXTRACTIONS, {"video_id": "a", "attempts": 1, "outcome": "DONE"})
    assert tables.upsert(EXTRACTIONS, same) == 0
    # Versions from before and after the change.
    assert attempts(tables.read(EXTRACTIONS, version)) == {"a": 1, "b": 2}
    assert attempts(tables.read(EXTRACTIONS, newest)) == {"a": 1, "b": 3, "c": 4, "d": 5}


def test_faces_keep_blur_and_sharpness(tables: Tables) -> None:
    old = before(FACES)
    tables.insert_new(old, frame(tables, old, {"face_id": "1", "blur": 10.0}, {"face_id": "2", "blur": None}))
    new = frame(tables, FACES, {"face_id": "3", "sharpness": 30.0})
    assert tables.insert_new(FACES, new) == 1
    found = {row["face_id"]: row["sharpness"] for row in tables.read(FACES).collect()}
    assert found == {"1": 10.0, "2": None, "3": 30.0}
    assert {row["face_id"]: row["blur"] for row in stored(tables, FACES)} == found
    described = {row["col_name"]: row["comment"] for row in tables.spark.sql(
        f"DESCRIBE delta.`{tables.uri(FACES).removeprefix('file://')}`").collect()}  # fmt: skip
    assert described["sharpness"].endswith("coalesce(sharpness, blur) is complete")


def test_new_tables_have_present_names_only(tables: Tables) -> None:
    tables.insert_new(EXTRACTIONS, frame(tables, EXTRACTIONS, {"video_id": "a", "attempts": 1}))
    assert list(stored(tables, EXTRACTIONS)[0]) == EXTRACTIONS.schema.names


def test_views_over_old_tables_work_before_and_after_the_columns_are_added(tables: Tables) -> None:
    old_ledger(tables)
    Run("id", "extract", "0", "0.1", "2026-01-01T00:00:00+00:00", outcome="DONE").write(tables.storage, tables.root)
    names.register(tables, "renamed", move=False)

    def quarantine() -> dict[str, int]:
        return attempts(tables.spark.sql("SELECT video_id, attempts FROM renamed.quarantine"))

    assert quarantine() == {"b": 2}
    tables.upsert(EXTRACTIONS, frame(tables, EXTRACTIONS, {"video_id": "c", "attempts": 4, "outcome": "FAILED"}))
    assert quarantine() == {"b": 2, "c": 4}
    names.register(tables, "renamed", move=False, renew=True)
    assert quarantine() == {"b": 2, "c": 4}
