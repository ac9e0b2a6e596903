"""A Spark standalone cluster on this machine, from the pip installation of pyspark: a master and some workers."""

import contextlib
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil
import pyspark

from tests.ports import free_ports

HOME = Path(__file__).parent.parent.parent
SPARK_HOME = Path(pyspark.__file__).parent


@dataclass(frozen=True)
class Cluster:
    """A running cluster. Its processes are children of this one; the workers' files are in ``folder``."""

    url: str
    folder: Path

    def options(self, *confs: str) -> tuple[str, ...]:
        """For spark-submit."""
        return ("--", "--master", self.url, *(part for conf in confs for part in ("--conf", conf)))

    def python_workers(self) -> list[psutil.Process]:
        """Processes forked by the daemon of an executor, in which tasks run."""
        found = _running("pyspark.daemon")
        pids = {process.pid for process in found}
        return [process for process in found if process.ppid() in pids]


def _running(mark: str) -> list[psutil.Process]:
    found = []
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if process.status() != psutil.STATUS_ZOMBIE and any(mark in part for part in process.cmdline()):
                found.append(process)
    return found


@contextlib.contextmanager
def standalone(
    folder: Path, gpus: Mapping[str, str], variables: Mapping[str, str] | None = None, secret: str | None = None
) -> Iterator[Cluster]:
    """A cluster whose processes have all ended after the block.

    Args:
        folder: for logs and the workers' files.
        gpus: by worker name, addresses of simulated GPUs.
        variables: environment variables of its machines, and so of executors.
        secret: which master, workers, drivers and executors must know; None: they do not authenticate each other.
    """
    port, page = free_ports(2)
    environment = {
        **os.environ,
        "SPARK_HOME": str(SPARK_HOME),
        "PYSPARK_PYTHON": sys.executable,
        "SPARK_LOCAL_IP": "127.0.0.1",
        "SPARK_NO_DAEMONIZE": "1",
    }
    # The machines of a cluster have neither the checkout nor the variables of the submitting machine.
    for name in ("PYTHONPATH", "DFLIB_JARS"):
        environment.pop(name, None)
    environment |= variables or {}
    own = folder / "cluster.conf"
    own.write_text(f"spark.authenticate true\nspark.authenticate.secret {secret}\n" if secret else "")
    with contextlib.ExitStack() as stack:

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
            *("--host", "127.0.0.1", "--port", str(port), "--webui-port", str(page), "--properties-file", str(own)),
        )
        url = f"spark://127.0.0.1:{port}"
        for name, addresses in gpus.items():
            resource = "-Dspark.worker.resource.gpu"
            amount = len(addresses.split())
            start(
                name,
                "org.apache.spark.deploy.worker.Worker",
                *("--host", "127.0.0.1", "--cores", "4", "--memory", "4g", "--webui-port", "0"),
                *("--work-dir", str(folder / name), "--properties-file", str(own), url),
                SPARK_WORKER_OPTS=f"{resource}.amount={amount} {resource}.discoveryScript={HOME}/conf/spark/gpus.sh",
                DFLIB_GPUS=addresses,
            )
        deadline = time.monotonic() + 120
        while not _alive(page, len(gpus)):
            assert time.monotonic() < deadline, "\n".join(path.read_text() for path in folder.glob("*.log"))
            time.sleep(0.5)
        yield Cluster(url, folder)


def _alive(page: int, workers: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{page}/json/", timeout=5) as answer:
            return f'"aliveworkers" : {workers}' in answer.read().decode()
    except OSError:
        return False
