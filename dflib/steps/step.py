"""A step: one unit of work on the tables, such as extract; and a job, which runs one or several of them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pyspark.sql import SparkSession

import dflib
from dflib.config import Config
from dflib.runtime.progress import Progress
from dflib.storage import Storage
from dflib.tables.schemas import Table
from dflib.tables.store import Tables


@dataclass(frozen=True)
class Context:
    """What a running step works with.

    Attributes:
        submitted_by: user and machine that submitted the job.
        versions_before: version of each table when the step, or the job as a whole, began.
        failed_steps: steps of the same job that failed before.
    """

    run_id: str
    config: Config
    spark: SparkSession
    storage: Storage
    tables: Tables
    progress: Progress
    dry_run: bool
    code_version: str = dflib.__version__
    submitted_by: str = "unknown"
    versions_before: Mapping[str, int] = field(default_factory=dict)
    failed_steps: tuple[str, ...] = ()


@dataclass(frozen=True)
class Summary:
    """The result of a step, for the terminal and the run record.

    Attributes:
        line: one line without the step's name.
        counts: the same as numbers; ``retries`` are those of its tasks, the driver's are added by the runner.
        text: printed above the line, such as a table; may be empty.
        attention: what somebody should look at, although nothing failed.
        failed: why the job failed although it has a summary; empty when it did not.
        remaining: units of work that the next run would do although nothing else has changed, such as retries.
    """

    line: str
    counts: dict[str, Any] = field(default_factory=dict)
    text: str = ""
    attention: tuple[str, ...] = ()
    failed: str = ""
    remaining: int = 0


def accept(config: Config) -> None:
    """The check of steps that can use any valid configuration."""


@dataclass(frozen=True)
class Argument:
    """A command-line argument of one job: a short way of setting a configuration key.

    Attributes:
        name: such as ``MODEL`` for a positional argument, or ``--as`` for an option.
        key: the configuration key that it sets, such as ``promote.model``.
        help: for ``--help``.
        required: whether the job can't run without it.
        is_flag: whether it takes no value and sets its key to true.
        is_list: whether it takes one value or several; a positional one then is the last.
        also: further keys that it sets to the same value.
    """

    name: str
    key: str
    help: str
    required: bool = True
    is_flag: bool = False
    is_list: bool = False
    also: tuple[str, ...] = ()

    @property
    def is_option(self) -> bool:
        return self.name.startswith("--")

    @property
    def metavar(self) -> str:
        """Stands for the value in the usage."""
        return self.key.rpartition(".")[2].upper() if self.is_option else self.name

    @property
    def usage(self) -> str:
        text = f"{self.name} {self.metavar}" if self.is_option and not self.is_flag else self.name
        text += " …" if self.is_list else ""
        return text if self.required else f"[{text}]"


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
            run, which a concurrent run might be writing, and those during which no other job may write their tables.
        not_beside: other exclusive jobs that may not run meanwhile.
        needs_tables: whether there is nothing that the step could do without tables; for all that don't make the first.
        reads, writes: tables whose content decides what the step has to do.
        settings: sections of the configuration that do, or keys as ``section.key``.
        arguments: those of its command line, beside the options of all jobs.
        creates_metastore: whether the step makes a metastore of an empty PostgreSQL database, and registers the
            tables itself.
    """

    name: str
    run: Callable[[Context], Summary]
    check: Callable[[Config], None] = accept
    recorded: bool = True
    exclusive: bool = False
    not_beside: tuple[str, ...] = ()
    creates_metastore: bool = False
    needs_tables: bool = False
    arguments: tuple[Argument, ...] = ()
    reads: tuple[Table, ...] = ()
    writes: tuple[Table, ...] = ()
    settings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """How a step of a job ended.

    Attributes:
        step: its name.
        run_id: of its run record; None when it was skipped.
        summary: of a step that is done.
        error: why it failed; None when it did not.
    """

    step: str
    run_id: str | None = None
    summary: Summary | None = None
    error: str | None = None


@dataclass(frozen=True)
class Job:
    """Steps that run one after another in one Spark application.

    Attributes:
        name: for messages, run records and the command line.
        steps: in order.
        keep_going: whether later steps run after one that failed.
        skip_unchanged: whether a step is skipped when what it reads is as it was at the end of its last run.
        exclusive: whether a second run of the job on the same tables is refused.
        check: as in :class:`Step`, of the job as a whole.
        conclude: the job's own summary, from the outcomes of its steps; default: which steps are done.
        arguments: those of its command line, beside those of its steps.
    """

    name: str
    steps: tuple[Step, ...]
    keep_going: bool = False
    skip_unchanged: bool = False
    exclusive: bool = False
    check: Callable[[Config], None] = accept
    conclude: Callable[[Context, Sequence[Outcome]], Summary] | None = None
    arguments: tuple[Argument, ...] = ()

    @property
    def all_arguments(self) -> tuple[Argument, ...]:
        return (*self.arguments, *(argument for step in self.steps for argument in step.arguments))

    @property
    def creates_metastore(self) -> bool:
        return any(step.creates_metastore for step in self.steps)

    def check_all(self, config: Config) -> None:
        """Raises :class:`dflib.errors.ConfigError` when the job can't use a configuration."""
        self.check(config)
        for step in self.steps:
            step.check(config)
