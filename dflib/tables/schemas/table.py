"""What a table is, and the types of its columns.  Times are UTC."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.pandas.types import from_arrow_schema
from pyspark.sql.types import StructType


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        name: its name and its folder below the root.
        comment: what a row is.
        key: columns that identify a row.
        schema: columns with types, nullability and comments.
        volatile: columns that record when or by which run a row was made; a difference in these alone is no change.
        former: earlier names of columns, by their present name.  A table that was written under an earlier name keeps
            that column beside the present one, and both are filled.
        constraints: SQL conditions by name that Delta checks for every row that is written; a condition that is null is
            violated.  A table of an earlier version gets those that it lacks by ``maintain``.
    """

    name: str
    comment: str
    key: tuple[str, ...]
    schema: pa.Schema
    volatile: tuple[str, ...] = ()
    former: Mapping[str, str] = field(default_factory=dict)
    constraints: Mapping[str, str] = field(default_factory=dict)

    def spark_schema(self) -> StructType:
        """The same schema for Spark, with nullability."""
        return from_arrow_schema(self.schema)

    def frame(self, spark: SparkSession, rows: Iterable[Mapping[str, Any]] = ()) -> DataFrame:
        """Rows of the driver as a DataFrame; columns that a row lacks are null.

        Passed as Arrow, they become part of the plan.  As Python rows they would be a scan of an RDD, which starts
        Python workers each time that it is read.
        """
        return spark.createDataFrame(pa.Table.from_pylist(list(rows), self.schema), self.spark_schema())

    @property
    def comments(self) -> dict[str, str]:
        """Comments by column name."""
        return {column.name: (column.metadata or {}).get(b"comment", b"").decode() for column in self.schema}


def column(name: str, kind: pa.DataType, comment: str, null: bool = True) -> pa.Field:
    """A column; every one has a comment."""
    return pa.field(name, kind, nullable=null, metadata={"comment": comment})


TEXTS = pa.list_(pa.string())
TIME = pa.timestamp("us", tz="UTC")
