"""Writing rows of tests to Delta tables without Spark."""

from typing import Any

import pyarrow as pa
from deltalake import write_deltalake

from dflib.tables.schemas import Table
from dflib.tables.store import Tables


def add(tables: Tables, table: Table, rows: list[dict[str, Any]], folder: str | None = None) -> None:
    """Appends rows with delta-rs, which is faster than Spark; missing columns become null."""
    arrow = pa.Table.from_pylist(rows, schema=table.schema)
    write_deltalake(tables.uri(table, folder).removeprefix("file://"), arrow, mode="append")
