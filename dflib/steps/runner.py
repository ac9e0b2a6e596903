"""Runs the steps of a job in one Spark application: run records, locks, outcome and exit code."""

import contextlib
import logging
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from pyspark.sql import SparkSession

from dflib.config import Config, Section
from dflib.errors import ConfigError, DflibError, StorageError, TableError
from dflib.runtime import failure, session
from dflib.runtime.progress import Progress, terminal
from dflib.runtime.runs import Run, heartbeat, new_run_id
from dflib.steps.step import Context, Step, Summary
from dflib.storage import Storage
from dflib.tables import names
from dflib.tables.store import Tables

log = logging.getLogger(__name__)


class Application(Section):
    """The driver's one argument. It travels with the job, so the driver needs no file of the submitting machine."""

    config: Config
    code_version: str
    dry_run: bool
    verbose: bool = False


def run(name: str, steps: Sequence[Step], application: Application) -> int:
    """Runs a job from its driver and returns the exit code: 0 done, 1 failed."""
    spark = session.build(f"dflib {name}", application.verbose)
    try:
        return run_steps(name, steps, application, spark)
    finally:
        spark.stop()


def run_steps(name: str, steps: Sequence[Step], application: Application, spark: SparkSession) -> int:
    """Runs the steps one after another and returns the exit code; a failed step ends the job.

    Each step has a run record of its own. A job of several steps also has one, the parent of theirs.

    Args:
        name: the job's name.
        steps: in order.
        application: configuration and options.
        spark: the session for all steps; it is left running.
    """
    job = _Job(name, application, spark)
    code = job.run_step(steps[0]) if len(steps) == 1 else job.run_steps(steps)
    if any(step.recorded for step in steps) and not any(step.creates_metastore for step in steps):
        job.register()
    return code


class _Job:
    """The steps of one application. Each has its own storage and tables, so that its counts and locks are its own."""

    def __init__(self, name: str, application: Application, spark: SparkSession) -> None:
        self._name = name
        self._application = application
        self._config = application.config
        self._dry_run = application.dry_run
        self._spark = spark
        self._progress = Progress(terminal())

    def run_steps(self, steps: Sequence[Step]) -> int:
        record = self._record(self._name)

        def work(storage: Storage, tables: Tables) -> Summary:
            for step in steps:
                if self.run_step(step, parent=record.run_id) != 0:
                    raise DflibError(f"step {step.name} failed, for the reason above; later steps were not run")
            done = [step.name for step in steps]
            return Summary(f"{len(done)} steps done: {', '.join(done)}", {"steps": done})

        return self._run(record, any(step.recorded for step in steps), work)

    def run_step(self, step: Step, parent: str | None = None) -> int:
        record = self._record(step.name, parent)

        def work(storage: Storage, tables: Tables) -> Summary:
            context = Context(
                *(record.run_id, self._config, self._spark, storage, tables, self._progress, self._dry_run),
                code_version=record.code_version,
            )
            if not step.exclusive or self._dry_run:
                return step.run(context)
            with tables.locks.run(step.name):
                return step.run(context)

        return self._run(record, step.recorded, work)

    def register(self) -> None:
        """Registers the tables in the metastore; a failure is a warning, since jobs read and write by path."""
        if self._dry_run or self._config.tables.metastore == "none":
            return
        # The embedded metastore lies beside its tables and moves with them; a shared one may name others.
        move = self._config.tables.metastore == "embedded"
        try:
            tables = Tables(self._spark, self._config.tables.root, self._storage())
            names.register(tables, self._config.tables.database, move=move)
        except (StorageError, TableError) as error:
            log.warning("the tables are written, but not registered: %s", error)

    def _record(self, name: str, parent: str | None = None) -> Run:
        return Run(
            run_id=new_run_id(name),
            job=name,
            config_digest=self._config.digest(),
            code_version=self._application.code_version,
            started_at=datetime.now(UTC).isoformat(),
            parent=parent,
            config=self._config.model_dump(mode="json"),
        )

    def _storage(self) -> Storage:
        s3 = self._config.s3
        return Storage(s3.endpoint, s3.region, s3.path_style)

    def _run(self, record: Run, recorded: bool, work: Callable[[Storage, Tables], Summary]) -> int:
        """Runs ``work``, reports its summary or error, and keeps the record; returns the exit code."""
        recorded = recorded and not self._dry_run
        root = self._config.tables.root
        storage = self._storage()
        tables = Tables(self._spark, root, storage, record.run_id)
        started = time.monotonic()
        code = 1
        try:
            record.versions_before = tables.versions()
            with contextlib.ExitStack() as stack:
                if recorded:
                    # Visible to others from here on; the record is replaced at the end.
                    record.outcome = "RUNNING"
                    record.write(storage, root)
                    stack.enter_context(heartbeat(record, self._progress, storage, root))
                summary = work(storage, tables)
            record.counts, record.outcome, code = summary.counts, "DONE", 0
            if summary.text:
                print(summary.text)
            print(f"{record.job}{' (dry run)' if self._dry_run else ''}: {summary.line}", flush=True)
        except KeyboardInterrupt:
            record.outcome, record.error = "FAILED", "interrupted"
            raise
        except Exception as error:
            record.outcome, record.error = "FAILED", _report(record.job, error)
        finally:
            if recorded:
                record.ended_at = datetime.now(UTC).isoformat()
                record.seconds = round(time.monotonic() - started, 3)
                retries = record.counts.get("retries", 0) + storage.counters.retries
                record.counts = {**record.counts, "retries": retries}
                try:
                    record.versions_after = tables.versions()
                    record.write(storage, root)
                except StorageError as error:
                    # An outage that failed the run mostly fails this too, and was reported already.
                    if code == 0:
                        _report(record.job, error)
                        code = 1
        return code


def _report(name: str, error: Exception) -> str:
    """Prints an error to standard error and returns the text for the run record."""
    known = error if isinstance(error, DflibError) else failure.raised_by_task(error)
    if known is None:
        traceback.print_exc()
        print(f"{name}: failed: {type(error).__name__}; the stack trace is above", file=sys.stderr)
        return f"{type(error).__name__}: {error}"[:2000]
    found = "the configuration can't be used here: " if isinstance(known, ConfigError) else ""
    print(f"{name}: {found}{known}", file=sys.stderr)
    return str(known)[:2000]
