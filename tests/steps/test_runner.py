"""The runner: run records, exit codes and the order of several steps in one Spark application."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from dflib.config import load as conf_files
from dflib.errors import ConfigError, SourceError
from dflib.runtime.runs import Run
from dflib.steps.runner import Application, run_steps
from dflib.steps.step import Context, Step, Summary

pytestmark = pytest.mark.spark
CONF = Path(__file__).parents[2] / "conf"


def application(root: Path, dry_run: bool = False) -> Application:
    overrides = [f"tables.root={root}/tables", "tables.metastore=none"]
    return Application(config=conf_files.load(CONF, "local", overrides), code_version="1.2", dry_run=dry_run)


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


def test_run_steps_keeps_one_record_of_one_step(
    spark: SparkSession, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_steps("one", [step("one")], application(tmp_path), spark) == 0
    (record,) = records(tmp_path).values()
    assert set(record) == set(vars(Run("", "", "", "", "")))
    assert (record["job"], record["outcome"], record["parent"], record["error"]) == ("one", "DONE", None, None)
    assert (record["code_version"], record["counts"]) == ("1.2", {"retries": 2})
    assert capsys.readouterr().out == f"one: by {record['run_id']}\n"


def test_run_steps_keeps_a_record_of_each_step_below_one_parent(spark: SparkSession, tmp_path: Path) -> None:
    seen: list[tuple[str, str]] = []

    def note(context: Context) -> None:
        seen.append((context.run_id, records(tmp_path)["both"]["outcome"]))

    steps = [step("first", note, exclusive=True), step("second", note, exclusive=True)]
    assert run_steps("both", steps, application(tmp_path), spark) == 0
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


def test_run_steps_stops_at_a_failed_step(
    spark: SparkSession, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    steps = [step("first"), step("second", fail(SourceError("a.zip: gone"))), step("third")]
    assert run_steps("all", steps, application(tmp_path), spark) == 1
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


def test_run_steps_returns_1_on_a_configuration_error_of_the_driver(
    spark: SparkSession, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    steps = [step("one", fail(ConfigError("cluster.gpu=required: none here")))]
    assert run_steps("one", steps, application(tmp_path), spark) == 1
    message = "one: the configuration can't be used here: cluster.gpu=required: none here\n"
    assert capsys.readouterr().err == message
    assert records(tmp_path)["one"]["error"] == "cluster.gpu=required: none here"


def test_run_steps_reports_an_unexpected_error_with_its_stack_trace(
    spark: SparkSession, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_steps("one", [step("one", fail(KeyError("x")))], application(tmp_path), spark) == 1
    printed = capsys.readouterr().err
    assert "Traceback" in printed and printed.endswith("one: failed: KeyError; the stack trace is above\n")
    assert records(tmp_path)["one"]["error"] == "KeyError: 'x'"


def test_run_steps_refuses_a_second_run_of_an_exclusive_step(
    spark: SparkSession, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    codes: list[int] = []

    def again(context: Context) -> None:
        codes.append(run_steps("one", [step("one", exclusive=True)], application(tmp_path), spark))
        codes.append(run_steps("other", [step("other", exclusive=True)], application(tmp_path), spark))

    assert run_steps("one", [step("one", again, exclusive=True)], application(tmp_path), spark) == 0
    assert codes == [1, 0]
    assert "another run of one is active" in capsys.readouterr().err


def test_dry_runs_and_steps_that_only_read_leave_no_record(spark: SparkSession, tmp_path: Path) -> None:
    assert run_steps("one", [step("one", recorded=False)], application(tmp_path), spark) == 0
    assert run_steps("both", [step("one"), step("two")], application(tmp_path, dry_run=True), spark) == 0
    assert not (tmp_path / "tables").exists()
