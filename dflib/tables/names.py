"""Persistent names: the tables as ``<database>.<table>`` in the metastore, so that others can query them.

Jobs read and write by path; names come afterwards, and a failed registration is a warning.
"""

import logging

from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from dflib import uris
from dflib.tables.schemas import TABLES
from dflib.tables.store import Tables

log = logging.getLogger(__name__)

RUN_COLUMNS = (
    "run_id STRING, job STRING, config_digest STRING, code_version STRING, started_at TIMESTAMP, ended_at TIMESTAMP, "
    "outcome STRING, error STRING, seconds DOUBLE, versions_before STRING, versions_after STRING, counts STRING, "
    "config STRING"
)
"""Columns of the run records; what differs from job to job is JSON text."""


def register(tables: Tables, database: str) -> None:
    """Gives every table that exists its name, the run records theirs (``runs``), and makes the view ``quarantine``.

    Names that stand for tables of another root are moved to this one, with a log line.
    """
    spark = tables.spark
    runs = uris.for_spark(uris.join(tables.root, "runs"))
    try:
        spark.sql(f"CREATE DATABASE IF NOT EXISTS {database}")
        present = {row["tableName"] for row in spark.sql(f"SHOW TABLES IN {database}").collect()}
        # All names are made together with this one, so its place tells theirs.
        if "runs" in present and (place := _place(spark, f"{database}.runs")) != runs:
            log.warning(
                "the names in database %s stood for tables beside %s and are moved to %s", database, place, runs
            )
            for name in present & {*TABLES, "runs", "quarantine"}:
                spark.sql(f"DROP {'VIEW' if name == 'quarantine' else 'TABLE'} {database}.{name}")
            present = set()
        for name, table in TABLES.items():
            if name not in present and tables.exists(table):
                location = uris.for_spark(tables.uri(table))
                spark.sql(f"CREATE TABLE {database}.{name} USING delta LOCATION '{_quoted(location)}'")
        if "quarantine" not in present and tables.exists(TABLES["extractions"]):
            spark.sql(
                f"CREATE VIEW {database}.quarantine AS SELECT * FROM {database}.extractions WHERE outcome = 'FAILED'"
            )
        if "runs" in present and spark.table(f"{database}.runs").columns != _run_columns():
            # Made by an earlier version. The records are files that stay where they are.
            spark.sql(f"DROP TABLE {database}.runs")
            present.remove("runs")
        if "runs" not in present:
            spark.sql(f"CREATE TABLE {database}.runs ({RUN_COLUMNS}) USING json LOCATION '{_quoted(runs)}'")
    except PySparkException as error:
        reason = str(error).strip().splitlines()[0]
        log.warning("the tables are written, but their names in database %s are not registered: %s", database, reason)


def _run_columns() -> list[str]:
    return [column.split()[0] for column in RUN_COLUMNS.split(", ")]


def _place(spark: SparkSession, name: str) -> str:
    rows = spark.sql(f"DESCRIBE EXTENDED {name}").where("col_name = 'Location'").collect()
    return str(rows[0]["data_type"]) if rows else ""


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace("'", "\\'")
