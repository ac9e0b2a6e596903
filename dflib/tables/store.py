"""Delta tables below one root, read and written by path.

All writes are repeatable: run twice, the second changes nothing and makes no new version.  Readers may be many.  Where
two jobs write to one table at once, Delta refuses the second commit if both touch the same files, and it is made again
(:mod:`dflib.tables.conflicts`); on S3 the second waits for the first (:mod:`dflib.tables.write_locks`).  Each job
stages its rows in its own folders.
"""

import contextlib
import functools
import glob
import json
import logging
import operator
import re
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from delta import DeltaTable
from py4j.protocol import Py4JJavaError
from pyspark.errors import AnalysisException, PySparkException
from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StructField

from dflib import uris
from dflib.errors import CountError, MissingError, StorageError, TableError
from dflib.storage import Storage, for_jvm
from dflib.tables import conflicts
from dflib.tables.schemas import TABLES, Table
from dflib.tables.sql import quoted
from dflib.tables.write_locks import WriteLocks

log = logging.getLogger(__name__)

Result = TypeVar("Result")
STAGING_KEPT = timedelta(days=7)
"""Age at which a staging folder counts as a leftover of a killed run.  A folder in use lives for one wave of extract or
one scoring: hours, or days where everything is slow.  The age is in the folder's name, which works on S3 and across
machines, where neither processes nor file times can be checked."""
_STAMP = "%Y%m%dT%H%M%SZ"
_STAMPED = re.compile(r"\d{8}T\d{6}Z-")


class Tables:
    """The tables below ``root``.

    Args:
        root: URI of the folder that holds them.
        owner: the writer, such as the id of a run; named to others that wait for a lock.

    Attributes:
        locks: locks of this writer.
    """

    def __init__(self, spark: SparkSession, root: str, storage: Storage, owner: str | None = None) -> None:
        self.spark = spark
        self.root = root
        self.storage = storage
        self.locks = WriteLocks(spark, root, storage, owner)
        self._swept = False
        self._seen: dict[str, int] = {}

    def uri(self, table: Table, folder: str | None = None) -> str:
        """URI of a table.

        Args:
            folder: its folder below the root where that is not its name, such as that of one training set.
        """
        return uris.join(self.root, folder or table.name)

    def exists(self, table: Table, folder: str | None = None) -> bool:
        """Whether the table exists."""
        return self.version(table, folder) is not None

    def version(self, table: Table, folder: str | None = None) -> int | None:
        """Newest version, commits of other processes included; None when the table does not exist.

        Lists the log from the version that was newest when this object last looked, or else from the last checkpoint:
        one request, or two the first time, however long the log is.  Delta's own answers cost more: on S3,
        ``DeltaLog.update`` takes 3 requests and lists the whole log, ``DeltaTable.history(1)`` 15 requests and 1 s.
        """
        log_folder = uris.join(self.uri(table, folder), "_delta_log")
        seen = self._seen.get(log_folder)
        newest = None if seen is None else self._newest(log_folder, seen)
        if newest is None:  # not looked before, or the table was deleted
            checkpoint = self._last_checkpoint(log_folder)
            newest = None if checkpoint is None else self._newest(log_folder, checkpoint)
        if newest is None:
            newest = self._newest(log_folder, 0)
        if newest is None:
            self._seen.pop(log_folder, None)
        else:
            self._seen[log_folder] = newest
        return newest

    def _newest(self, log_folder: str, first: int) -> int | None:
        """Newest version in a log from ``first`` on."""
        after = uris.join(log_folder, f"{first - 1:020d}.json") if first > 0 else None
        names = (uris.name(entry.uri) for entry in self.storage.list_files(log_folder, after))
        stems = (name.removesuffix(".json") for name in names if name.endswith(".json"))
        return max((int(stem) for stem in stems if stem.isdigit()), default=None)

    def _last_checkpoint(self, log_folder: str) -> int | None:
        try:
            return int(json.loads(self.storage.read(uris.join(log_folder, "_last_checkpoint")))["version"])
        except MissingError:
            return None
        except (ValueError, KeyError, TypeError):  # half written: Delta ignores such a file, too
            return None

    def versions(self) -> dict[str, int]:
        """Newest version of each table that exists."""
        found = {name: self.version(table) for name, table in TABLES.items()}
        return {name: version for name, version in found.items() if version is not None}

    def read(self, table: Table, version: int | None = None, folder: str | None = None) -> DataFrame:
        """The rows of a table; no rows when it does not exist.

        A column that the table has under an earlier name gets its present one; other columns that it lacks are null.

        Args:
            version: an earlier version of the table.

        Raises:
            TableError: a version was requested that the table does not have, or of a table that does not exist.
        """
        if not self.exists(table, folder):
            if version is not None:
                raise TableError(f"{self.uri(table, folder)}: there is no such table, so no version {version} of it")
            return table.frame(self.spark)
        try:
            return _present_names(table, self._load(table, folder, version))
        except AnalysisException as error:
            if version is None:
                raise
            reason = str(error).partition("\n")[0]
            raise TableError(
                f"{self.uri(table, folder)}: version {version} can't be read: {reason} Earlier versions are removed by "
                "maintain after maintain.keep_days, and by forget at once"
            ) from None

    def create(self, table: Table, folder: str | None = None) -> None:
        """Creates the table unless it exists, with NOT NULL and comments as in its schema.

        A table written by an earlier version of dflib gets the columns that it lacks, which are null in its rows.

        Raises:
            TableError: its folder has other files.
        """
        if self.exists(table, folder):
            self._add_columns(table, folder)
            return
        builder = (
            DeltaTable.createIfNotExists(self.spark)
            .location(for_jvm(self.uri(table, folder)))
            .comment(table.comment)
            .property("delta.logRetentionDuration", "interval 365 days")
        )
        for column in table.spark_schema():
            builder = builder.addColumn(
                column.name, column.dataType, nullable=column.nullable, comment=table.comments[column.name]
            )
        for name, condition in table.constraints.items():
            builder = builder.property(f"delta.constraints.{name}", condition)

        def build() -> None:
            if self.exists(table, folder):  # another writer created it while this one waited
                return
            try:
                builder.execute()
            except AnalysisException as error:
                # Delta refuses a folder with files and no commit, also where another writer makes the first just now.
                if not conflicts.comes_true(lambda: self.exists(table, folder)):
                    reason = str(error).partition("\n")[0]
                    raise TableError(
                        f"{self.uri(table, folder)}: the table can't be created: {reason} If a killed job left the "
                        "folder without a table, delete it; otherwise set tables.root to another folder"
                    ) from None

        self.commit(table, folder, build)

    def missing_constraints(self, table: Table, folder: str | None = None) -> dict[str, str]:
        """The constraints of the schema that the table, of an earlier version of dflib, lacks."""
        path = for_jvm(self.uri(table, folder))
        rows = self.spark.sql(f"SHOW TBLPROPERTIES delta.`{path}`").collect()
        present = {row["key"].removeprefix("delta.constraints.") for row in rows}
        return {name: sql for name, sql in table.constraints.items() if name not in present}

    def add_constraints(self, table: Table, folder: str | None = None) -> None:
        """Adds the constraints of the schema that the table lacks; reads all of its rows.

        Raises:
            TableError: a row violates one; the table stays as it was, but for those that were added before.
        """
        path = for_jvm(self.uri(table, folder))
        for name, condition in self.missing_constraints(table, folder).items():
            try:
                sql = f"ALTER TABLE delta.`{path}` ADD CONSTRAINT {name} CHECK ({condition})"
                self.commit(table, folder, functools.partial(self.spark.sql, sql))
            except (AnalysisException, Py4JJavaError, PySparkException) as error:
                raise TableError(
                    f"{self.uri(table, folder)}: rows violate the constraint {name}, CHECK ({condition}): "
                    f"{str(error).partition(chr(10))[0]}"
                ) from None

    def insert_new(self, table: Table, rows: DataFrame, folder: str | None = None) -> int:
        """Inserts the rows whose key the table lacks; makes no version when there are none.

        Args:
            rows: the table's columns by name.  Evaluated twice: pass a staged frame (:meth:`stage`) or a cheap one.

        Returns:
            Rows that the commit inserted, as Delta counted them.

        Raises:
            CountError: new rows repeat a key; nothing was written.
            TableError: columns are missing or unknown.
        """
        self.create(table, folder)
        keys = list(table.key)
        present = _present_names(table, self._load(table, folder)).select(keys)
        new = self._conform(table, rows).join(present, keys, "left_anti")
        if self._count_unique(table, new, folder) == 0:
            return 0

        def merge() -> int:
            new_rows = self._merge(table, self._conform(table, rows), folder).whenNotMatchedInsertAll()
            return int(_committed(new_rows)["num_inserted_rows"])

        return self.commit(table, folder, merge)

    def write_once(self, table: Table, rows: DataFrame, folder: str | None = None) -> int:
        """Fills a table that never changes afterwards, in one commit, and returns its version.

        Partitions and the order of rows are kept, which a MERGE does not promise.  A table that has rows is left alone.
        """
        self.create(table, folder)

        def fill() -> None:
            if self.read(table, folder=folder).isEmpty():  # nobody filled it while this writer waited
                stored = self._stored_names(table, self._conform(table, rows), folder)
                stored.write.format("delta").mode("append").save(for_jvm(self.uri(table, folder)))

        if self.read(table, folder=folder).isEmpty():
            self.commit(table, folder, fill)
        version = self.version(table, folder)
        assert version is not None
        return version

    def upsert(self, table: Table, rows: DataFrame, folder: str | None = None) -> int:
        """Inserts new rows and replaces rows that differ in more than volatile columns.  For small tables.

        Returns:
            Rows that the commit inserted or replaced, as Delta counted them.

        Raises:
            CountError: rows repeat a key; nothing was written.
            TableError: columns are missing or unknown.
        """
        self.create(table, folder)
        keys = list(table.key)
        wanted = self._conform(table, rows)
        present = self.read(table, folder=folder)
        compared = [name for name in wanted.columns if name not in keys and name not in table.volatile]
        joined = wanted.alias("new").join(
            present.withColumn("_present", F.lit(True)).alias("old"),
            functools.reduce(operator.and_, [F.col(f"new.{key}") == F.col(f"old.{key}") for key in keys]),
            "left",
        )
        # Compared as JSON, since maps have no equality in SQL.
        new, old = (F.to_json(F.struct(*[F.col(f"{side}.{name}") for name in compared])) for side in ("new", "old"))
        changed = joined.where(F.col("old._present").isNull() | (new != old)).select("new.*")
        with self.stage(changed, f"upsert_{table.name}") as staged:
            if self._count_unique(table, staged, folder) == 0:
                return 0

            def merge() -> int:
                replaced = self._merge(table, staged, folder).whenMatchedUpdateAll().whenNotMatchedInsertAll()
                return int(_committed(replaced)["num_affected_rows"])

            return self.commit(table, folder, merge)

    def delete_matching(self, table: Table, rows: DataFrame, folder: str | None = None) -> int:
        """Deletes the rows that equal one of ``rows`` in all of its columns; makes no version when there are none.

        Args:
            rows: some of the table's columns, none of them null; may repeat.  Evaluated twice.

        Returns:
            Rows that the commit deleted, as Delta counted them.
        """
        columns = list(rows.columns)
        present = self.exists(table, folder)
        if not present or self.read(table, folder=folder).join(rows, columns, "left_semi").isEmpty():
            return 0
        target = DeltaTable.forPath(self.spark, for_jvm(self.uri(table, folder)))
        condition = " AND ".join(f"t.{column} = s.{column}" for column in columns)

        def merge() -> int:
            deleted = target.alias("t").merge(rows.distinct().alias("s"), condition).whenMatchedDelete()
            return int(_committed(deleted)["num_deleted_rows"])

        return self.commit(table, folder, merge)

    @contextlib.contextmanager
    def stage(self, rows: DataFrame, name: str) -> Iterator[DataFrame]:
        """Writes ``rows`` once, to Parquet below ``<root>/_staging``, and returns a frame that is cheap to read again.

        Without it each action on the result of ``mapInArrow`` computes all of it again.
        """
        with self.staging_folder(name) as uri:
            rows.write.parquet(for_jvm(uri))
            yield self.spark.read.schema(rows.schema).parquet(for_jvm(uri))

    @contextlib.contextmanager
    def staging_folder(self, name: str) -> Iterator[str]:
        """URI of a unique folder below ``<root>/_staging``, deleted at the end of the block.

        Leftovers of killed runs are deleted after :data:`STAGING_KEPT`.
        """
        folder, now = uris.join(self.root, "_staging"), datetime.now(UTC)
        if not self._swept:
            self._swept = True
            for uri in self.storage.glob(uris.join(glob.escape(folder), "*")):
                if _STAMPED.match(uris.name(uri)) and uris.name(uri) < (now - STAGING_KEPT).strftime(_STAMP):
                    log.info("deleting %s, a leftover of a killed run", uri)
                    self._discard(uri)
        uri = uris.join(folder, f"{now.strftime(_STAMP)}-{name}-{uuid.uuid4().hex}")
        try:
            yield uri
        finally:
            self._discard(uri)

    def _discard(self, uri: str) -> None:
        try:
            self.storage.delete_folder(uri)
        except StorageError as error:
            # What was staged is committed or failed for a reason of its own; a later run deletes the folder.
            log.warning("a staging folder is left for a later run to delete: %s", error)

    def _load(self, table: Table, folder: str | None, version: int | None = None) -> DataFrame:
        reader = self.spark.read.format("delta")
        if version is not None:
            reader = reader.option("versionAsOf", version)
        return reader.load(for_jvm(self.uri(table, folder)))

    def _add_columns(self, table: Table, folder: str | None) -> None:
        def missing() -> tuple[list[StructField], set[str]]:
            present = set(self._load(table, folder).columns)
            return [column for column in table.spark_schema() if column.name not in present], present

        def add() -> None:
            columns, present = missing()  # another writer may have added them while this one waited
            if columns:
                path = for_jvm(self.uri(table, folder))
                log.info("adding the columns %s to %s", ", ".join(column.name for column in columns), path)
                definitions = ", ".join(
                    f"`{column.name}` {column.dataType.simpleString()} "
                    f"COMMENT {quoted(_comment(table, column.name, present))}"
                    for column in columns
                )
                self.spark.sql(f"ALTER TABLE delta.`{path}` ADD COLUMNS ({definitions})")

        if missing()[0]:
            self.commit(table, folder, add)

    def commit(self, table: Table, folder: str | None, commit: Callable[[], Result]) -> Result:
        """Calls ``commit`` below the table's lock, and again where another writer came in between.

        Args:
            table: the table.
            folder: as in :meth:`uri`.
            commit: makes one commit at most, from the newest version of the table.

        Raises:
            TableError: others came in between each time; nothing was written.
        """

        def locked() -> Result:
            with self.locks.commit(folder or table.name, lambda: self.version(table, folder)):
                return commit()

        return conflicts.retried(locked, self.uri(table, folder))

    def _count_unique(self, table: Table, rows: DataFrame, folder: str | None) -> int:
        """Number of rows, each with its own key."""
        counted = rows.agg(F.count(F.lit(1)).alias("rows"), F.countDistinct(*table.key).alias("keys")).first()
        assert counted is not None
        if counted["rows"] != counted["keys"]:
            raise CountError(
                f"{self.uri(table, folder)}: {counted['rows'] - counted['keys']} of {counted['rows']} new rows repeat "
                f"a key ({', '.join(table.key)}); nothing was written"
            )
        return int(counted["rows"])

    def _conform(self, table: Table, rows: DataFrame) -> DataFrame:
        """The table's columns in its order and types."""
        wanted, found = set(table.schema.names), set(rows.columns)
        if wanted != found:
            raise TableError(
                f"rows for {table.name}: missing columns {sorted(wanted - found)}, "
                f"unknown columns {sorted(found - wanted)}"
            )
        return rows.select([F.col(field.name).cast(field.dataType) for field in table.spark_schema()])

    def _stored_names(self, table: Table, rows: DataFrame, folder: str | None) -> DataFrame:
        """``rows`` with the columns that the stored table has under earlier names, too."""
        if not table.former:
            return rows
        present = set(self._load(table, folder).columns)
        return rows.withColumns({old: F.col(new) for new, old in table.former.items() if old in present})

    def _merge(self, table: Table, rows: DataFrame, folder: str | None) -> Any:
        target = DeltaTable.forPath(self.spark, for_jvm(self.uri(table, folder)))
        condition = " AND ".join(f"t.{key} = s.{key}" for key in table.key)
        return target.alias("t").merge(self._stored_names(table, rows, folder).alias("s"), condition)


def _present_names(table: Table, rows: DataFrame) -> DataFrame:
    """Stored rows in the table's columns under their present names; columns that they lack are null."""
    changed = {}
    for column in table.spark_schema():
        names = [name for name in (column.name, table.former.get(column.name)) if name in rows.columns]
        if names != [column.name]:
            value = F.coalesce(*names) if names else F.lit(None)
            changed[column.name] = value.cast(column.dataType).alias(column.name)
    if not changed:
        return rows
    unknown = [name for name in rows.columns if name not in {*table.schema.names, *table.former.values()}]
    return rows.select([changed.get(name, F.col(name)) for name in [*table.schema.names, *unknown]])


def _comment(table: Table, name: str, present: set[str]) -> str:
    """The comment of a column that is added to a stored table."""
    old = table.former.get(name)
    if old not in present:
        return table.comments[name]
    return f"{table.comments[name]}; null in rows from before {old} was renamed: coalesce({name}, {old}) is complete"


def _committed(merge: Any) -> Row:
    """Runs a MERGE and returns Delta's counts of its commit.

    Raises:
        TableError: a row violates a constraint of the table; nothing was written.
    """
    try:
        counts: Row | None = merge.execute().first()
    except Py4JJavaError as error:
        text = str(error.java_exception.toString())
        if "DELTA_VIOLATE_CONSTRAINT" not in text:
            raise
        raise TableError(f"nothing was written: {' '.join(text.partition(': ')[2].split())[:500]}") from None
    assert counts is not None
    return counts
