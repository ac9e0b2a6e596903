"""Names in the metastore, queried in SQL."""

from pathlib import Path

import pytest

from dflib.errors import TableError
from dflib.runtime.runs import Run
from dflib.tables import names
from dflib.tables.schemas import EXTRACTIONS, VIDEOS, Table
from dflib.tables.store import Tables

pytestmark = pytest.mark.spark


def record(tables: Tables, job: str, counts: dict[str, object]) -> None:
    run = Run(f"id-{job}", job, "0", "0.1", "2026-01-01T00:00:00+00:00", outcome="DONE", counts=counts)
    run.config = {"score": {"batch_size": 64}}
    run.write(tables.storage, tables.root)


def test_register_names_tables_views_and_runs(tables: Tables, tmp_path: Path) -> None:
    tables.create(VIDEOS)
    record(tables, "ingest", {"videos": 3})
    names.register(tables, "named", move=False)
    tables.create(EXTRACTIONS)
    record(tables, "extract", {"failed": {"UNREADABLE": 1}, "bytes": 5})
    names.register(tables, "named", move=False)
    sql = tables.spark.sql
    assert sql("SELECT count(*) FROM named.videos").first()[0] == 0
    assert sql("SELECT count(*) FROM named.quarantine").first()[0] == 0
    rows = sql("SELECT job, get_json_object(counts, '$.bytes') FROM named.runs ORDER BY job").collect()
    assert [tuple(row) for row in rows] == [("extract", "5"), ("ingest", None)]

    # The table of runs as an earlier version registered it.
    runs = f"{tables.root}/runs".replace("file://", "file:")
    sql("DROP TABLE named.runs")
    sql(f"CREATE TABLE named.runs (run_id STRING, job STRING) USING json LOCATION '{runs}'")
    names.register(tables, "named", move=False)
    rows = sql("SELECT job, get_json_object(config, '$.score.batch_size') FROM named.runs ORDER BY job").collect()
    assert [tuple(row) for row in rows] == [("extract", "64"), ("ingest", "64")]

    other = Tables(tables.spark, f"file://{tmp_path}/other", tables.storage)
    other.create(VIDEOS)
    record(other, "score", {})
    with pytest.raises(TableError, match=r"names the tables beside .*; choose another name with tables.database"):
        names.register(other, "named", move=False)
    assert sql("SELECT count(*) FROM named.runs").first()[0] == 2
    found = names.register(other, "named", move=True)
    assert found == names.possible(other) == names.Names(("runs", "videos"), ())
    assert [row["job"] for row in sql("SELECT job FROM named.runs").collect()] == ["score"]
    assert {row["tableName"] for row in sql("SHOW TABLES IN named").collect()} == {"videos", "runs"}


def test_register_shows_columns_added_since(tables: Tables) -> None:
    older = Table(VIDEOS.name, VIDEOS.comment, VIDEOS.key, VIDEOS.schema.remove(VIDEOS.schema.get_field_index("label")))
    tables.create(older)
    record(tables, "ingest", {})
    names.register(tables, "older", move=False)
    tables.create(VIDEOS)
    names.register(tables, "older", move=True, renew=True)
    described = {row["col_name"]: row["comment"] for row in tables.spark.sql("DESCRIBE older.videos").collect()}
    assert described["label"] == VIDEOS.schema.field("label").metadata[b"comment"].decode()
    assert tables.spark.sql("SELECT label FROM older.videos").count() == 0


def test_register_reports_the_reason_of_a_metastore_error(tables: Tables) -> None:
    with pytest.raises(TableError, match=r"database named\.x of the metastore: .*spark-submit\.sh register"):
        names.register(tables, "named.x", move=True)
