"""Credentials that expire while a job runs: Python and the JVM request new ones; the old are revoked."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from deltalake import DeltaTable

from tests.s3_server import REGION, checking_server

pytestmark = pytest.mark.cluster

HOME = Path(__file__).parent.parent.parent
SECONDS = 20
"""Lifetime of the credentials. The JVM renews them 15 s before they expire, boto3 within the last 10 minutes."""

PROCESS = """#!/bin/sh
. {folder}/keys
above=$(awk '/^PPid/ {{print $2}}' /proc/$PPID/status)
echo "$key $(cat /proc/$PPID/comm) $(cat /proc/$above/comm)" >>{folder}/asked
cat <<END
{{"Version": 1, "AccessKeyId": "$key", "SecretAccessKey": "$secret", "SessionToken": "",
  "Expiration": "$(date -u -d '+{seconds} seconds' +%Y-%m-%dT%H:%M:%SZ)"}}
END
"""

JOB = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from dflib.storage import s3_client as s3
from dflib.runtime.session import interactive
from dflib.config import S3Config
from dflib.storage import Storage
from dflib.tables.schemas import SPLITS
from dflib.tables.store import Tables

home, endpoint, jars, warehouse = sys.argv[1:5]
conf = s3.spark_conf(S3Config(endpoint=endpoint, region=None, path_style=True))
spark = interactive(Path(home) / "conf/spark/local.conf", Path(jars), {**conf, "spark.master": "local[1]",
    "spark.driver.memory": "700m", "spark.sql.warehouse.dir": warehouse})
tables = Tables(spark, "s3://tables/t", Storage(endpoint, None, path_style=True), "renewal")
for group in ("before", "after"):
    rows = [(group, "train", "original", datetime(2026, 1, 1, tzinfo=UTC))]
    assert tables.insert_new(SPLITS, spark.createDataFrame(rows, SPLITS.spark_schema())) == 1
    print(group, tables.read(SPLITS).count(), flush=True)
    sys.stdin.readline()
"""


def test_expiring_credentials_are_renewed(tmp_path: Path) -> None:
    keys, asked, process = tmp_path / "keys", tmp_path / "asked", tmp_path / "process"
    keys.write_text("key=first secret=first-secret\n")
    process.write_text(PROCESS.format(folder=tmp_path, seconds=SECONDS))
    process.chmod(0o755)
    (tmp_path / "config").write_text(f"[profile test]\nregion = {REGION}\ncredential_process = {process}\n")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    environment = {
        **kept,
        "AWS_CONFIG_FILE": str(tmp_path / "config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "none"),
        "AWS_PROFILE": "test",
        "AWS_EC2_METADATA_DISABLED": "true",
        "PYTHONPATH": str(HOME),
    }
    jars = os.environ.get("DFLIB_JARS", str(HOME / ".jars" / "jars"))
    with checking_server(tmp_path, "first", "first-secret", "tables") as server:
        job = subprocess.Popen(
            [sys.executable, "-c", JOB, str(HOME), server.endpoint, jars, str(tmp_path / "warehouse")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=(tmp_path / "stderr").open("wb"),
            env=environment,
            text=True,
        )
        try:
            assert job.stdin is not None and job.stdout is not None
            assert job.stdout.readline() == "before 1\n", (tmp_path / "stderr").read_text()[-3000:]
            keys.write_text("key=second secret=second-secret\n")
            server.let_in({"second": "second-secret"})
            time.sleep(SECONDS)
            assert not server.knows("first", "first-secret") and server.knows("second", "second-secret")
            job.stdin.write("\n")
            job.stdin.flush()
            assert job.stdout.readline() == "after 2\n", (tmp_path / "stderr").read_text()[-3000:]
            job.stdin.close()
            assert job.wait(60) == 0
        finally:
            job.kill()
            job.wait()
        options = {
            **{"AWS_ENDPOINT_URL": server.endpoint, "AWS_REGION": REGION, "AWS_ALLOW_HTTP": "true"},
            **{"AWS_ACCESS_KEY_ID": "second", "AWS_SECRET_ACCESS_KEY": "second-secret"},
        }
        assert sorted(DeltaTable("s3://tables/t/splits", storage_options=options).to_pandas()["source_group"]) == [
            "after",
            "before",
        ]
    requests = asked.read_text().splitlines()
    for key in ("first", "second"):
        who = [line for line in requests if line.startswith(f"{key} ")]
        assert any("java" in line for line in who) and any("python" in line for line in who), requests
    assert "secret" not in (tmp_path / "stderr").read_text()
