"""Persistent names: the tables as ``<database>.<table>`` in the metastore, so that others can query them.

Jobs read and write by path; names come afterwards, and a failed registration is a warning.
"""

import logging

from pyspark.errors import PySparkException

from dflib import uris
from dflib.tables.schemas import TABLES
from dflib.tables.store import Tables

log = logging.getLogger(__name__)


def register(tables: Tables, database: str) -> None:
    """Gives every table that exists its name, and ``runs`` and ``quarantine`` as views.

    A name that stands for another place is moved to this one, with a log line.
    """
    spark = tables.spark
    try:
        spark.sql(f"CREATE DATABASE IF NOT EXISTS {database}")
        present = {row["tableName"] for row in spark.sql(f"SHOW TABLES IN {database}").collect()}
        for name, table in TABLES.items():
            if name not in present and tables.exists(table):
                location = uris.for_spark(tables.uri(table))
                spark.sql(f"CREATE TABLE {database}.{name} USING delta LOCATION '{_quoted(location)}'")
        if "quarantine" not in present and tables.exists(TABLES["extractions"]):
            spark.sql(
                f"CREATE VIEW {database}.quarantine AS SELECT * FROM {database}.extractions WHERE outcome = 'FAILED'"
            )
        if "runs" not in present:
            location = uris.for_spark(uris.join(tables.root, "runs"))
            spark.sql(f"CREATE VIEW {database}.runs AS SELECT * FROM json.`{location}`")
    except PySparkException as error:
        reason = str(error).strip().splitlines()[0]
        log.warning("the tables are written, but their names in database %s are not registered: %s", database, reason)


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace("'", "\\'")
