"""All jobs on a cluster, with everything on an unreliable S3 server: right tables, and no secret in any output."""

import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import boto3
import pandas as pd
import pytest

from dflib.models import networks
from dflib.storage import Storage
from dflib.tables.schemas import TABLES
from tests.cluster.conftest import SMALL
from tests.cluster.standalone import Cluster, standalone
from tests.fault_proxy import Faults, fault_proxy
from tests.jobs.places import Place, columns_of_runs
from tests.s3_server import REGION, CheckingServer, checking_server

pytestmark = pytest.mark.cluster

KEY, SECRET = "TESTKEYTESTKEY", "not/so-Secret+inATest"
ON_DISK = ("ingest", "extract", "import_model", "score", "report")
ON_S3 = ("ingest", "extract", "train", "score", "import_model", "score", "report")
"""The compared model is imported: two trainings do not give bit-equal weights."""
TINY = [
    "train.epochs=2",
    "splits.validation=0.5",
    "splits.test=0",
    "train.view.size=64",
    "sampling.frames=even:4",
    "tables.metastore=none",
]
TOGETHER = ("train.workers=2", "train.checkpoint_steps=2")


@dataclass
class Served:
    """A server with the chunks of the demo in its bucket, behind a proxy that injects faults."""

    server: CheckingServer
    endpoint: str
    faults: Faults

    def place(self, root: Path, **variables: str) -> Place:
        """A place with everything on the server, reached through the proxy."""
        root.mkdir(parents=True)
        settings = [f"s3.endpoint={self.endpoint}", f"s3.region={REGION}", "s3.path_style=true"]
        options = {
            "AWS_ENDPOINT_URL": self.server.endpoint,
            "AWS_REGION": REGION,
            "AWS_ALLOW_HTTP": "true",
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
        }
        return Place(
            root,
            chunks="s3://dfdc/chunks/*.zip",
            env="standalone",
            settings=[*TINY, *settings],
            variables={"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET, **variables},
            base="s3://dfdc/out",
            storage=Storage(self.server.endpoint, REGION, path_style=True),
            options=options,
        )


@pytest.fixture(scope="module")
def served(demo_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("weed")
    faults = Faults(errors=0.05, stalls=0.03, cuts=0.01, seed=5)
    with (
        pytest.MonkeyPatch.context() as environment,
        checking_server(folder, KEY, SECRET, "dfdc") as server,
        fault_proxy(server.endpoint, faults) as endpoint,
    ):
        environment.setenv("AWS_ACCESS_KEY_ID", KEY)
        environment.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
        client = boto3.client("s3", endpoint_url=server.endpoint, region_name=REGION)
        for path in sorted((demo_data / "chunks").glob("*.zip")):
            client.upload_file(str(path), "dfdc", f"chunks/{path.name}")
        yield Served(server, endpoint, faults)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Settings of import_model for an untrained network."""
    path = tmp_path_factory.mktemp("weights") / "random.h5"
    networks.build("meso4", 64).save_weights(str(path))
    return [f"weights.path={path}", "weights.name=m", "weights.positive=fake", "weights.view.size=64"]


def comparable(place: Place, name: str) -> pd.DataFrame:
    """A table without the places of zips, the results of training, and what differs between any two runs."""
    table = place.table(name)
    if "model_id" in table:
        table = table[table["model_id"] == "m"]
    if "problems" in table:
        table["problems"] = table["problems"].map(lambda found: re.sub(r'"uri": "[^"]*/', '"uri": "', str(list(found))))
    apart = columns_of_runs(TABLES[name]) | {"uri", "chunk", "split", "detail"}
    return table.sort_values(list(TABLES[name].key)).reset_index(drop=True).drop(columns=list(apart), errors="ignore")


@pytest.fixture(scope="module")
def machines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster whose machines have their own credentials: those of the driver are not distributed."""
    variables = {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET}
    with standalone(tmp_path_factory.mktemp("machines"), {"a": "0", "b": "1"}, variables) as found:
        yield found


def test_all_jobs_end_right_under_faults(
    served: Served, machines: Cluster, demo_data: Path, weights: list[str], tmp_path: Path
) -> None:
    on_disk = Place(tmp_path / "disk", chunks=f"{demo_data}/chunks/*.zip", settings=TINY)
    on_disk.root.mkdir()
    events = tmp_path / "events"
    events.mkdir()
    logged = [f"spark.eventLog.{conf}" for conf in ("enabled=true", "compress=false", f"dir=file://{events}")]
    spread = machines.options(*SMALL, "spark.cores.max=2", *logged)
    on_s3 = served.place(tmp_path / "s3")
    outputs = []
    for place, jobs, options in ((on_s3, ON_S3, spread), (on_disk, ON_DISK, ())):
        for job in jobs:
            started = time.monotonic()
            more = {"import_model": weights, "train": TOGETHER if place is on_s3 else ()}.get(job, ())
            done = place.submit(job, *more, options=options)
            outputs.append(done.stdout + done.stderr)
            print(job, "on", place.at(), round(time.monotonic() - started), "s", dict(served.faults.counts), flush=True)

    trained = set(on_s3.table("predictions")["model_id"]) - {"m"}
    assert len(trained) == 1
    tasks = on_s3.table("tasks")
    for job in ("extract", "train", "score"):
        assert set(tasks.query("job == @job")["gpu"]) == {"0", "1"}, job
    for name in ("videos", "extractions", "frames", "faces", "predictions", "verdicts"):
        one, other = comparable(on_disk, name), comparable(on_s3, name)
        assert len(one) > 20, name
        pd.testing.assert_frame_equal(one, other, check_exact=False, rtol=0, atol=1e-6)

    before = on_s3.versions()
    on_s3.env = "demo"
    for job in ("ingest", "extract", "score", "report"):
        outputs.append(on_s3.submit(job).stdout)
    assert on_s3.versions() == before

    counts = served.faults.counts
    asked = counts["passed"] + counts["500"] + counts["503"]
    assert 0.03 < (counts["500"] + counts["503"]) / asked < 0.07 and counts["500"] and counts["503"]
    assert counts["stalled"] > 0.01 * asked

    # The proxy counts those of the JVM too.
    retries = {job: sum(record["counts"]["retries"] for record in on_s3.runs(job)) for job in ON_S3}
    of_tasks = tasks.groupby("job")["retries"].sum()
    assert 0 < sum(retries.values()) < counts["500"] + counts["503"] + counts["cut"]
    assert all(of_tasks[job] <= retries[job] for job in ("extract", "train", "score"))
    assert tasks["retries"].notna().all()

    logs = [path.read_text() for path in events.rglob("events_*")]
    assert len(logs) == len(ON_S3) and all("fs.s3a.endpoint" in log for log in logs)
    records = [json.dumps(record) for job in sorted(set(ON_S3)) for record in on_s3.runs(job)]
    assert len(records) == len(ON_S3) + 4
    for text in (*outputs, *logs, *records):
        assert SECRET not in text


@pytest.mark.parametrize(
    ("variables", "code"),
    [
        ({"AWS_ACCESS_KEY_ID": KEY}, "SignatureDoesNotMatch"),
        ({"AWS_ACCESS_KEY_ID": "NOSUCHKEY", "AWS_SESSION_TOKEN": "token-and-Hidden"}, "InvalidAccessKeyId"),
    ],
)
def test_wrong_credentials_give_one_line(served: Served, tmp_path: Path, variables: dict[str, str], code: str) -> None:
    place = served.place(tmp_path / "s3", **variables, AWS_SECRET_ACCESS_KEY="wrong-and-Hidden")
    place.env = "demo"
    done = place.submit("ingest", code=1)
    text = done.stdout + done.stderr
    lines = [line for line in text.splitlines() if "ingest" in line]
    assert len(lines) == 1 and lines[0].startswith("ingest: s3://dfdc/out/tables/")
    assert f"S3 refused ({code})" in lines[0] and "check the AWS credentials" in lines[0]
    assert "Traceback" not in text and "Hidden" not in text
