"""Tables on an S3 server: two writers lose no commits, and overwritten commits are noticed."""

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
from dflib.storage.schemes.s3 import PART as S3
from dflib.tables.schemas import SPLITS
from dflib.tables.store import Tables
from tests.s3_server import REGION, checking_server

pytestmark = pytest.mark.spark

LOG_STORE = "spark.delta.logStore.s3a.impl"
HOME = Path(__file__).parent.parent.parent
KEY, SECRET = "key", "secret"
COMMITS = 4


@pytest.fixture(scope="module")
def endpoint(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server; the session, which was started without it, is configured for it meanwhile."""
    folder = tmp_path_factory.mktemp("weed")
    hadoop, jvm = spark.sparkContext._jsc.hadoopConfiguration(), spark.sparkContext._jvm  # type: ignore[union-attr]
    # The JVM's environment variables can't be changed any more; its system properties come first in the chain.
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
    assigned = {"split": "train", "split_by": "original", "assigned_at": datetime(2026, 1, 1, tzinfo=UTC)}
    rows = [assigned | {"source_group": group} for group in groups]
    return tables.insert_new(SPLITS, SPLITS.frame(tables.spark, rows))


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
from dflib.config import S3Config
from tests.tables import test_write_locks as test
endpoint, jars = sys.argv[1:3]
conf = s3.spark_conf(S3Config(endpoint=endpoint, region="us-east-1", path_style=True))
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
def test_commits_of_two_drivers_are_all_kept(spark: SparkSession, endpoint: str, tmp_path: Path) -> None:
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


def test_commit_raises_when_another_writer_overwrote_it(
    spark: SparkSession, endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other writer does not take the lease, like one that is not dflib."""
    tables = on_s3(spark, endpoint, "overwritten", "run-1")
    add(tables, "a")
    version = tables.version(SPLITS)
    assert version is not None
    find = tables.locks._find_commit

    def overwritten_before(folder: str, before: int, token: str) -> None:
        entry = f"{tables.uri(SPLITS)}/_delta_log/{before + 1:020d}.json"
        ours = tables.storage.read(entry).decode()
        assert token in ours.splitlines()[0]
        tables.storage.write(entry, json.dumps({"commitInfo": {"operation": "WRITE"}}).encode())
        find(folder, before, token)

    monkeypatch.setattr(tables.locks, "_find_commit", overwritten_before)
    with pytest.raises(
        TableError, match=rf"commit of run-1 is not in the log.* versions {version + 1} to {version + 1} "
    ):
        add(tables, "b")


def test_lease_is_held_around_the_commit_only_and_names_its_run(spark: SparkSession, endpoint: str) -> None:
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


def test_commit_is_stopped_when_its_lease_is_taken(spark: SparkSession, endpoint: str) -> None:
    tables = on_s3(spark, endpoint, "stopped", "run-1")
    tables.create(SPLITS)
    tables.locks.commit_patience = Patience(term=2)

    def slow(batches):  # type: ignore[no-untyped-def]
        for batch in batches:
            time.sleep(60)
            yield batch

    started = time.monotonic()
    with pytest.raises(TableError, match=r"was stopped because its lease was lost \(it is held by run-2 "):  # noqa: SIM117
        with tables.locks.commit("splits", lambda: tables.version(SPLITS)):
            other = lease._body("run-2", "another", 60, free=False)
            tables.storage.write(f"{tables.root}/_leases/splits.json", other)
            spark.range(0, 1, 1, 1).mapInArrow(slow, "id long").collect()
    assert time.monotonic() - started < 40


def test_commit_takes_no_lease_with_a_log_store_that_locks(spark: SparkSession, endpoint: str) -> None:
    tables = on_s3(spark, endpoint, "locked", "run-1")
    for store, taken in (("io.delta.storage.S3DynamoDBLogStore", 0), ("io.delta.storage.S3SingleDriverLogStore", 1)):
        spark.conf.set(LOG_STORE, store)
        try:
            with tables.locks.commit("splits", lambda: None):
                pass
        finally:
            spark.conf.unset(LOG_STORE)
        assert len(list(tables.storage.list_files(f"{tables.root}/_leases"))) == taken


def test_run_is_exclusive_on_s3(spark: SparkSession, endpoint: str) -> None:
    one, other = (on_s3(spark, endpoint, "runs", owner).locks for owner in ("run-1", "run-2"))
    other.run_patience = Patience(term=60, wait=2)
    with one.run("extract"):
        with pytest.raises(TableError, match=r"_leases/run-extract.json: held by run-1 on "):
            other.run("extract").__enter__()
        with other.run("ingest"):
            pass
    other.run_patience = Patience(term=1)
    with other.run("extract"):
        pass
    time.sleep(1.5)
    # A released lease is not checked any more.
    with other.commit("splits", lambda: None):
        pass


def test_run_is_stopped_when_its_lease_is_taken(spark: SparkSession, endpoint: str) -> None:
    tables = on_s3(spark, endpoint, "lost", "run-1")
    tables.create(SPLITS)
    tables.locks.run_patience = Patience(term=2)
    with pytest.raises(TableError, match=r"extract was stopped because its lease was lost \(it is held by run-2 "):  # noqa: SIM117
        with tables.locks.run("extract"):
            other = lease._body("run-2", "another", 60, free=False)
            tables.storage.write(f"{tables.root}/_leases/run-extract.json", other)
            time.sleep(3)
            # No Spark job ran that could be cancelled: the next commit notices.
            add(tables, "a")
    assert groups(tables) == []


def test_stage_commits_without_a_rename_and_leaves_nothing(spark: SparkSession, endpoint: str) -> None:
    tables = on_s3(spark, endpoint, "staged", "run-1")
    with tables.stage(spark.range(10), "ten") as staged:
        assert staged.count() == 10
        (done,) = [entry.uri for entry in tables.storage.list_files(tables.root) if entry.uri.endswith("_SUCCESS")]
        assert json.loads(tables.storage.read(done))["committer"] == "magic"
    listed = S3.list_prefix(tables.storage._access, "tables", "staged/", markers=True)
    assert [entry.uri for entry in listed if "ten" in entry.uri] == []
