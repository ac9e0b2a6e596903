"""A real Spark standalone cluster: a master and two workers, each with two GPUs that are only said to be there."""

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pyspark
import pytest

HOME = Path(__file__).parent.parent.parent
SPARK_HOME = Path(pyspark.__file__).parent
WORKERS = {"a": "0 1", "b": "2 3"}
"""Addresses of each worker's GPUs."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def master(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The master's URL; all of it has ended after the tests."""
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
        yield url


def _alive(page: int, workers: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{page}/json/", timeout=5) as answer:
            return f'"aliveworkers" : {workers}' in answer.read().decode()
    except OSError:
        return False
