"""A step: one unit of work on the tables, such as extract. Jobs run one or several of them."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from pyspark.sql import SparkSession

import dflib
from dflib.config import Config
from dflib.runtime.progress import Progress
from dflib.storage import Storage
from dflib.tables.store import Tables


@dataclass(frozen=True)
class Context:
    """What a running step works with."""

    run_id: str
    config: Config
    spark: SparkSession
    storage: Storage
    tables: Tables
    progress: Progress
    dry_run: bool
    code_version: str = dflib.__version__


@dataclass(frozen=True)
class Summary:
    """The result of a step, for the terminal and the run record.

    Attributes:
        line: one line without the step's name.
        counts: the same as numbers; ``retries`` are those of its tasks, the driver's are added by the runner.
        text: printed above the line, such as a table; may be empty.
    """

    line: str
    counts: dict[str, Any] = field(default_factory=dict)
    text: str = ""


def accept(config: Config) -> None:
    """The check of steps that can use any valid configuration."""


@dataclass(frozen=True)
class Step:
    """What the runner needs to know about a step.

    Attributes:
        name: also the first word of its run identifiers.
        run: does the work; changes nothing when ``Context.dry_run`` is set.
        check: raises :class:`dflib.errors.ConfigError` when the step can't use a configuration; called before Spark
            starts.
        recorded: whether a run leaves a record; false for steps that only read.
        exclusive: whether a second run on the same tables is refused; for steps that delete leftovers of a killed
            run, which a concurrent run might be writing.
        creates_metastore: whether the step makes a metastore of an empty PostgreSQL database, and registers the
            tables itself.
    """

    name: str
    run: Callable[[Context], Summary]
    check: Callable[[Config], None] = accept
    recorded: bool = True
    exclusive: bool = False
    creates_metastore: bool = False
