"""Any table at any version as Parquet or CSV."""

import difflib
import io
import re
from dataclasses import dataclass
from typing import Literal

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, BinaryType, MapType, StringType, StructType

from dflib import config, uris
from dflib.errors import ConfigError, CountError, TableError
from dflib.storage import Storage, for_jvm, from_jvm
from dflib.tables.schemas import TABLES, TRAINING_SET
from dflib.tables.store import Tables

_TRAINING_SET = re.compile(r"training_sets/[A-Za-z0-9][A-Za-z0-9._-]*")
# RFC 4180: quotes are doubled and values are not trimmed; null is an empty field, an empty string is "".
_CSV = {
    "header": "true",
    "quote": '"',
    "escape": '"',
    "ignoreLeadingWhiteSpace": "false",
    "ignoreTrailingWhiteSpace": "false",
    "timestampFormat": "yyyy-MM-dd'T'HH:mm:ss.SSSSSSXXX",
}
_FORMULA = r"^'*[=+\-@\t\r\n\uFF1D\uFF0B\uFF0D\uFF20]"
"""Text that spreadsheets run as a formula (https://owasp.org/www-community/attacks/CSV_Injection), also in full-width
characters; or that looks like such text made harmless, so that taking one apostrophe away always gives the value."""


@dataclass(frozen=True)
class Rows:
    """Rows to write: a name for the file, the rows, the columns by which they are ordered, and notes for the reader."""

    name: str
    frame: DataFrame
    key: tuple[str, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Exported:
    """What an export wrote or, in a dry run, would write.

    Attributes:
        uri: the CSV file, or the folder of Parquet files.
        rows: number of rows.
        bytes: bytes written; in a dry run, bytes of the table's own files.
        notes: what a reader of the export must know.
    """

    uri: str
    rows: int
    bytes: int
    notes: tuple[str, ...]


def check(settings: config.ExportConfig) -> None:
    """Checks that ``export.table`` can name a table.

    Raises:
        ConfigError: it can't; the message names the nearest known table.
    """
    if settings.table not in TABLES and not _TRAINING_SET.fullmatch(settings.table):
        nearest = difflib.get_close_matches(settings.table, [*TABLES, "submission"], n=1, cutoff=0.0)[0]
        raise ConfigError(
            f"export.table={settings.table}: no such table; did you mean {nearest}? Known: {', '.join(TABLES)}, "
            "training_sets/<set_id>, submission"
        )


def read(tables: Tables, settings: config.ExportConfig) -> Rows:
    """The rows of the table at the version that the settings name.

    Raises:
        TableError: there is no such table or version.
    """
    check(settings)
    table, folder = (TABLES[settings.table], None) if settings.table in TABLES else (TRAINING_SET, settings.table)
    newest = tables.version(table, folder)
    if newest is None:
        raise TableError(f"{tables.uri(table, folder)}: the table does not exist yet; run the job that writes it")
    version = newest if settings.version is None else settings.version
    if version > newest:
        raise TableError(f"{tables.uri(table, folder)}: there is no version {version}; the newest is {newest}")
    name = settings.table.replace("/", "-") + ("" if settings.version is None else f"-v{version}")
    return Rows(name, tables.read(table, version, folder), table.key)


def write(
    tables: Tables, storage: Storage, rows: Rows, kind: Literal["parquet", "csv"], to: str, dry_run: bool = False
) -> Exported:
    """Writes rows as Parquet or CSV, and replaces what has the same name.

    Parquet is a folder with all columns.  CSV is one file, ordered by the key, without binary columns and with lists
    and maps as JSON; it passes through the memory of the driver.  In a CSV, text that a spreadsheet would run as a
    formula gets a leading apostrophe, because names come from outside.

    Args:
        tables: its root holds the staging folder of a CSV.
        storage: holds ``to``.
        rows: from :func:`read`, or a submission.
        kind: parquet or csv.
        to: URI of a folder, or of the result, ending in .csv or .parquet.
        dry_run: counts rows and writes nothing.

    Raises:
        CountError: rows written and rows read differ.
    """
    target = to if to.endswith(f".{kind}") else uris.join(to, f"{rows.name}.{kind}")
    frame, notes = rows.frame, rows.notes
    if kind == "csv":
        frame, left_out = _flat(frame)
        if left_out:
            notes = (*notes, f"binary columns left out: {', '.join(left_out)} (Parquet holds them)")
        frame, count, escaped = _harmless(frame)
        if escaped:
            notes = (
                *notes,
                f"{escaped:,} values begin with = + - @ or a control character and got a leading apostrophe, because "
                "spreadsheets would run them as formulas (Parquet holds them unchanged)",
            )
    else:
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
        raise CountError(f"{target}: {count} rows were read, but {written} were written; export again")
    return Exported(target, count, size, notes)


def _flat(rows: DataFrame) -> tuple[DataFrame, list[str]]:
    """The columns that fit a CSV, lists and maps as JSON, and the names of the binary ones, which do not."""
    binary = [field.name for field in rows.schema if isinstance(field.dataType, BinaryType)]
    columns = [
        F.to_json(field.name).alias(field.name)
        if isinstance(field.dataType, ArrayType | MapType | StructType)
        else F.col(field.name)
        for field in rows.schema
        if field.name not in binary
    ]
    return rows.select(columns), binary


def _harmless(rows: DataFrame) -> tuple[DataFrame, int, int]:
    """The rows with an apostrophe before text that is a formula, the number of rows, and of such values."""
    texts = {field.name: F.col(field.name).rlike(_FORMULA) for field in rows.schema if field.dataType == StringType()}
    counted = rows.agg(F.count(F.lit(1)).alias("rows"), *(F.count_if(is_formula) for is_formula in texts.values()))
    (count, *formulas) = counted.first() or (0,)
    columns = {
        name: F.when(is_formula, F.concat(F.lit("'"), name)).otherwise(F.col(name))
        for name, is_formula in texts.items()
    }
    return rows.withColumns(columns), count, sum(formulas)


def _write_csv(
    tables: Tables, storage: Storage, rows: DataFrame, order: tuple[str, ...], target: str
) -> tuple[int, int]:
    """Writes one part file to a staging folder, then the target whole; returns its bytes and rows."""
    with tables.staging_folder("export") as staging:
        ordered = rows.repartition(1).sortWithinPartitions(*order)
        ordered.write.options(**_CSV).csv(for_jvm(staging))
        parts = [entry.uri for entry in storage.list_files(staging) if entry.uri.endswith(".csv")]
        # Without rows Spark writes no part, and so no header.
        content = b"".join(storage.read(uri) for uri in parts) or (",".join(rows.columns) + "\n").encode()
    storage.write(target, content)
    return len(content), _csv_rows(content)


def _csv_rows(content: bytes) -> int:
    """Rows without the header: counts the lines after which all quotes are closed."""
    quotes = rows = 0
    for line in io.BytesIO(content):
        quotes += line.count(b'"')
        rows += quotes % 2 == 0
    return rows - 1


def _stored_bytes(storage: Storage, rows: DataFrame) -> int:
    """Bytes of the files that a DataFrame of Delta tables reads."""
    return sum(storage.stat(from_jvm(uri)).size for uri in rows.inputFiles())
