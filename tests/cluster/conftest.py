"""A real Spark standalone cluster: a master and two workers, each with two GPUs that are only said to be there."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import h5py
import psutil
import pyspark
import pytest

from dflib.models import networks
from tests.jobs.places import Place

HOME = Path(__file__).parent.parent.parent
SPARK_HOME = Path(pyspark.__file__).parent
WORKERS = {"a": "0 1", "b": "2 3"}
"""Addresses of each worker's GPUs."""

SMALL = (
    "spark.executor.cores=1",
    "spark.executor.memory=700m",
    # Executors of a test live for a minute: what they would compile and collect best does not pay.
    "spark.executor.extraJavaOptions=-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
)


@dataclass(frozen=True)
class Cluster:
    """A running cluster; its processes are children of the test's."""

    url: str

    def options(self, *more: str, cores: int = 4) -> tuple[str, ...]:
        """For spark-submit: executors of one core and one GPU each."""
        confs = (*SMALL, f"spark.cores.max={cores}", *more)
        return ("--", "--master", self.url, *(part for conf in confs for part in ("--conf", conf)))

    def executors(self) -> list[psutil.Process]:
        """JVMs that run tasks."""
        return _running("CoarseGrainedExecutorBackend")

    def python_workers(self) -> list[psutil.Process]:
        """Processes forked by the daemon of an executor, in which tasks run."""
        found = _running("pyspark.daemon")
        pids = {process.pid for process in found}
        return [process for process in found if process.ppid() in pids]


def _running(mark: str) -> list[psutil.Process]:
    found = []
    for process in psutil.Process().children(recursive=True):
        try:
            if any(mark in part for part in process.cmdline()) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:
            continue
    return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """All of it has ended after the tests."""
    folder = tmp_path_factory.mktemp("cluster")
    port, page = free_port(), free_port()
    url = f"spark://127.0.0.1:{port}"
    environment = {
        **os.environ,
        "SPARK_HOME": str(SPARK_HOME),
        "PYSPARK_PYTHON": sys.executable,
        "SPARK_LOCAL_IP": "127.0.0.1",
        "SPARK_NO_DAEMONIZE": "1",
    }
    # What a cluster's machines do not have: the checkout, and the variables of the one who submits.
    for name in ("PYTHONPATH", "DFLIB_HOME", "DFLIB_JARS"):
        environment.pop(name, None)
    with ExitStack() as stack:

        def start(name: str, *command: str, **more: str) -> None:
            log = stack.enter_context((folder / f"{name}.log").open("wb"))
            process = subprocess.Popen(
                [str(SPARK_HOME / "bin" / "spark-class"), *command],
                env={**environment, **more},
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=folder,
            )
            stack.callback(process.wait)
            stack.callback(process.terminate)

        start(
            "master",
            "org.apache.spark.deploy.master.Master",
            *("--host", "127.0.0.1", "--port", str(port), "--webui-port", str(page)),
        )
        for name, addresses in WORKERS.items():
            resource = "-Dspark.worker.resource.gpu"
            options = f"{resource}.amount=2 {resource}.discoveryScript={HOME}/conf/spark/gpus.sh"
            start(
                name,
                "org.apache.spark.deploy.worker.Worker",
                *("--host", "127.0.0.1", "--cores", "4", "--memory", "2g", "--webui-port", "0"),
                *("--work-dir", str(folder / name), url),
                SPARK_WORKER_OPTS=options,
                DFLIB_GPUS=addresses,
            )
        deadline = time.monotonic() + 60
        while not _alive(page, len(WORKERS)):
            assert time.monotonic() < deadline, "\n".join(path.read_text() for path in folder.glob("*.log"))
            time.sleep(0.5)
        yield Cluster(url)


def _alive(page: int, workers: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{page}/json/", timeout=5) as answer:
            return f'"aliveworkers" : {workers}' in answer.read().decode()
    except OSError:
        return False


@pytest.fixture(scope="session")
def ingested(demo_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """The demo's small data set after ingest, and a model of random weights."""
    root = tmp_path_factory.mktemp("ingested")
    weights = root / "random.h5"
    networks.build("meso4", 64).save_weights(str(weights))
    with h5py.File(weights) as file:
        assert len(file) > 0
    place = Place(root / "place", chunks=f"{demo_data}/chunks/*")
    place.root.mkdir()
    place.submit("ingest")
    place.submit(
        "import_model",
        *(f"weights.path={weights}", "weights.network=meso4", "weights.name=m", "weights.positive=fake"),
        "weights.view.size=64",
    )
    return place


@pytest.fixture(scope="session")
def copied(ingested: Place) -> Callable[..., Place]:
    """Makes a place of its own from :func:`ingested`, in a folder, for jobs on the cluster or on one machine."""

    def copy(root: Path, *settings: str, env: str = "standalone") -> Place:
        shutil.copytree(ingested.root, root)
        return Place(root, ingested.chunks, env, ["sampling.frames=even:4", "tables.metastore=none", *settings])

    return copy


@pytest.fixture(scope="session")
def local(copied: Callable[..., Place], tmp_path_factory: pytest.TempPathFactory) -> Place:
    """What one machine makes, unbroken."""
    place = copied(tmp_path_factory.mktemp("local") / "place", env="demo")
    for job in ("extract", "score", "report"):
        place.submit(job)
    return place
