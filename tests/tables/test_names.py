"""Persistent names, asked for in SQL."""

from pathlib import Path

import pytest

from dflib.runs import Run
from dflib.tables import names
from dflib.tables.schemas import EXTRACTIONS, VIDEOS
from dflib.tables.store import Tables

pytestmark = pytest.mark.spark


def record(tables: Tables, job: str, counts: dict[str, object]) -> None:
    run = Run(f"id-{job}", job, "0", "0.1", "2026-01-01T00:00:00+00:00", outcome="DONE", counts=counts)
    run.config = {"score": {"batch": 64}}
    run.write(tables.storage, tables.root)


def test_tables_and_runs_of_all_jobs_are_found_by_name(tables: Tables, tmp_path: Path) -> None:
    tables.create(VIDEOS)
    record(tables, "ingest", {"videos": 3})
    names.register(tables, "named")
    tables.create(EXTRACTIONS)
    record(tables, "extract", {"failed": {"UNREADABLE": 1}, "bytes": 5})
    names.register(tables, "named")
    sql = tables.spark.sql
    assert sql("SELECT count(*) FROM named.videos").first()[0] == 0
    assert sql("SELECT count(*) FROM named.quarantine").first()[0] == 0
    rows = sql("SELECT job, get_json_object(counts, '$.bytes') FROM named.runs ORDER BY job").collect()
    assert [tuple(row) for row in rows] == [("extract", "5"), ("ingest", None)]

    # The table of runs as an earlier version has registered it.
    runs = f"{tables.root}/runs".replace("file://", "file:")
    sql("DROP TABLE named.runs")
    sql(f"CREATE TABLE named.runs (run_id STRING, job STRING) USING json LOCATION '{runs}'")
    names.register(tables, "named")
    rows = sql("SELECT job, get_json_object(config, '$.score.batch') FROM named.runs ORDER BY job").collect()
    assert [tuple(row) for row in rows] == [("extract", "64"), ("ingest", "64")]

    other = Tables(tables.spark, f"file://{tmp_path}/other", tables.storage)
    other.create(VIDEOS)
    record(other, "score", {})
    names.register(other, "named")
    assert [row["job"] for row in sql("SELECT job FROM named.runs").collect()] == ["score"]
    assert {row["tableName"] for row in sql("SHOW TABLES IN named").collect()} == {"videos", "runs"}
