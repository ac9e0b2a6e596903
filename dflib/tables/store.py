"""Delta tables below one root, read and written by path.

All writes are repeatable: run twice, the second changes nothing and makes no new version.  Readers may be many.
Of two jobs that write to one table at once, Delta lets the second fail where they touch the same files; on S3 the
second waits for the first (:mod:`dflib.tables.write_locks`).  Each stages its rows in folders of its own.
"""

import contextlib
import functools
import glob
import logging
import operator
import re
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from delta import DeltaTable
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StructField

from dflib import uris
from dflib.errors import CountError, TableError
from dflib.storage import Storage, for_jvm
from dflib.tables.schemas import TABLES, Table
from dflib.tables.sql import quoted
from dflib.tables.write_locks import WriteLocks

log = logging.getLogger(__name__)

STAGING_KEPT = timedelta(days=7)
"""Age at which a staging folder is what a killed run left.  One that is in use lives for a wave of extract, or for one
scoring: hours, and days where everything is slow.  Age is told by the folder's name, which works on S3 and across
machines, where neither processes nor clocks of files can be asked."""
_STAMP = "%Y%m%dT%H%M%SZ"
_STAMPED = re.compile(r"\d{8}T\d{6}Z-")


class Tables:
    """The tables below ``root`` (a ``file://`` or ``s3://`` URI).

    Args:
        owner: who writes, such as the id of a run; told to others that wait.
    """

    def __init__(self, spark: SparkSession, root: str, storage: Storage, owner: str | None = None) -> None:
        self.spark = spark
        self.root = root
        self.storage = storage
        self.locks = WriteLocks(spark, root, storage, owner)
        self._swept = False

    def uri(self, table: Table, folder: str | None = None) -> str:
        """Where a table lies; ``folder`` for those of which there are many, such as training sets."""
        return uris.join(self.root, folder or table.name)

    def exists(self, table: Table, folder: str | None = None) -> bool:
        """Whether the table has been made."""
        return self.version(table, folder) is not None

    def version(self, table: Table, folder: str | None = None) -> int | None:
        """Newest version, or None when the table has not been made."""
        log_folder = uris.join(self.uri(table, folder), "_delta_log")
        versions = [
            int(name.removesuffix(".json"))
            for name in (uris.name(entry.uri) for entry in self.storage.list_files(log_folder))
            if name.endswith(".json") and name.removesuffix(".json").isdigit()
        ]
        return max(versions, default=None)

    def read(self, table: Table, version: int | None = None, folder: str | None = None) -> DataFrame:
        """The rows of a table, at a version if given; no rows when it has not been made.

        Columns that an older version of the table lacks are null.

        Raises:
            TableError: a version was asked of a table that does not exist.
        """
        if not self.exists(table, folder):
            if version is not None:
                raise TableError(f"{self.uri(table, folder)}: there is no such table, so no version {version} of it")
            return self.spark.createDataFrame([], table.spark_schema())
        reader = self.spark.read.format("delta")
        if version is not None:
            reader = reader.option("versionAsOf", version)
        rows = reader.load(for_jvm(self.uri(table, folder)))
        lacking = {column.name: column.dataType for column in table.spark_schema() if column.name not in rows.columns}
        return rows.withColumns({name: F.lit(None).cast(kind) for name, kind in lacking.items()}) if lacking else rows

    def create(self, table: Table, folder: str | None = None) -> None:
        """Makes the table when it is not there: NOT NULL on what the schema says, column comments included.

        A table of an older version gets the columns that it lacks; they are null in its rows.
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
        with self._alone(table, folder):
            builder.execute()

    def _add_columns(self, table: Table, folder: str | None) -> None:
        path = for_jvm(self.uri(table, folder))

        def lacking() -> list[StructField]:
            present = set(self.spark.read.format("delta").load(path).columns)
            return [column for column in table.spark_schema() if column.name not in present]

        if lacking():
            with self._alone(table, folder):
                columns = lacking()  # another may have added them while this one waited
                if columns:
                    log.info("adding the columns %s to %s", ", ".join(column.name for column in columns), path)
                    told = ", ".join(
                        f"`{one.name}` {one.dataType.simpleString()} COMMENT {quoted(table.comments[one.name])}"
                        for one in columns
                    )
                    self.spark.sql(f"ALTER TABLE delta.`{path}` ADD COLUMNS ({told})")

    def insert_new(self, table: Table, rows: DataFrame, folder: str | None = None) -> int:
        """Adds the rows whose key is not there yet, and returns how many. No rows, no new version.

        ``rows`` is read twice: give it staged (:meth:`stage`) or otherwise cheap.

        Raises:
            CountError: ``rows`` holds a key twice.
        """
        self.create(table, folder)
        keys = list(table.key)
        new = self._conform(table, rows).join(self.read(table, folder=folder).select(keys), keys, "left_anti")
        counted = new.agg(F.count(F.lit(1)).alias("rows"), F.countDistinct(*keys).alias("keys")).first()
        assert counted is not None
        if counted["rows"] != counted["keys"]:
            raise CountError(
                f"{self.uri(table, folder)}: {counted['rows'] - counted['keys']} of {counted['rows']} new rows repeat "
                f"a key ({', '.join(keys)}); nothing was written"
            )
        if counted["rows"] == 0:
            return 0
        with self._alone(table, folder):
            self._merge(table, self._conform(table, rows), folder).whenNotMatchedInsertAll().execute()
        return int(counted["rows"])

    def write_once(self, table: Table, rows: DataFrame, folder: str | None = None) -> int:
        """Fills a table that is never changed afterwards, in one commit, and returns its version.

        Partitions and the order of rows are kept as they are, which a MERGE does not promise.  A table that
        holds rows already stays as it is.
        """
        self.create(table, folder)
        if self.read(table, folder=folder).isEmpty():
            with self._alone(table, folder):
                if self.read(table, folder=folder).isEmpty():  # another may have filled it while this one waited
                    target = for_jvm(self.uri(table, folder))
                    self._conform(table, rows).write.format("delta").mode("append").save(target)
        version = self.version(table, folder)
        assert version is not None
        return version

    def upsert(self, table: Table, rows: DataFrame, folder: str | None = None) -> int:
        """Adds new rows and replaces those that truly differ; returns how many. For small tables.

        A difference in the table's volatile columns alone is none.

        Raises:
            CountError: ``rows`` holds a key twice.
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
            counted = staged.agg(F.count(F.lit(1)).alias("rows"), F.countDistinct(*keys).alias("keys")).first()
            assert counted is not None
            if counted["rows"] != counted["keys"]:
                raise CountError(
                    f"{self.uri(table, folder)}: {counted['rows'] - counted['keys']} of {counted['rows']} rows repeat "
                    f"a key ({', '.join(keys)}); nothing was written"
                )
            if counted["rows"] == 0:
                return 0
            with self._alone(table, folder):
                merge = self._merge(table, staged, folder)
                merge.whenMatchedUpdateAll().whenNotMatchedInsertAll().execute()
            return int(counted["rows"])

    def delete_videos(self, table: Table, video_ids: DataFrame, extractor: str | None = None) -> None:
        """Deletes the rows of these videos (a frame with the column ``video_id``), of one extractor if given."""
        if self.exists(table):
            target = DeltaTable.forPath(self.spark, for_jvm(self.uri(table)))
            condition = F.col("t.video_id") == F.col("s.video_id")
            if extractor is not None:
                condition &= F.col("t.extractor") == extractor
            with self._alone(table):
                target.alias("t").merge(video_ids.distinct().alias("s"), condition).whenMatchedDelete().execute()

    @contextlib.contextmanager
    def stage(self, rows: DataFrame, name: str) -> Iterator[DataFrame]:
        """Writes ``rows`` once to Parquet below ``<root>/_staging`` and gives them back, cheap to read again.

        Each further action on the result of ``mapInArrow`` would compute all of it again.
        """
        with self.aside(name) as uri:
            rows.write.parquet(for_jvm(uri))
            yield self.spark.read.schema(rows.schema).parquet(for_jvm(uri))

    @contextlib.contextmanager
    def aside(self, name: str) -> Iterator[str]:
        """URI of a folder below ``<root>/_staging`` that is nobody else's; it goes when the block ends.

        What killed runs left there is cleared after :data:`STAGING_KEPT`.
        """
        folder, now = uris.join(self.root, "_staging"), datetime.now(UTC)
        if not self._swept:
            self._swept = True
            self._sweep(folder, (now - STAGING_KEPT).strftime(_STAMP))
        uri = uris.join(folder, f"{now.strftime(_STAMP)}-{name}-{uuid.uuid4().hex}")
        try:
            yield uri
        finally:
            self.storage.delete_folder(uri)

    def _sweep(self, folder: str, before: str) -> None:
        for uri in self.storage.glob(uris.join(glob.escape(folder), "*")):
            if _STAMPED.match(uris.name(uri)) and uris.name(uri) < before:
                log.info("clearing %s, which a killed run left", uri)
                self.storage.delete_folder(uri)

    def versions(self) -> dict[str, int]:
        """Newest version of each table that exists."""
        found = {name: self.version(table) for name, table in TABLES.items()}
        return {name: version for name, version in found.items() if version is not None}

    def _alone(self, table: Table, folder: str | None = None) -> contextlib.AbstractContextManager[None]:
        return self.locks.commit(folder or table.name, lambda: self.version(table, folder))

    def _conform(self, table: Table, rows: DataFrame) -> DataFrame:
        """The table's columns in its order and types; a missing or surplus column is an error."""
        wanted, given = set(table.schema.names), set(rows.columns)
        if wanted != given:
            raise TableError(
                f"rows for {table.name}: missing columns {sorted(wanted - given)}, "
                f"unknown columns {sorted(given - wanted)}"
            )
        return rows.select([F.col(field.name).cast(field.dataType) for field in table.spark_schema()])

    def _merge(self, table: Table, rows: DataFrame, folder: str | None) -> Any:
        target = DeltaTable.forPath(self.spark, for_jvm(self.uri(table, folder)))
        condition = " AND ".join(f"t.{key} = s.{key}" for key in table.key)
        return target.alias("t").merge(rows.alias("s"), condition)
