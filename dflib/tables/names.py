"""Names in the metastore: the tables as ``<database>.<table>``, with views beside them.

Jobs read and write by path.  Names are registered at the end of a job, for SQL and other readers.
"""

import logging
from dataclasses import dataclass

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from dflib import uris
from dflib.errors import TableError
from dflib.storage import for_jvm
from dflib.tables.schemas import TABLES
from dflib.tables.sql import quoted
from dflib.tables.store import Tables
from dflib.tables.views import VIEWS, SqlView

log = logging.getLogger(__name__)

RUNS = "runs"
RUN_COLUMNS = {
    "run_id": ("STRING", "start time, job and process id"),
    "job": ("STRING", "name of the job, or of the step of one"),
    "parent": ("STRING", "run_id of the job that this run is a step of; null: a job of one step"),
    "config_digest": ("STRING", "hash of the whole configuration"),
    "code_version": ("STRING", "version of dflib, with the commit when run from a checkout"),
    "started_at": ("TIMESTAMP", "when it started (UTC)"),
    "seen_at": ("TIMESTAMP", "last heartbeat of a run that has not ended (UTC)"),
    "progress": ("STRING", "progress of a run that has not ended, JSON"),
    "ended_at": ("TIMESTAMP", "when it ended (UTC); null: running, or killed"),
    "outcome": ("STRING", "RUNNING (or killed), DONE, FAILED or INTERRUPTED (by a signal)"),
    "error": ("STRING", "why it FAILED, or what INTERRUPTED it"),
    "seconds": ("DOUBLE", "wall-clock seconds"),
    "versions_before": ("STRING", "version of each table before the run, JSON"),
    "versions_after": ("STRING", "version of each table after the run, JSON"),
    "counts": ("STRING", "counts of the run, JSON"),
    "config": ("STRING", "whole configuration, JSON"),
    "packages": ("STRING", "versions of the driver's Python packages by name, JSON"),
}
"""Type and comment of each column of the run records.  What differs between jobs is JSON text."""


@dataclass(frozen=True)
class Names:
    """Names of the tables (with ``runs``) and views in the database."""

    tables: tuple[str, ...]
    views: tuple[str, ...]


def register(tables: Tables, database: str, move: bool, renew: bool = False) -> Names:
    """Registers every table that exists, the run records (``runs``), and the views.

    Args:
        tables: the tables to name.
        database: database of the metastore; created when it does not exist.
        move: moves names that refer to tables of another root to this one, with a warning; otherwise they are an error.
        renew: replaces existing views, which may be those of another version of dflib.

    Raises:
        TableError: the metastore can't be reached or refuses; or names refer to tables of another root.
    """
    try:
        return _register(tables, database, move, renew)
    except (PySparkException, Py4JJavaError) as error:
        raise TableError(
            f"database {database} of the metastore: {_reason(error)}; a new PostgreSQL database needs "
            "'spark-submit.sh register' once"
        ) from None


def _reason(error: BaseException) -> str:
    """First line of the innermost cause."""
    text = str(error)
    if isinstance(error, Py4JJavaError):
        text = str(error.java_exception.toString())
    while (cause := getattr(error, "_cause", None)) is not None:
        error, text = cause, str(cause)
    return (text.strip() or type(error).__name__).splitlines()[0]


def possible(tables: Tables) -> Names:
    """The names that :func:`register` would register."""
    present = {name for name, table in TABLES.items() if tables.exists(table)}
    return Names(tuple(sorted({*present, RUNS})), tuple(view.name for view in _possible_views(present)))


def _register(tables: Tables, database: str, move: bool, renew: bool) -> Names:
    spark = tables.spark
    runs = for_jvm(uris.join(tables.root, RUNS))
    # Without it the metastore holds only the location of a Delta table, and JDBC clients list no columns.
    spark.conf.set("spark.databricks.delta.catalog.update.enabled", "true")
    spark.sql(f"CREATE DATABASE IF NOT EXISTS {database}")
    present = {row["tableName"] for row in spark.sql(f"SHOW TABLES IN {database}").collect()}
    # All names are made together with this one, so its location is that of the others, too.
    if RUNS in present and (place := _place(spark, f"{database}.{RUNS}")) != runs:
        if not move:
            raise TableError(
                f"database {database} of the metastore names the tables beside {place}, not those of {tables.root}; "
                "choose another name with tables.database, or run register to move the names here"
            )
        log.warning("the names in database %s referred to tables beside %s and are moved to %s", database, place, runs)
        for name in present & {*TABLES, RUNS, *VIEWS}:
            spark.sql(f"DROP {'VIEW' if name in VIEWS else 'TABLE'} {database}.{name}")
        present = set()
    for name, table in TABLES.items():
        if name not in present and tables.exists(table):
            spark.sql(
                f"CREATE TABLE IF NOT EXISTS {database}.{name} USING delta COMMENT {quoted(table.comment)} "
                f"LOCATION {quoted(for_jvm(tables.uri(table)))}"
            )
            present.add(name)
    if RUNS in present and not _is_as_now(spark, f"{database}.{RUNS}"):
        # Registered by an earlier version.  The records are files, which stay.
        spark.sql(f"DROP TABLE {database}.{RUNS}")
        present.remove(RUNS)
    if RUNS not in present:
        columns = ", ".join(f"{name} {kind} COMMENT {quoted(text)}" for name, (kind, text) in RUN_COLUMNS.items())
        spark.sql(
            f"CREATE TABLE IF NOT EXISTS {database}.{RUNS} ({columns}) USING json "
            f"COMMENT 'One record per run' LOCATION {quoted(runs)}"
        )
        present.add(RUNS)
    for view in _possible_views(present):
        if renew or view.name not in present:
            for table in view.tables:
                tables.create(table)  # adds the columns that a table of an earlier version lacks
            stored = {table.name: spark.table(f"{database}.{table.name}").columns for table in view.tables}
            spark.sql(view.statement(database, renew, stored))
            present.add(view.name)
    return Names(tuple(sorted(present & {*TABLES, RUNS})), tuple(name for name in VIEWS if name in present))


def _possible_views(present: set[str]) -> list[SqlView]:
    """The views whose tables are present."""
    return [view for view in VIEWS.values() if {table.name for table in view.tables} <= present]


def _is_as_now(spark: SparkSession, runs: str) -> bool:
    columns = [(field.name, field.metadata.get("comment")) for field in spark.table(runs).schema]
    return columns == [(name, comment) for name, (_, comment) in RUN_COLUMNS.items()]


def _place(spark: SparkSession, name: str) -> str:
    rows = spark.sql(f"DESCRIBE EXTENDED {name}").where("col_name = 'Location'").collect()
    return str(rows[0]["data_type"]) if rows else ""
