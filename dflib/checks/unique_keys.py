"""Rows that repeat the key of their table."""

from pyspark.sql import functions as F

from dflib.checks import Measured
from dflib.tables.schemas import TABLES
from dflib.tables.store import Tables


def _measure(tables: Tables) -> Measured:
    repeated: dict[str, int] = {}
    for name, table in TABLES.items():
        if tables.exists(table):
            keys = tables.read(table).groupBy(*table.key).count().where("count > 1")
            number = keys.agg(F.coalesce(F.sum(F.col("count") - 1), F.lit(0)).alias("rows")).first()
            assert number is not None
            if number["rows"]:
                repeated[name] = number["rows"]
    return Measured(sum(repeated.values()), ", ".join(f"{name} {count:,}" for name, count in repeated.items()))


PART = _measure
