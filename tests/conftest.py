"""Fixtures shared by all tests: real parts in small."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# Before anything imports TensorFlow, here and in the Python workers that inherit this environment.
os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import pytest
from pyspark.sql import SparkSession

from dflib.cli.submit import class_archive_options
from dflib.runtime.session import interactive, java_options
from dflib.storage import Storage
from dflib.tables.store import Tables
from tests.jobs.places import DemoRun

HOME = Path(__file__).parent.parent
SAMPLE_DATA = Path(os.environ.get("DFLIB_SAMPLE_DATA", HOME.parent / "shared" / "data"))
NO_SAMPLE_DATA = "no sample data at"
JARS = Path(os.environ.get("DFLIB_JARS", HOME / ".jars" / "jars"))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """States at the end how many tests were skipped without sample data; the list of skips is easily overlooked."""
    line = sample_data_line(terminalreporter.stats.get("skipped", []))
    if line:
        terminalreporter.write_line(line, yellow=True)


def sample_data_line(skipped: list[Any]) -> str:
    """The line about tests that were skipped without sample data; empty when there are none.

    Args:
        skipped: reports of all skipped tests.
    """
    number = sum(NO_SAMPLE_DATA in str(report.longrepr) for report in skipped)
    if not number:
        return ""
    return (
        f"{number} tests skipped: {NO_SAMPLE_DATA} {SAMPLE_DATA}; set DFLIB_SAMPLE_DATA to the folder of real clips, "
        "crops and weights"
    )


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    """A session with the settings of ``conf/spark/local.conf``, but for those that only pay on large tables."""
    os.environ["PYTHONPATH"] = os.pathsep.join([str(HOME), *filter(None, [os.environ.get("PYTHONPATH")])])
    properties = HOME / "conf" / "spark" / "local.conf"
    options = java_options(properties, HOME / "conf", default=class_archive_options(JARS))
    key = "spark.driver.extraJavaOptions"
    session = interactive(
        properties,
        JARS,
        {
            "spark.master": "local[2]",
            "spark.driver.memory": "2g",
            "spark.sql.warehouse.dir": str(tmp_path_factory.mktemp("warehouse")),
            **options,
            # What pays for itself on large tables and not on those of a test: two thirds of the time are left. The end
            # to end tests run with the settings as they are.
            key: f"{options[key]} -XX:+UseSerialGC",
            "spark.sql.codegen.wholeStage": "false",
            "spark.sql.codegen.factoryMode": "NO_CODEGEN",
            "spark.sql.adaptive.enabled": "false",
            "spark.sql.shuffle.partitions": "2",
            "spark.databricks.delta.snapshotPartitions": "1",
            "spark.sql.ui.retainedExecutions": "1",
            "spark.databricks.delta.merge.materializeSource": "none",
            # A barrier stage that can't start is given up at once.
            "spark.scheduler.barrier.maxConcurrentTasksCheck.interval": "1s",
            "spark.scheduler.barrier.maxConcurrentTasksCheck.maxFailures": "2",
        },
    )
    yield session
    session.stop()


@pytest.fixture
def storage() -> Storage:
    return Storage()


@pytest.fixture
def tables(spark: SparkSession, storage: Storage, tmp_path: Path) -> Tables:
    """Tables below an empty folder."""
    return Tables(spark, f"file://{tmp_path}/tables", storage)


@pytest.fixture(scope="session")
def sample_data() -> Path:
    """The folder of real clips, crops and weights; the test is skipped where there is none."""
    if not (SAMPLE_DATA / "README.md").is_file():
        pytest.skip(f"{NO_SAMPLE_DATA} {SAMPLE_DATA} (set DFLIB_SAMPLE_DATA)")
    return SAMPLE_DATA


@pytest.fixture(scope="session")
def demo_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small made data set: ``chunks/*.zip`` and ``truth.json`` (see :mod:`tools.demo.dataset`)."""
    from tools.demo import dataset

    root = tmp_path_factory.mktemp("demo")
    dataset.make(root, identities=6, clips_per_identity=3, chunks=2, seconds=1.0, seed=11)
    return root


@pytest.fixture(scope="session")
def demo_run(tmp_path_factory: pytest.TempPathFactory) -> DemoRun:
    """The demo with half of its clips, after ingest, extract and train in one application, and a night."""
    root = tmp_path_factory.mktemp("demo_run")
    command = [sys.executable, "-m", "tools.demo", "--clips", "3", "--out", str(root / "data")]
    subprocess.run(command, check=True, cwd=HOME)
    run = DemoRun(root, chunks=f"{root}/data/chunks/*")
    run.truth = json.loads((root / "data" / "truth.json").read_text())
    run.lines = run.chain("ingest", "extract", "train").stdout.splitlines()
    summary = root / "night.json"
    run.lines += run.submit("nightly", options=("--summary", str(summary))).stdout.splitlines()
    run.night = json.loads(summary.read_text())
    return run
