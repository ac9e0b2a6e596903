"""The runner: run records, exit codes and the order of several steps in one Spark application."""

import importlib
import json
import pkgutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from dflib import steps
from dflib.config import load as conf_files
from dflib.errors import ConfigError, SourceError
from dflib.runtime.runs import Run
from dflib.steps import forget, release, report, retry
from dflib.steps.runner import Application, run_job
from dflib.steps.step import Context, Job, Outcome, Step, Summary
from dflib.storage import Storage
from dflib.tables.schemas import ALIASES, SPLITS
from dflib.tables.store import Tables
from tests.score_rows import WHEN, assign
from tests.table_rows import add

pytestmark = pytest.mark.spark
CONF = Path(__file__).parents[2] / "conf"


def places(root: Path) -> list[str]:
    return [f"tables.root={root}/tables", "tables.metastore=none"]


def application(root: Path, dry_run: bool = False) -> Application:
    return Application(config=conf_files.load(CONF, "local", places(root)), code_version="1.2", dry_run=dry_run)


def records(root: Path) -> dict[str, dict[str, Any]]:
    """The run records by job; asserts that there is one a job."""
    found = [json.loads(path.read_text()) for path in (root / "tables" / "runs").glob("*.json")]
    by_job = {record["job"]: record for record in found}
    assert len(by_job) == len(found)
    return by_job


def step(name: str, run: Callable[[Context], Any] = lambda context: None, **options: Any) -> Step:
    """A step whose summary is its own name and run id, after ``run``."""

    def work(context: Context) -> Summary:
        run(context)
        return Summary(f"by {context.run_id}", {"retries": 2})

    return Step(name, work, **options)


def fail(error: Exception) -> Callable[[Context], None]:
    def work(context: Context) -> None:
        raise error

    return work


def test_run_job_keeps_one_record_of_one_step(
    spark: SparkSession, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_job(Job("one", (step("one"),)), application(tmp_path), spark) == 0
    (record,) = records(tmp_path).values()
    assert set(record) == set(vars(Run("", "", "", "", "")))
    assert (record["job"], record["outcome"], record["parent"], record["error"]) == ("one", "DONE", None, None)
    assert (record["code_version"], record["counts"]) == ("1.2", {"retries": 2})
    assert capsys.readouterr().out == f"one: by {record['run_id']}\n"


def test_run_job_keeps_a_record_of_each_step_below_one_parent(spark: SparkSession, tmp_path: Path) -> None:
    seen: list[tuple[str, str]] = []

    def note(context: Context) -> None:
        seen.append((context.run_id, records(tmp_path)["both"]["outcome"]))

    steps = [step("first", note, exclusive=True), step("second", note, exclusive=True)]
    assert run_job(Job("both", tuple(steps)), application(tmp_path), spark) == 0
    found = records(tmp_path)
    assert set(found) == {"both", "first", "second"}
    parent = found["both"]
    assert parent["parent"] is None and parent["counts"]["steps"] == ["first", "second"]
    for name in ("first", "second"):
        assert found[name]["parent"] == parent["run_id"]
        assert (found[name]["outcome"], found[name]["counts"]) == ("DONE", {"retries": 2})
    assert seen == [(found[name]["run_id"], "RUNNING") for name in ("first", "second")]
    assert parent["started_at"] <= found["first"]["started_at"] <= found["first"]["ended_at"]
    assert found["first"]["ended_at"] <= found["second"]["started_at"] <= parent["ended_at"]


def test_run_job_stops_at_a_failed_step(
    spark: SparkSession, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    steps = [step("first"), step("second", fail(SourceError("a.zip: gone"))), step("third")]
    assert run_job(Job("all", tuple(steps)), application(tmp_path), spark) == 1
    found = records(tmp_path)
    assert {name: record["outcome"] for name, record in found.items()} == {
        "all": "FAILED",
        "first": "DONE",
        "second": "FAILED",
    }
    assert found["second"]["error"] == "a.zip: gone"
    assert found["all"]["error"].startswith("step second failed")
    printed = capsys.readouterr()
    assert printed.err.splitlines()[0] == "second: a.zip: gone"
    assert printed.err.splitlines()[1].startswith("all: step second failed")
    assert "all:" not in printed.out


def test_run_job_returns_1_on_a_configuration_error_of_the_driver(
    spark: SparkSession, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    steps = [step("one", fail(ConfigError("cluster.gpu=required: none here")))]
    assert run_job(Job("one", tuple(steps)), application(tmp_path), spark) == 1
    message = "one: the configuration can't be used here: cluster.gpu=required: none here\n"
    assert capsys.readouterr().err == message
    assert records(tmp_path)["one"]["error"] == "cluster.gpu=required: none here"


def test_run_job_reports_an_unexpected_error_with_its_stack_trace(
    spark: SparkSession, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_job(Job("one", (step("one", fail(KeyError("x"))),)), application(tmp_path), spark) == 1
    printed = capsys.readouterr().err
    assert "Traceback" in printed and printed.endswith("one: failed: KeyError; the stack trace is above\n")
    assert records(tmp_path)["one"]["error"] == "KeyError: 'x'"


def test_run_job_refuses_a_second_run_of_an_exclusive_step(
    spark: SparkSession, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    codes: list[int] = []

    def again(context: Context) -> None:
        codes.append(run_job(Job("one", (step("one", exclusive=True),)), application(tmp_path), spark))
        codes.append(run_job(Job("other", (step("other", exclusive=True),)), application(tmp_path), spark))

    assert run_job(Job("one", (step("one", again, exclusive=True),)), application(tmp_path), spark) == 0
    assert codes == [1, 0]
    assert "another run of one is active" in capsys.readouterr().err


def test_dry_runs_and_steps_that_only_read_leave_no_record(spark: SparkSession, tmp_path: Path) -> None:
    assert run_job(Job("one", (step("one", recorded=False),)), application(tmp_path), spark) == 0
    assert (
        run_job(
            Job(
                "both",
                (
                    step("one"),
                    step("two"),
                ),
            ),
            application(tmp_path, dry_run=True),
            spark,
        )
        == 0
    )
    assert not (tmp_path / "tables").exists()


def test_run_job_goes_on_after_a_failed_step_and_fails_at_the_end(
    spark: SparkSession, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seen: list[Outcome] = []

    def conclude(context: Context, outcomes: Sequence[Outcome]) -> Summary:
        seen.extend(outcomes)
        failed = [outcome.step for outcome in outcomes if outcome.error is not None]
        return Summary("the night is over", {"failed": failed}, attention=("look",), failed=f"failed: {failed}")

    steps = (step("first"), step("second", fail(SourceError("a.zip: gone"))), step("third"))
    job = Job("night", steps, keep_going=True, conclude=conclude)
    assert run_job(job, application(tmp_path), spark) == 1
    assert [(outcome.step, outcome.error) for outcome in seen] == [
        ("first", None),
        ("second", "a.zip: gone"),
        ("third", None),
    ]
    found = records(tmp_path)
    assert {name: record["outcome"] for name, record in found.items()} == {
        "night": "FAILED",
        "first": "DONE",
        "second": "FAILED",
        "third": "DONE",
    }
    assert found["night"]["error"] == "failed: ['second']" and found["night"]["counts"]["failed"] == ["second"]
    assert capsys.readouterr().out.splitlines()[-1] == "night: the night is over"


def test_run_job_returns_3_when_its_summary_asks_for_attention(spark: SparkSession, tmp_path: Path) -> None:
    def conclude(context: Context, outcomes: Sequence[Outcome]) -> Summary:
        return Summary("done", attention=("two videos failed",))

    assert run_job(Job("night", (step("one"),), conclude=conclude), application(tmp_path), spark) == 3
    assert records(tmp_path)["night"]["outcome"] == "DONE"


def test_run_job_ignores_the_attention_of_a_single_step(spark: SparkSession, tmp_path: Path) -> None:
    one = Step("one", lambda context: Summary("done", attention=("two videos failed",)))
    assert run_job(Job("one", (one,)), application(tmp_path), spark) == 0


def test_run_job_skips_a_step_that_would_find_nothing_new(spark: SparkSession, tmp_path: Path) -> None:
    done: list[str] = []
    remaining = 0

    def work(context: Context) -> Summary:
        done.append(context.run_id)
        if not context.tables.exists(ALIASES):
            row = {"alias": "a", "since": WHEN, "model_id": "m", "set_by": "ana"}
            add(context.tables, ALIASES, [row])
        return Summary("done", remaining=remaining)

    def night(*overrides: str, version: str = "1.2") -> int:
        """Runs the job; returns how often its step has run so far."""
        one = Step("one", work, reads=(SPLITS,), writes=(ALIASES,), settings=("score",))
        job = Job("night", (one,), skip_unchanged=True, conclude=lambda context, outcomes: Summary("done"))
        config = conf_files.load(CONF, "local", [*places(tmp_path), *overrides])
        assert run_job(job, Application(config=config, code_version=version, dry_run=False), spark) == 0
        return len(done)

    tables = Tables(spark, f"file://{tmp_path}/tables", Storage())
    assign(tables, {"g1": "train"})
    assert [night(), night(), night()] == [1, 1, 1]
    assign(tables, {"g2": "test"})  # what it reads
    assert [night(), night()] == [2, 2]
    add(tables, ALIASES, [{"alias": "b", "since": WHEN, "model_id": "m", "set_by": "ana"}])  # what it writes
    assert [night(), night()] == [3, 3]
    assert [night("report.threshold=0.4"), night("score.batch_size=7"), night("score.batch_size=7")] == [3, 4, 4]
    assert [night("score.batch_size=7", version="1.3"), night(version="1.3"), night(version="1.3")] == [5, 6, 6]
    remaining = 1  # the next run would go on
    assign(tables, {"g3": "test"})
    assert [night(version="1.3"), night(version="1.3")] == [7, 8]


def test_run_job_does_not_skip_what_was_written_by_others_during_the_last_run(
    spark: SparkSession, tmp_path: Path
) -> None:
    done: list[str] = []

    def work(context: Context) -> Summary:
        done.append(context.run_id)
        if len(done) == 1:
            assign(context.tables, {"g": "train"})  # after this run has read the table
        return Summary("done")

    one = Step("one", work, reads=(SPLITS,))
    job = Job("night", (one,), skip_unchanged=True, conclude=lambda context, outcomes: Summary("done"))
    for expected in (1, 2, 2):
        assert run_job(job, application(tmp_path), spark) == 0
        assert len(done) == expected


@pytest.mark.parametrize(
    ("job", "beside"),
    [(release.STEP, "report"), (report.STEP, "report"), (retry.STEP, "extract"), (forget.STEP, "ingest")],
    ids=["release", "report", "retry", "forget"],
)
def test_run_job_refuses_what_a_running_step_would_take_for_its_own_write(
    spark: SparkSession, tmp_path: Path, capsys: pytest.CaptureFixture[str], job: Step, beside: str
) -> None:
    config = conf_files.load(CONF, "local", [*places(tmp_path), "retry.reason=UNREADABLE"])
    waiting = Application(config=config, code_version="1.2", dry_run=False)
    assign(Tables(spark, f"file://{tmp_path}/tables", Storage()), {"g": "train"})

    def during(context: Context) -> None:
        assert run_job(Job(job.name, (job,)), waiting, spark) == 1
        assert f"another run of {beside} is active" in capsys.readouterr().err

    assert run_job(Job(beside, (step(beside, during, exclusive=True),)), application(tmp_path), spark) == 0


def test_run_job_refuses_a_second_run_of_an_exclusive_job(
    spark: SparkSession, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    codes: list[int] = []

    def again(context: Context) -> None:
        codes.append(run_job(Job("night", (step("one"), step("two")), exclusive=True), application(tmp_path), spark))

    assert run_job(Job("night", (step("one", again), step("two")), exclusive=True), application(tmp_path), spark) == 0
    assert codes == [1]
    assert "another run of night is active" in capsys.readouterr().err


def test_run_job_refuses_a_root_without_tables(
    spark: SparkSession, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ran: list[str] = []
    needy = step("one", lambda context: ran.append("one"), needs_tables=True)
    assert run_job(Job("one", (needy,)), application(tmp_path), spark) == 1
    assert capsys.readouterr().err == (
        f"one: file://{tmp_path}/tables: there are no tables here; set tables.root to the folder that holds them, "
        "or run ingest first\n"
    )
    assert (ran, list(tmp_path.iterdir())) == ([], []), "a wrong root is left as it was"
    # What the step before would have made is not there in a dry run.
    assert run_job(Job("two", (step("zero"), needy)), application(tmp_path, dry_run=True), spark) == 0
    assign(Tables(spark, f"file://{tmp_path}/tables", Storage()), {"g": "train"})
    assert run_job(Job("one", (needy,)), application(tmp_path), spark) == 0
    assert ran == ["one", "one"]


def test_every_step_but_those_that_make_the_first_tables_needs_some() -> None:
    first = {"ingest", "import_model", "register", "verify", "mlflow"}
    found = {step.name: step.needs_tables for step in all_steps()}
    assert len(found) > 15 and {name for name, needs in found.items() if not needs} <= first


def all_steps() -> list[Step]:
    modules = [importlib.import_module(f"dflib.steps.{module.name}") for module in pkgutil.iter_modules(steps.__path__)]
    return [module.STEP for module in modules if hasattr(module, "STEP")]
