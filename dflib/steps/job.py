"""What every job does around its one call: arguments, configuration, session, run record, summary, exit code.

Exit codes: 0 done, 1 failed, 2 bad usage or configuration (nothing was started).
"""

import argparse
import base64
import contextlib
import logging
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from dflib.config import Config, Section
from dflib.config import load as conf_files
from dflib.errors import ConfigError, DflibError, StorageError, TableError
from dflib.runtime import failure, session
from dflib.runtime.progress import Progress, terminal
from dflib.runtime.runs import Run, code_version, kept_alive, new_run_id
from dflib.storage import Storage
from dflib.tables import names
from dflib.tables.store import Tables

log = logging.getLogger("dflib")


@dataclass(frozen=True)
class Job:
    """What a running job has in hand."""

    run_id: str
    config: Config
    spark: SparkSession
    storage: Storage
    tables: Tables
    progress: Progress
    dry_run: bool


@dataclass(frozen=True)
class Summary:
    """What a job has to say at its end.

    Attributes:
        line: the one summary line.
        counts: the same as numbers, for the run record; ``retries`` are those of its tasks, the driver's are added.
        text: what is printed above the line, such as a table; may be empty.
    """

    line: str
    counts: dict[str, Any] = field(default_factory=dict)
    text: str = ""


class Application(Section):
    """What travels to the driver as its one argument, wherever that runs: it needs no file of the one who submits."""

    config: Config
    code_version: str
    dry_run: bool


def nothing_to_check(config: Config) -> None:
    """For jobs that can use any valid configuration."""


def main(
    name: str,
    run: Callable[[Job], Summary],
    check: Callable[[Config], None] = nothing_to_check,
    recorded: bool = True,
    makes_schema: bool = False,
    alone: bool = False,
) -> None:
    """Runs a job from the command line and exits.

    There are two ways to be called.  With the options that people give, it prints what spark-submit needs, a line an
    argument, and last the argument for the second way (``--application``), which runs the job on Spark.

    Args:
        name: the job's name.
        run: does the work; honours ``Job.dry_run``.
        check: raises :class:`ConfigError` when the job can't use this configuration.
        recorded: whether a run leaves a record; not those that only look.
        makes_schema: whether the job makes a metastore of a PostgreSQL database that is none yet.
        alone: whether a second run of it on the same tables is refused; for those that delete what a killed run of
            theirs left, which a living one might be writing.
    """
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    log.setLevel(logging.INFO)
    arguments = _parser(name).parse_args()
    if arguments.application is not None:
        application = Application.model_validate_json(base64.b64decode(arguments.application))
        sys.exit(_run(name, run, application, recorded, alone))
    try:
        config = conf_files.load(arguments.conf_dir, arguments.env, arguments.set)
        check(config)
        submit = session.submit_arguments(
            config, arguments.conf_dir, arguments.env, makes_schema, arguments.deploy_mode
        )
        session.make_event_folder(config)
    except ConfigError as error:
        sys.exit(_fail(name, error, 2))
    application = Application(config=config, code_version=code_version(), dry_run=arguments.dry_run)
    # Not as it is: YARN takes two closing braces for a mark of its own.
    told = base64.b64encode(application.model_dump_json().encode()).decode()
    print("\n".join([*submit, f"--application={told}"]))


def _parser(name: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"spark-submit.sh {name}", allow_abbrev=False)
    parser.add_argument("--env", default="local", help="environment: conf/env/<env>.yml")
    parser.add_argument(
        "--set",
        action="extend",
        nargs="+",
        default=[],
        metavar="a.b=c",
        help="lays values over the configuration; several may follow, and it may be given again",
    )
    parser.add_argument("--dry-run", action="store_true", help="says what would be done and does nothing")
    parser.add_argument(
        "--deploy-mode",
        choices=["client", "cluster"],
        help="where the driver runs: here, or on the cluster; otherwise as conf/spark says",
    )
    parser.add_argument("--conf-dir", type=Path, default=Path(__file__).parents[2] / "conf", help=argparse.SUPPRESS)
    parser.add_argument("--application", help=argparse.SUPPRESS)
    return parser


def _run(name: str, run: Callable[[Job], Summary], application: Application, recorded: bool, alone: bool) -> int:
    config, dry_run = application.config, application.dry_run
    recorded = recorded and not dry_run
    record = Run(
        run_id=new_run_id(name),
        job=name,
        config_digest=config.digest(),
        code_version=application.code_version,
        started_at=datetime.now(UTC).isoformat(),
        config=config.model_dump(mode="json"),
    )
    started = time.monotonic()
    spark = session.build(f"dflib {name}")
    storage = Storage(config.s3.endpoint, config.s3.region, config.s3.path_style)
    tables = Tables(spark, config.tables.root, storage, record.run_id)
    code = 1
    try:
        record.versions_before = tables.versions()
        progress = Progress(terminal())
        with contextlib.ExitStack() as while_it_runs:
            if recorded:
                # So that others see that it runs; the record is replaced at its end.
                record.outcome = "RUNNING"
                record.write(storage, config.tables.root)
                while_it_runs.enter_context(kept_alive(record, progress, storage, config.tables.root))
            if alone and not dry_run:
                while_it_runs.enter_context(tables.committer.only_run(name))
            summary = run(Job(record.run_id, config, spark, storage, tables, progress, dry_run))
        record.counts = summary.counts
        record.outcome = "DONE"
        code = 0
        if summary.text:
            print(summary.text)
        print(f"{name}{' (dry run)' if dry_run else ''}: {summary.line}", flush=True)
    except KeyboardInterrupt:
        record.outcome, record.error = "FAILED", "interrupted"
        raise
    except DflibError as error:
        record.outcome, record.error = "FAILED", str(error)
        code = _fail(name, error, 2 if isinstance(error, ConfigError) else 1)
    except Exception as error:
        said = failure.told(error)
        record.outcome, record.error = "FAILED", str(said or f"{type(error).__name__}: {error}")[:2000]
        if said is None:
            traceback.print_exc()
            print(f"{name}: failed: {type(error).__name__}; the stack trace stands above", file=sys.stderr)
        else:
            _fail(name, said, 1)
    finally:
        if recorded:
            record.ended_at = datetime.now(UTC).isoformat()
            record.seconds = round(time.monotonic() - started, 3)
            retries = record.counts.get("retries", 0) + storage.counters.retries
            record.counts = {**record.counts, "retries": retries}
            try:
                record.versions_after = tables.versions()
                record.write(storage, config.tables.root)
                if config.tables.metastore != "none" and name != "register":
                    _register(tables, config)
            except StorageError as error:
                # What the run failed of, and was said already, mostly ends this too.
                code = code or _fail(name, error, 1)
        spark.stop()
    return code


def _register(tables: Tables, config: Config) -> None:
    try:
        # The embedded metastore lies beside its tables and moves with them; one of a team may know others.
        names.register(tables, config.tables.database, move=config.tables.metastore == "embedded")
    except TableError as error:
        log.warning("the tables are written, but not registered: %s", error)


def _fail(name: str, error: DflibError, code: int) -> int:
    print(f"{name}: {error}", file=sys.stderr)
    return code


if __name__ == "__main__":
    # Used by spark-submit.sh sql, thrift and history, which need the same settings but run no job.
    main("sql", lambda job: Summary("nothing to do"))
