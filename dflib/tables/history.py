"""Earlier versions of tables: what they occupy, and how they are removed."""

import contextlib
import logging
import re
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime

from delta import DeltaTable
from pyspark.sql import SparkSession

from dflib import uris
from dflib.storage import for_jvm, from_jvm, local_path
from dflib.tables.schemas import TABLES, TRAINING_SET, Table
from dflib.tables.store import Tables

log = logging.getLogger(__name__)

THREADS = 8
"""Files that are deleted concurrently."""
TRAINING_SETS = "training_sets"
"""Folder of the training sets below the root, one folder each."""
_VACUUM = {
    # forget keeps no earlier version at all; maintain keeps at least seven days.
    "spark.databricks.delta.retentionDurationCheck.enabled": "false",
}
_OF_LOG = re.compile(r"(\d{20})\.")


@dataclass(frozen=True)
class Place:
    """A table and its folder below the root; None: that of its name."""

    table: Table
    folder: str | None = None

    @property
    def name(self) -> str:
        return self.folder or self.table.name


def places(tables: Tables) -> list[Place]:
    """All tables that exist, the training sets last."""
    found = [Place(table) for table in TABLES.values() if tables.exists(table)]
    root = uris.join(tables.root, TRAINING_SETS)
    logs = {entry.uri for entry in tables.storage.list_files(root) if "/_delta_log/" in entry.uri}
    sets = sorted({uri.removeprefix(root + "/").partition("/")[0] for uri in logs})
    return found + [Place(TRAINING_SET, f"{TRAINING_SETS}/{name}") for name in sets]


def unused_files(tables: Tables, place: Place, keep_days: float) -> dict[str, int]:
    """Bytes of each file that only versions older than ``keep_days`` use, or none, by URI; VACUUM would delete them."""
    uri = tables.uri(place.table, place.folder)
    with _settings(tables.spark, _VACUUM):
        rows = tables.spark.sql(f"VACUUM delta.`{for_jvm(uri)}` RETAIN {keep_days * 24:.6f} HOURS DRY RUN").collect()
    sizes = {entry.uri: entry.size for entry in tables.storage.list_files(uri)}
    found = {_uri_below(uri, row["path"]) for row in rows}
    return {name: sizes[name] for name in sorted(found) if name in sizes}


def vacuum(tables: Tables, place: Place, keep_days: float) -> None:
    """Deletes the files that only versions older than ``keep_days`` use, or none.

    As VACUUM does, which prints to the terminal of a job.
    """
    delete(tables, unused_files(tables, place, keep_days))


def delete(tables: Tables, files: Iterable[str]) -> None:
    """Deletes files, several at a time, and on a disk the checksums that Hadoop keeps beside them."""

    def remove(uri: str) -> None:
        tables.storage.delete(uri)
        if local_path(uri) is not None:
            folder, _, name = uri.rpartition("/")
            tables.storage.delete(f"{folder}/.{name}.crc")

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(remove, files))


def purge(tables: Tables, place: Place) -> None:
    """Removes all versions but the newest for good: files that it does not use, and the log of earlier ones.

    The log has the smallest and largest ids of each file, so deleted rows can be read there, too.  Nobody else may
    write to the table meanwhile: files that are not committed yet are deleted.  A table that has no earlier version is
    left alone.
    """
    spark, uri = tables.spark, tables.uri(place.table, place.folder)
    folder = uris.join(uri, "_delta_log")
    if not _older_entries(tables, folder, tables.version(place.table, place.folder)):
        return
    vacuum(tables, place, 0)
    # A commit without files: the newest log entry must not list those that were just removed.
    now = datetime.now(UTC).isoformat()
    sql = f"ALTER TABLE delta.`{for_jvm(uri)}` SET TBLPROPERTIES ('dflib.purgedAt' = '{now}')"
    tables.commit(place.table, place.folder, lambda: spark.sql(sql))
    newest = tables.version(place.table, place.folder)
    assert newest is not None and spark._jvm is not None
    # Delta's Python API has no checkpoint.
    delta_log = spark._jvm.org.apache.spark.sql.delta.DeltaLog.forTable(spark._jsparkSession, for_jvm(uri))
    delta_log.checkpoint()
    delete(tables, _older_entries(tables, folder, newest))
    log.info("%s: only version %d is left", uri, newest)


def _older_entries(tables: Tables, folder: str, newest: int | None) -> list[str]:
    """URIs of the log entries of earlier versions."""
    names = {entry.uri: _OF_LOG.match(uris.name(entry.uri)) for entry in tables.storage.list_files(folder)}
    return [uri for uri, found in names.items() if found and newest is not None and int(found[1]) < newest]


@contextlib.contextmanager
def _settings(spark: SparkSession, settings: dict[str, str]) -> Iterator[None]:
    before = {key: spark.conf.get(key, None) for key in settings}
    try:
        for key, value in settings.items():
            spark.conf.set(key, value)
        yield
    finally:
        for key, old in before.items():
            if old is None:
                spark.conf.unset(key)
            else:
                spark.conf.set(key, old)


def _uri_below(uri: str, path: str) -> str:
    """The URI of a file as storage names it, from what Delta prints: a path of the JVM, or one below the table."""
    return from_jvm(path) if ":" in path.partition("/")[0] else uris.join(uri, path)


SMALL_FILE = 96 << 20
"""Bytes below which OPTIMIZE joins a file with others."""
LARGE_FILE = 128 << 20
"""Bytes of a file that OPTIMIZE writes, at most; its row groups have parquet.block.size as all others."""
MIN_SMALL_FILES = 16
"""Files below which a table is left as it is: every commit makes some, and joining them rewrites their rows."""


def small_files(tables: Tables, place: Place) -> int:
    """Files of the newest version that OPTIMIZE would join; 0 when they are too few, or the table is a training set."""
    if place.table is TRAINING_SET:
        return 0  # its order of rows and files is that of its training
    sizes = [tables.storage.stat(from_jvm(uri)).size for uri in tables.read(place.table).inputFiles()]
    small = sum(size < SMALL_FILE for size in sizes)
    return small if small >= MIN_SMALL_FILES else 0


def join_files(tables: Tables, place: Place) -> None:
    """Joins small files of the newest version; the rows stay the same."""
    settings = {
        "spark.databricks.delta.optimize.minFileSize": str(SMALL_FILE),
        "spark.databricks.delta.optimize.maxFileSize": str(LARGE_FILE),
    }
    target = DeltaTable.forPath(tables.spark, for_jvm(tables.uri(place.table, place.folder)))
    with _settings(tables.spark, settings):
        # Not clustered by video: scores of the whole challenge fit one file, and faces are written by video.
        tables.commit(place.table, place.folder, lambda: target.optimize().executeCompaction())
