"""Any table at any version as Parquet or CSV."""

import difflib
import io
import re
from dataclasses import dataclass
from typing import Literal

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, BinaryType, MapType, StructType

from dflib import config, uris
from dflib.errors import ConfigError, CountError, TableError
from dflib.storage import Storage, for_jvm, from_jvm
from dflib.tables.schemas import TABLES, TRAINING_SET
from dflib.tables.store import Tables

_TRAINING_SET = re.compile(r"training_sets/[A-Za-z0-9][A-Za-z0-9._-]*")
# RFC 4180: quotes are doubled, values are not trimmed; null is empty, an empty text is "".
_CSV = {
    "header": "true",
    "quote": '"',
    "escape": '"',
    "ignoreLeadingWhiteSpace": "false",
    "ignoreTrailingWhiteSpace": "false",
    "timestampFormat": "yyyy-MM-dd'T'HH:mm:ss.SSSSSSXXX",
}


@dataclass(frozen=True)
class Rows:
    """What is to be written: a name for the file, the rows, the columns that order them, and notes for the reader."""

    name: str
    frame: DataFrame
    key: tuple[str, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Exported:
    """What an export wrote, or would write.

    Attributes:
        uri: the CSV file, or the folder of Parquet files.
        rows: rows in it.
        bytes: of what was written; of the table's own files when nothing was.
        notes: what a reader of the export has to know.
    """

    uri: str
    rows: int
    bytes: int
    notes: tuple[str, ...]


def check(settings: config.ExportConfig) -> None:
    """Refuses a name that no table can have.

    Raises:
        ConfigError: it names the nearest known one.
    """
    if settings.table not in TABLES and not _TRAINING_SET.fullmatch(settings.table):
        nearest = difflib.get_close_matches(settings.table, [*TABLES, "submission"], n=1, cutoff=0.0)[0]
        raise ConfigError(
            f"export.table={settings.table}: no such table; did you mean {nearest}? Known: {', '.join(TABLES)}, "
            "training_sets/<set_id>, submission"
        )


def read(tables: Tables, settings: config.ExportConfig) -> Rows:
    """The table that ``export`` names, at its version.

    Raises:
        TableError: no such table or version.
    """
    check(settings)
    table, folder = (TABLES[settings.table], None) if settings.table in TABLES else (TRAINING_SET, settings.table)
    newest = tables.version(table, folder)
    if newest is None:
        raise TableError(f"{tables.uri(table, folder)}: there is no such table yet")
    version = newest if settings.version is None else settings.version
    if version > newest:
        raise TableError(f"{tables.uri(table, folder)}: there is no version {version}; the newest is {newest}")
    name = settings.table.replace("/", "-") + ("" if settings.version is None else f"-v{version}")
    return Rows(name, tables.read(table, version, folder), table.key)


def write(
    tables: Tables, storage: Storage, rows: Rows, kind: Literal["parquet", "csv"], to: str, dry_run: bool = False
) -> Exported:
    """Writes rows as Parquet or CSV; what was there under the same name is replaced.

    Parquet is a folder and holds all columns.  CSV is one file, written whole and in the order of the key, without
    binary columns, with lists and maps as JSON; it passes through the memory of the driver.

    Args:
        tables: gives the place to write a CSV aside.
        storage: where ``to`` is.
        rows: of :func:`read`, or a submission.
        kind: parquet or csv.
        to: folder, or name ending in .csv or .parquet.
        dry_run: counts and writes nothing.

    Raises:
        CountError: what was written has not the rows that were read.
    """
    target = to if to.endswith(f".{kind}") else uris.join(to, f"{rows.name}.{kind}")
    frame, notes = rows.frame, rows.notes
    if kind == "csv":
        frame, left_out = _flat(frame)
        if left_out:
            notes = (*notes, f"binary columns left out: {', '.join(left_out)} (Parquet holds them)")
    count = frame.count()
    if dry_run:
        return Exported(target, count, _stored_bytes(storage, frame), notes)
    if kind == "csv":
        size, written = _write_csv(tables, storage, frame, rows.key, target)
    else:
        frame.write.mode("overwrite").parquet(for_jvm(target))
        size = sum(entry.size for entry in storage.list_files(target))
        written = tables.spark.read.schema(frame.schema).parquet(for_jvm(target)).count()
    if written != count:
        raise CountError(f"{target}: {written} rows were written where {count} were read; export again")
    return Exported(target, count, size, notes)


def _flat(rows: DataFrame) -> tuple[DataFrame, list[str]]:
    """The columns that fit a CSV, lists and maps as JSON, and the names of those that do not."""
    binary = [field.name for field in rows.schema if isinstance(field.dataType, BinaryType)]
    columns = [
        F.to_json(field.name).alias(field.name)
        if isinstance(field.dataType, ArrayType | MapType | StructType)
        else F.col(field.name)
        for field in rows.schema
        if field.name not in binary
    ]
    return rows.select(columns), binary


def _write_csv(
    tables: Tables, storage: Storage, rows: DataFrame, order: tuple[str, ...], target: str
) -> tuple[int, int]:
    """Spark writes one part file aside, which is then put in place whole; returns bytes and rows of it."""
    with tables.staging_folder("export") as aside:
        ordered = rows.repartition(1).sortWithinPartitions(*order)
        ordered.write.options(**_CSV).csv(for_jvm(aside))
        parts = [entry.uri for entry in storage.list_files(aside) if entry.uri.endswith(".csv")]
        # Spark writes no part, hence no header, where there are no rows.
        content = b"".join(storage.read(uri) for uri in parts) or (",".join(rows.columns) + "\n").encode()
    storage.write(target, content)
    return len(content), _csv_rows(content)


def _csv_rows(content: bytes) -> int:
    """Rows without the header: lines after which all quotes are closed."""
    quotes = rows = 0
    for line in io.BytesIO(content):
        quotes += line.count(b'"')
        rows += quotes % 2 == 0
    return rows - 1


def _stored_bytes(storage: Storage, rows: DataFrame) -> int:
    """Size of the files that a DataFrame of Delta tables reads."""
    return sum(storage.stat(from_jvm(uri)).size for uri in rows.inputFiles())
