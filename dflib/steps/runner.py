"""Runs the steps of a job in one Spark application: run records, locks, outcome and exit code."""

import contextlib
import logging
import os
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from dflib.config import Config, Section
from dflib.errors import ConfigError, DflibError, StorageError, TableError
from dflib.runtime import failure, interruption, session
from dflib.runtime.progress import Progress, terminal
from dflib.runtime.runs import Run, heartbeat, installed_packages, new_run_id, newest
from dflib.steps.step import Context, Job, Outcome, Step, Summary
from dflib.storage import Storage, local_path
from dflib.tables import names
from dflib.tables.schemas import TABLES
from dflib.tables.store import Tables
from dflib.upkeep import forget

log = logging.getLogger(__name__)

DONE, FAILED, ATTENTION = 0, 1, 3
"""Exit codes; 2 is bad usage or configuration, found before Spark starts."""


class Application(Section):
    """The driver's one argument. It travels with the job, so the driver needs no file of the submitting machine."""

    config: Config
    code_version: str
    dry_run: bool
    verbose: bool = False
    submitted_by: str = "unknown"


def run(job: Job, application: Application) -> int:
    """Runs a job from its driver and returns the exit code.

    0 done, 1 failed, 3 done but somebody should look, 130, 143 and 129 stopped by SIGINT, SIGTERM and SIGHUP.
    """
    with interruption.raised():
        spark = None
        try:
            try:
                spark = session.build(f"dflib {job.name}", application.verbose)
            except Exception as error:
                _report(job.name, error, application.config)
                return FAILED
            interruption.listen()
            return run_job(job, application, spark)
        except interruption.Interrupted as stopped:
            print(f"{job.name}: {stopped}; run it again to go on from there", file=sys.stderr, flush=True)
            return stopped.code
        finally:
            interruption.ignore()
            if spark is not None:
                spark.stop()


def run_job(job: Job, application: Application, spark: SparkSession) -> int:
    """Runs the steps of a job one after another and returns the exit code.

    Each step has a run record of its own. A job of several steps also has one, the parent of theirs.

    Args:
        job: the steps.
        application: configuration and options.
        spark: the session for all steps; it is left running.
    """
    return _Running(job, application, spark).run()


class _Running:
    """A running job. Each step has its own storage and tables, so that its counts and locks are its own."""

    def __init__(self, job: Job, application: Application, spark: SparkSession) -> None:
        self._job = job
        self._application = application
        self._config = application.config
        self._dry_run = application.dry_run
        self._spark = spark
        self._progress = Progress(terminal())
        self._failed: list[str] = []

    def run(self) -> int:
        job = self._job
        if len(job.steps) == 1 and job.conclude is None:
            outcomes = [self._run_step(job.steps[0], None)]
            last = outcomes[0]
        else:
            outcomes, last = self._run_steps()
        worked = any(outcome.run_id is not None for outcome in outcomes)
        if worked and any(step.recorded for step in job.steps) and not job.creates_metastore:
            self._register()
        if last.error is not None:
            return FAILED
        return ATTENTION if last.summary is not None and last.summary.attention else DONE

    def _run_steps(self) -> tuple[list[Outcome], Outcome]:
        """The outcomes of the steps, and that of the job as a whole."""
        job, record = self._job, self._record(self._job.name)
        outcomes: list[Outcome] = []

        def work(context: Context) -> Summary:
            for step in job.steps:
                context.tables.locks.check()
                outcomes.append(self._run_step(step, record.run_id))
                if outcomes[-1].error is not None:
                    self._failed.append(step.name)
                    if not job.keep_going:
                        raise DflibError(f"step {step.name} failed, for the reason above; later steps were not run")
            if job.conclude is not None:
                return job.conclude(context, outcomes)
            done = [step.name for step in job.steps]
            return Summary(f"{len(done)} steps done: {', '.join(done)}", {"steps": done})

        recorded = any(step.recorded for step in job.steps)
        return outcomes, self._run(record, recorded, (job.name,) if job.exclusive else (), work)

    def _run_step(self, step: Step, parent: str | None) -> Outcome:
        if self._job.skip_unchanged and (since := self._unchanged(step)):
            print(f"{step.name}: nothing new since {since}", flush=True)
            return Outcome(step.name)
        if step.needs_tables and not (self._dry_run and parent is not None) and not self._any_table():
            missing = TableError(
                f"{self._config.tables.root}: there are no tables here; set tables.root to the folder that holds them, "
                "or run ingest first"
            )
            return Outcome(step.name, error=_report(step.name, missing, self._config))
        locks = (*((step.name,) if step.exclusive else ()), *step.not_beside)
        outcome = self._run(self._record(step.name, parent), step.recorded, locks, step.run)
        if parent is None and outcome.summary is not None:
            # Only a job of several steps asks for attention: it runs when nobody watches.
            return Outcome(step.name, outcome.run_id, Summary(outcome.summary.line), outcome.error)
        return outcome

    def _any_table(self) -> bool:
        tables = Tables(self._spark, self._config.tables.root, self._storage())
        return any(tables.exists(table) for table in TABLES.values())

    def _unchanged(self, step: Step) -> str | None:
        """The last run of a step that would find all as that run left it; None when it may have something to do.

        What a step reads is compared with the versions before that run, since another run may have written meanwhile;
        what it writes itself with those after it.
        """
        if not step.reads:
            return None
        storage = self._storage()
        last = newest(storage, self._config.tables.root, step.name)
        if last is None or last.outcome != "DONE" or last.counts.get("remaining"):
            return None
        now = Tables(self._spark, self._config.tables.root, storage).versions()
        config = self._record(step.name).masked_config()
        same = (
            last.code_version == self._application.code_version
            and all(_setting(last.config, name) == _setting(config, name) for name in step.settings)
            and all(last.versions_before.get(table.name) == now.get(table.name) for table in step.reads)
            and all(last.versions_after.get(table.name) == now.get(table.name) for table in step.writes)
        )
        return last.run_id if same else None

    def _register(self) -> None:
        """Registers the tables in the metastore; a failure is a warning, since jobs read and write by path."""
        if self._dry_run or self._config.tables.metastore == "none":
            return
        # The embedded metastore lies beside its tables and moves with them; a shared one may name others.
        move = self._config.tables.metastore == "embedded"
        try:
            tables = Tables(session.with_names(self._spark), self._config.tables.root, self._storage())
            names.register(tables, self._config.tables.database, move=move)
        except (StorageError, TableError) as error:
            log.warning("names of tables are not registered, which changes nothing in the tables: %s", error)

    def _record(self, name: str, parent: str | None = None) -> Run:
        return Run(
            run_id=new_run_id(name),
            job=name,
            config_digest=self._config.digest(),
            code_version=self._application.code_version,
            started_at=datetime.now(UTC).isoformat(),
            parent=parent,
            config=self._config.recorded(),
            packages=installed_packages(),
        )

    def _storage(self) -> Storage:
        s3 = self._config.s3
        return Storage(s3.endpoint, s3.region, s3.path_style)

    def _run(self, record: Run, recorded: bool, locks: tuple[str, ...], work: Callable[[Context], Summary]) -> Outcome:
        """Runs ``work``, reports its summary or error, and keeps the record."""
        recorded = recorded and not self._dry_run
        root = self._config.tables.root
        storage = self._storage()
        tables = Tables(self._spark, root, storage, record.run_id)
        started = time.monotonic()
        summary = None
        try:
            record.versions_before = tables.versions()
            context = Context(
                *(record.run_id, self._config, self._spark, storage, tables, self._progress, self._dry_run),
                code_version=record.code_version,
                submitted_by=self._application.submitted_by,
                versions_before=record.versions_before,
                failed_steps=tuple(self._failed),
            )
            with contextlib.ExitStack() as stack:
                for name in () if self._dry_run else locks:
                    stack.enter_context(tables.locks.run(name))
                if recorded:
                    # Visible to others from here on; the record is replaced at the end.
                    record.outcome = "RUNNING"
                    record.write(storage, root)
                    if record.job != forget.NAME:
                        # After the record, as forget looks for records after it has its lock: one sees the other.
                        tables.locks.refuse_beside(forget.NAME)
                    stack.enter_context(heartbeat(record, self._progress, storage, root))
                summary = work(context)
            record.counts = summary.counts | ({"remaining": summary.remaining} if summary.remaining else {})
            record.outcome, record.error = ("FAILED", summary.failed) if summary.failed else ("DONE", None)
            if summary.text:
                print(summary.text)
            print(f"{record.job}{' (dry run)' if self._dry_run else ''}: {summary.line}", flush=True)
        except interruption.Interrupted as stopped:
            record.outcome, record.error = "INTERRUPTED", str(stopped)
            raise
        except Exception as error:
            record.outcome, record.error = "FAILED", _report(record.job, error, self._config)
        finally:
            if recorded:
                record.ended_at = datetime.now(UTC).isoformat()
                record.seconds = round(time.monotonic() - started, 3)
                retries = record.counts.get("retries", 0) + storage.counters.retries
                record.counts = {**record.counts, "retries": retries}
                try:
                    record.versions_after = tables.versions()
                    _write_at_last(record, storage, root)
                except StorageError as error:
                    # An outage that failed the run mostly fails this too, and was reported already.
                    if record.error is None:
                        record.error = _report(record.job, error, self._config)
                    else:
                        log.warning("status will show this run as running for some minutes: %s", error)
        return Outcome(record.job, record.run_id, summary, record.error)


def _write_at_last(record: Run, storage: Storage, root: str) -> None:
    """Writes the record of a run that has ended; of one that has failed again, as its tasks may still fill the disk.

    Elsewhere than on a disk of this machine, storage repeats requests by itself.
    """
    for pause in (1.0, 3.0) if record.outcome == "FAILED" and local_path(root) is not None else ():
        try:
            record.write(storage, root)
            return
        except StorageError:
            time.sleep(pause)
    record.write(storage, root)


def _setting(config: Mapping[str, Any], name: str) -> Any:
    """A section of a recorded configuration, or a key of one as ``section.key``."""
    section, _, key = name.partition(".")
    values = config.get(section)
    return values.get(key) if key and isinstance(values, dict) else values


def _places(config: Config) -> dict[str, Path]:
    """The folders of this machine that a job writes to, by key."""
    roots = {
        "tables.root": config.tables.root,
        "models.root": config.models.root,
        "reports.root": config.reports.root,
    }
    found = {key: path for key, uri in roots.items() if (path := local_path(uri)) is not None}
    temporary = os.environ.get("SPARK_LOCAL_DIRS", tempfile.gettempdir()).split(",")
    for number, folder in enumerate(temporary, 1):
        found["temporary files" if len(temporary) == 1 else f"temporary files {number}"] = Path(folder)
    return found


def _report(name: str, error: Exception, config: Config) -> str:
    """Prints an error to standard error and returns the text for the run record."""
    known = error if isinstance(error, DflibError) else failure.explained(error, _places(config))
    # Standard error goes through the JVM: when that has ended, the run record says why.
    with contextlib.suppress(BrokenPipeError):
        if known is None:
            traceback.print_exc()
            print(f"{name}: failed: {type(error).__name__}; the stack trace is above", file=sys.stderr)
        else:
            found = "the configuration can't be used here: " if isinstance(known, ConfigError) else ""
            print(f"{name}: {found}{known}", file=sys.stderr)
    return (f"{type(error).__name__}: {error}" if known is None else str(known))[:2000]
