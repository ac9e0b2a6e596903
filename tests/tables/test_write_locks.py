"""Tables on an S3 server: two writers lose nothing, and what others overwrite is noticed."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from deltalake import DeltaTable
from pyspark.sql import SparkSession

from dflib.config import S3Config
from dflib.errors import TableError
from dflib.storage import Storage, lease
from dflib.storage import s3_client as s3
from dflib.storage.lease import Patience
from dflib.tables.schemas import SPLITS
from dflib.tables.store import Tables
from dflib.tables.write_locks import LOG_STORE
from tests.s3_server import REGION, checking_server

pytestmark = pytest.mark.spark

HOME = Path(__file__).parent.parent.parent
KEY, SECRET = "key", "secret"
COMMITS = 4


@pytest.fixture(scope="module")
def endpoint(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server of which the session, which began without it, is told now, and no longer afterwards."""
    folder = tmp_path_factory.mktemp("weed")
    hadoop, jvm = spark.sparkContext._jsc.hadoopConfiguration(), spark.sparkContext._jvm  # type: ignore[union-attr]
    # The JVM's environment is that from before: its system properties come first in its chain.
    properties = {"aws.accessKeyId": KEY, "aws.secretAccessKey": SECRET}
    with pytest.MonkeyPatch.context() as environment, checking_server(folder, KEY, SECRET, "tables") as server:
        environment.setenv("AWS_ACCESS_KEY_ID", KEY)
        environment.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
        settings = s3.spark_conf(S3Config(endpoint=server.endpoint, region=REGION, path_style=True))
        for name, value in properties.items():
            jvm.System.setProperty(name, value)  # type: ignore[union-attr]
        for key, value in settings.items():
            if key.startswith("spark.hadoop."):
                hadoop.set(key.removeprefix("spark.hadoop."), value)
            else:
                spark.conf.set(key, value)
        yield server.endpoint
        for name in properties:
            jvm.System.clearProperty(name)  # type: ignore[union-attr]
        for key in settings:
            if key.startswith("spark.hadoop."):
                hadoop.unset(key.removeprefix("spark.hadoop."))
            else:
                spark.conf.unset(key)


def on_s3(spark: SparkSession, endpoint: str, folder: str, owner: str) -> Tables:
    return Tables(spark, f"s3://tables/{folder}", Storage(endpoint, REGION, path_style=True), owner)


def add(tables: Tables, *groups: str) -> int:
    rows = [(group, "train", "original", datetime(2026, 1, 1, tzinfo=UTC)) for group in groups]
    return tables.insert_new(SPLITS, tables.spark.createDataFrame(rows, SPLITS.spark_schema()))


def groups(tables: Tables) -> list[str]:
    options = {
        "AWS_ENDPOINT_URL": str(tables.storage.endpoint),
        "AWS_REGION": REGION,
        "AWS_ALLOW_HTTP": "true",
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET,
    }
    return sorted(DeltaTable(tables.uri(SPLITS), storage_options=options).to_pandas()["source_group"])


OTHER = """
import sys
from pathlib import Path
from dflib.storage import s3_client as s3
from dflib.runtime.session import interactive
from dflib.config import S3
from tests.tables import test_commit as test
endpoint, jars = sys.argv[1:3]
conf = s3.spark_conf(S3(endpoint=endpoint, region="us-east-1", path_style=True))
spark = interactive(test.HOME / "conf/spark/local.conf", Path(jars), {**conf, "spark.master": "local[1]",
    "spark.driver.memory": "700m", "spark.sql.warehouse.dir": sys.argv[3], "spark.ui.enabled": "false"})
tables = test.on_s3(spark, endpoint, "two", "other")
test.add(tables, "other-first")
print("ready", flush=True)
sys.stdin.readline()
for number in range(test.COMMITS):
    assert test.add(tables, f"other-{number}") == 1
"""


@pytest.mark.cluster
def test_no_commit_of_two_drivers_is_lost(spark: SparkSession, endpoint: str, tmp_path: Path) -> None:
    jars = os.environ.get("DFLIB_JARS", str(HOME / ".jars" / "jars"))
    other = subprocess.Popen(
        [sys.executable, "-c", OTHER, endpoint, jars, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(HOME)},
        text=True,
    )
    try:
        assert other.stdin is not None and other.stdout is not None
        assert other.stdout.readline() == "ready\n"
        tables = on_s3(spark, endpoint, "two", "mine")
        other.stdin.write("go\n")
        other.stdin.flush()
        for number in range(COMMITS):
            assert add(tables, f"mine-{number}") == 1
        assert other.wait(120) == 0
    finally:
        other.kill()
        other.wait()
    expected = [f"{who}-{number}" for who in ("mine", "other") for number in range(COMMITS)]
    assert groups(tables) == sorted([*expected, "other-first"])
    assert tables.version(SPLITS) == 2 * COMMITS + 1


def test_a_commit_that_another_overwrote_is_noticed(
    spark: SparkSession, endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other does not ask for the lease, as a writer that is not dflib."""
    tables = on_s3(spark, endpoint, "overwritten", "run-1")
    add(tables, "a")
    version = tables.version(SPLITS)
    assert version is not None
    look = tables.committer._look

    def overwritten_before(folder: str, before: int, token: str) -> None:
        entry = f"{tables.uri(SPLITS)}/_delta_log/{before + 1:020d}.json"
        ours = tables.storage.read(entry).decode()
        assert token in ours.splitlines()[0]
        tables.storage.write(entry, json.dumps({"commitInfo": {"operation": "WRITE"}}).encode())
        look(folder, before, token)

    monkeypatch.setattr(tables.committer, "_look", overwritten_before)
    with pytest.raises(
        TableError, match=rf"commit of run-1 is not in the log.* versions {version + 1} to {version + 1} "
    ):
        add(tables, "b")


def test_the_lease_is_held_around_the_commit_only_and_names_its_run(spark: SparkSession, endpoint: str) -> None:
    tables = on_s3(spark, endpoint, "lease", "run-7")
    add(tables, "a")
    lease = json.loads(tables.storage.read(f"{tables.root}/_leases/splits.json"))
    assert lease["owner"] == "run-7" and lease["free"] is True
    written = tables.storage.stat(f"{tables.root}/_leases/splits.json").etag
    assert add(tables, "a") == 0
    assert tables.storage.stat(f"{tables.root}/_leases/splits.json").etag == written
    assert [entry.uri for entry in tables.storage.list_files(f"{tables.root}/_leases")] == [
        f"{tables.root}/_leases/splits.json"
    ]


def test_a_commit_whose_lease_was_taken_is_stopped(spark: SparkSession, endpoint: str) -> None:
    tables = on_s3(spark, endpoint, "stopped", "run-1")
    tables.create(SPLITS)
    tables.committer.patience = Patience(term=2)

    def slow(batches):  # type: ignore[no-untyped-def]
        for batch in batches:
            time.sleep(60)
            yield batch

    started = time.monotonic()
    with pytest.raises(TableError, match=r"was stopped, since its lease was lost \(it is held by run-2 "):  # noqa: SIM117
        with tables.committer.alone("splits", lambda: tables.version(SPLITS)):
            other = lease._body("run-2", "another", 60, free=False)
            tables.storage.write(f"{tables.root}/_leases/splits.json", other)
            spark.range(0, 1, 1, 1).mapInArrow(slow, "id long").collect()
    assert time.monotonic() - started < 40


def test_with_a_log_store_that_locks_no_lease_is_taken(spark: SparkSession, endpoint: str) -> None:
    tables = on_s3(spark, endpoint, "locked", "run-1")
    for store, taken in (("io.delta.storage.S3DynamoDBLogStore", 0), ("io.delta.storage.S3SingleDriverLogStore", 1)):
        spark.conf.set(LOG_STORE, store)
        try:
            with tables.committer.alone("splits", lambda: None):
                pass
        finally:
            spark.conf.unset(LOG_STORE)
        assert len(list(tables.storage.list_files(f"{tables.root}/_leases"))) == taken


def test_one_run_of_a_job_at_a_time_on_s3(spark: SparkSession, endpoint: str) -> None:
    one, other = (on_s3(spark, endpoint, "runs", owner).committer for owner in ("run-1", "run-2"))
    other.patience_of_runs = Patience(term=60, wait=2)
    with one.only_run("extract"):
        with pytest.raises(TableError, match=r"_leases/run-extract.json: another is at work, run-1 on "):
            other.only_run("extract").__enter__()
        with other.only_run("ingest"):
            pass
    other.patience_of_runs = Patience(term=1)
    with other.only_run("extract"):
        pass
    time.sleep(1.5)
    # What it does afterwards does not hang on the lease that it gave back.
    with other.alone("splits", lambda: None):
        pass


def test_a_run_whose_lease_was_taken_is_stopped(spark: SparkSession, endpoint: str) -> None:
    tables = on_s3(spark, endpoint, "lost", "run-1")
    tables.create(SPLITS)
    tables.committer.patience_of_runs = Patience(term=2)
    with pytest.raises(TableError, match=r"extract was stopped, since its lease was lost \(it is held by run-2 "):  # noqa: SIM117
        with tables.committer.only_run("extract"):
            other = lease._body("run-2", "another", 60, free=False)
            tables.storage.write(f"{tables.root}/_leases/run-extract.json", other)
            time.sleep(3)
            # Nothing ran that could be cancelled: the next commit is what notices.
            add(tables, "a")
    assert groups(tables) == []


def test_staged_rows_are_committed_without_a_rename_and_leave_nothing(spark: SparkSession, endpoint: str) -> None:
    tables = on_s3(spark, endpoint, "staged", "run-1")
    with tables.stage(spark.range(10), "ten") as staged:
        assert staged.count() == 10
        (done,) = [entry.uri for entry in tables.storage.list_files(tables.root) if entry.uri.endswith("_SUCCESS")]
        assert json.loads(tables.storage.read(done))["committer"] == "magic"
    listed = tables.storage._list_prefix("tables", "staged/", marks=True)
    assert [entry.uri for entry in listed if "ten" in entry.uri] == []
