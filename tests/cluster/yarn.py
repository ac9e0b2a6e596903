"""YARN on this machine, a ResourceManager and a NodeManager out of Hadoop's mini cluster; its jars are fetched once."""

import contextlib
import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.standalone import HOME, SPARK_HOME
from tests.ports import free_ports

JARS = HOME / ".jars-test"
PACKAGES = (
    "org.apache.hadoop:hadoop-client-minicluster:3.4.1",
    # It expects these, which neither Java 17 nor Spark has.
    "org.bouncycastle:bcpkix-jdk18on:1.80",
    "javax.xml.bind:jaxb-api:2.3.1",
    "com.sun.xml.bind:jaxb-impl:2.3.1",
    "com.sun.xml.bind:jaxb-core:2.3.0.1",
)
OF_SPARK = ("hadoop-client-api", "hadoop-client-runtime", "log4j", "slf4j-api", "jcl-over-slf4j", "snappy-java")
"""Jars of Spark that the two servers use."""


@dataclass(frozen=True)
class Yarn:
    """A running YARN.

    Attributes:
        folder: where the containers' files and logs lie, in ``local`` and ``logs``.
        conf: the folder of its configuration.
    """

    folder: Path
    conf: Path

    @property
    def variables(self) -> dict[str, str]:
        """Environment variables for spark-submit."""
        return {"HADOOP_CONF_DIR": str(self.conf)}

    def options(self, *confs: str) -> tuple[str, ...]:
        """For spark-submit. Spark's own jars are on the machine; those of dflib are uploaded."""
        staging = f"spark.yarn.stagingDir=file://{self.folder}/staging"
        confs = (f"spark.yarn.jars=local:{SPARK_HOME}/jars/*", staging, *confs)
        return ("--", *(part for conf in confs for part in ("--conf", conf)))

    def output(self, name: str = "stdout") -> str:
        """Output of the first container of the newest application: the driver in deploy mode cluster."""
        newest = max((self.folder / "logs").glob("application_*"), key=lambda path: path.name)
        (first,) = newest.glob("container_*_000001")
        return (first / name).read_text()


def fetch_jars() -> None:
    """Downloads the packages into :data:`JARS` with Spark's Ivy, as dflib/cli/jars.py does, without conflicting
    dependencies."""
    if (JARS / "fetched").exists():
        return
    JARS.mkdir(exist_ok=True)
    script = JARS / "noop.py"
    script.write_text("print()\n")
    excluded = "org.apache.hadoop:hadoop-client-api,org.apache.hadoop:hadoop-client-runtime,org.slf4j:*,junit:*"
    subprocess.run(
        [
            *(str(SPARK_HOME / "bin" / "spark-submit"), "--conf", f"spark.jars.ivy={JARS}"),
            *("--packages", ",".join(PACKAGES), "--exclude-packages", excluded, str(script)),
        ],
        env={**os.environ, "PYSPARK_PYTHON": sys.executable, "SPARK_HOME": str(SPARK_HOME)},
        check=True,
        timeout=300,
    )
    (JARS / "fetched").touch()


@contextlib.contextmanager
def yarn(folder: Path, gpus: str) -> Iterator[Yarn]:
    """A YARN of one node, whose processes have all ended after the block.

    Args:
        folder: for its files.
        gpus: addresses of simulated GPUs. YARN knows their number but isolates none of them: that takes its GPU plugin
            and a real GPU.
    """
    fetch_jars()
    ports = free_ports(8)
    rm, nm = "yarn.resourcemanager", "yarn.nodemanager"
    addresses = ("address", "scheduler.address", "resource-tracker.address", "admin.address", "webapp.address")
    servers = [f"{rm}.{name}" for name in addresses]
    servers += [f"{nm}.{name}" for name in ("address", "localizer.address", "webapp.address")]
    conf = folder / "conf"
    conf.mkdir()
    _write(conf / "core-site.xml", {"fs.defaultFS": "file:///", "hadoop.tmp.dir": f"{folder}/tmp"})
    _write(
        conf / "yarn-site.xml",
        {
            **{name: f"127.0.0.1:{port}" for name, port in zip(servers, ports, strict=True)},
            f"{nm}.hostname": "127.0.0.1",
            f"{nm}.local-dirs": f"{folder}/local",
            f"{nm}.log-dirs": f"{folder}/logs",
            f"{nm}.env-whitelist": "JAVA_HOME,DFLIB_GPUS",
            f"{nm}.resource.memory-mb": "12288",
            f"{nm}.resource.cpu-vcores": "4",
            f"{nm}.disk-health-checker.max-disk-utilization-per-disk-percentage": "99",
            # Java and TensorFlow reserve far more than they use.
            f"{nm}.vmem-check-enabled": "false",
            "yarn.scheduler.minimum-allocation-mb": "128",
            "yarn.resource-types": "yarn.io/gpu",
            f"{nm}.resource-type.yarn.io/gpu": str(len(gpus.split())),
        },
    )
    scheduler = "yarn.scheduler.capacity"
    _write(
        conf / "capacity-scheduler.xml",
        {
            f"{scheduler}.root.queues": "default",
            f"{scheduler}.root.default.capacity": "100",
            f"{scheduler}.maximum-am-resource-percent": "1.0",
            f"{scheduler}.resource-calculator": "org.apache.hadoop.yarn.util.resource.DominantResourceCalculator",
        },
    )
    environment = {**os.environ, "DFLIB_GPUS": gpus}
    # The machines of a cluster have neither the checkout nor the variables of the submitting machine.
    for name in ("PYTHONPATH", "DFLIB_JARS", "PYSPARK_PYTHON"):
        environment.pop(name, None)
    jars = [str(path) for name in OF_SPARK for path in (SPARK_HOME / "jars").glob(f"{name}*.jar")]
    classes = os.pathsep.join([str(conf), f"{JARS}/jars/*", *jars])
    package = "org.apache.hadoop.yarn.server"
    started: list[subprocess.Popen[bytes]] = []
    with contextlib.ExitStack() as stack:
        for name in ("resourcemanager.ResourceManager", "nodemanager.NodeManager"):
            log = stack.enter_context((folder / f"{name}.log").open("wb"))
            process = subprocess.Popen(
                [
                    "java",
                    "-Xmx512m",
                    "--add-opens=java.base/java.lang=ALL-UNNAMED",
                    "-cp",
                    classes,
                    f"{package}.{name}",
                ],
                env=environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=folder,
            )
            started.append(process)
            stack.callback(process.wait)
            stack.callback(process.terminate)
        deadline = time.monotonic() + 120
        while not _alive(ports[4]):
            failed = time.monotonic() > deadline or any(each.poll() is not None for each in started)
            assert not failed, "\n".join(path.read_text()[-8000:] for path in folder.glob("*.log"))
            time.sleep(0.5)
        yield Yarn(folder, conf)


def _write(path: Path, settings: Mapping[str, str]) -> None:
    lines = [f"<property><name>{name}</name><value>{value}</value></property>" for name, value in settings.items()]
    path.write_text("\n".join(["<configuration>", *lines, "</configuration>"]))


def _alive(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/ws/v1/cluster/metrics", timeout=5) as answer:
            metrics = json.load(answer)
            # Whether there is an outer name depends on the version of JAXB.
            return bool(metrics.get("clusterMetrics", metrics).get("activeNodes") == 1)
    except (OSError, ValueError):
        return False
