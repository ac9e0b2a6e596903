"""GPU requests of stages and devices of tasks; on a real cluster: tests/cluster."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import ValidationError
from pyspark import SparkConf

from dflib.config import ClusterConfig
from dflib.errors import ConfigError
from dflib.runtime import gpus

HOME = Path(__file__).parent.parent.parent
CLUSTER = "spark://127.0.0.1:7077"
WITH_GPUS = {"spark.executor.resource.gpu.amount": "1"}


def spark(master: str, **conf: str) -> Any:
    """The part of a session that the decision depends on."""
    settings = SparkConf(loadDefaults=False)
    for name, value in conf.items():
        settings.set(name, value)
    context = SimpleNamespace(master=master, getConf=lambda: settings)
    return SimpleNamespace(sparkContext=context, conf=SimpleNamespace(get=lambda name, default: default))


def settings(gpu: str = "auto", tasks: int = 1, mib: int | None = None) -> ClusterConfig:
    return ClusterConfig.model_validate({"gpu": gpu, "tasks_per_gpu": tasks, "gpu_memory_mib": mib})


def test_ask_of_a_local_master_uses_the_machines_gpus() -> None:
    assert gpus.ask(spark("local[2]"), settings("required", mib=500)) == (gpus.Ask("machine", True, 500), None)


def test_ask_requests_none_from_executors_without_gpus(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="dflib")
    assert gpus.ask(spark(CLUSTER), settings()) == (gpus.Ask("none", False), None)
    assert "the executors have none" in caplog.text
    assert gpus.ask(spark(CLUSTER, **WITH_GPUS), settings("off")) == (gpus.Ask("none", False), None)
    assert gpus.ask(spark(CLUSTER, **WITH_GPUS), settings(), able=False) == (gpus.Ask("none", False), None)


def test_ask_returns_a_profile_of_the_stage() -> None:
    asked, profile = gpus.ask(spark(CLUSTER, **WITH_GPUS), settings(tasks=4, mib=2000))
    assert asked == gpus.Ask("spark", False, 2000) and profile is not None
    assert {name: request.amount for name, request in profile.taskResources.items()} == {"cpus": 1.0, "gpu": 0.25}
    assert profile.executorResources == {}


def test_ask_returns_no_profile_when_every_stage_has_a_gpu() -> None:
    conf = {**WITH_GPUS, "spark.task.resource.gpu.amount": "1", "spark.dynamicAllocation.enabled": "true"}
    assert gpus.ask(spark(CLUSTER, **conf), settings()) == (gpus.Ask("spark", False), None)


@pytest.mark.parametrize(
    ("conf", "gpu", "message"),
    [
        ({}, "required", "the executors have none"),
        ({"spark.executor.resource.gpu.amount": "2"}, "auto", "start one executor a GPU"),
        ({**WITH_GPUS, "spark.dynamicAllocation.enabled": "true"}, "auto", "spark.task.resource.gpu.amount"),
    ],
)
def test_ask_rejects_impossible_requests(conf: dict[str, str], gpu: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        gpus.ask(spark(CLUSTER, **conf), settings(gpu))


def test_ask_rejects_required_gpus_for_a_stage_on_the_cpu() -> None:
    with pytest.raises(ConfigError, match="runs on the CPU only"):
        gpus.ask(spark(CLUSTER, **WITH_GPUS), settings("required"), able=False)


def test_tasks_that_share_a_gpu_need_a_memory_limit() -> None:
    with pytest.raises(ValidationError, match="gpu_memory_mib"):
        settings(tasks=2)


WORKER = """
import sys
from dflib.runtime import gpus
from dflib.errors import ClusterError
addresses, required = sys.argv[1].split(","), sys.argv[2] == "required"
for address in addresses:
    gpus._address = lambda: address or None
    try:
        device = gpus.take(gpus.Ask("spark", required), 1)
        import os
        print(device.address, device.name, os.environ["CUDA_VISIBLE_DEVICES"], device.note)
    except ClusterError as error:
        print("ClusterError", error)
"""


TWO_STAGES = """
from dflib.errors import ClusterError
from dflib.runtime import gpus
gpus._address = lambda: "3"
gpus.take(gpus.Ask("none", False), 1)
try:
    gpus.take(gpus.Ask("spark", False), 1)
except ClusterError as error:
    print(error)
"""


def test_take_refuses_another_request_in_the_same_worker() -> None:
    command = [sys.executable, "-c", TWO_STAGES]
    done = subprocess.run(command, cwd=HOME, capture_output=True, text=True, check=True, timeout=120)
    assert "has CPU:0" in done.stdout and "gpus.map_in_arrow" in done.stdout


def take(addresses: str, wish: str = "auto") -> list[str]:
    """The output of a Python worker that runs tasks one after another, each on an address."""
    command = [sys.executable, "-c", WORKER, addresses, wish]
    done = subprocess.run(command, cwd=HOME, capture_output=True, text=True, check=True, timeout=120)
    return done.stdout.splitlines()


def test_take_shows_the_worker_its_gpu_only_and_keeps_it() -> None:
    first, again, drifted = take("3,3,1")
    assert first == again == "3 CPU:0 3 TensorFlow sees no GPU at address 3"
    assert "uses GPU 3, and its task has GPU 1" in drifted and "spark.executor.resource.gpu.amount" in drifted


def test_take_rejects_a_task_without_a_required_gpu() -> None:
    without_address, without_gpu = take(",0", "required")
    assert "Spark assigned this task no GPU" in without_address
    assert "cluster.gpu=required, but TensorFlow sees no GPU at address 0" in without_gpu


WORKERS = """
import os, sys
from pyspark.sql import SparkSession
from pyspark.sql.types import StructType
from dflib.runtime import gpus
spark = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").getOrCreate()
schema = StructType.fromDDL("id long, pool string")
def function(batches):
    import pyarrow as pa
    for batch in batches:
        yield pa.RecordBatch.from_pydict({"id": [os.getpid()], "pool": [os.environ.get("DFLIB_DEVICE_POOL")]})
def stage(ask):
    return gpus.map_in_arrow(spark.range(0, 1, 1, 1), function, schema, ask, None)
cpu, gpu = gpus.Ask("none", False), gpus.Ask("machine", False, 500)
frames = [stage(cpu), stage(gpu), stage(cpu), spark.range(0, 1, 1, 1).mapInArrow(function, schema)]
for frame in frames:
    (row,) = frame.collect()  # to the end: Spark discards a worker whose output was not read whole
    print("worker", row.id, row.pool)
"""


@pytest.mark.spark
def test_map_in_arrow_keeps_python_workers_of_different_requests_apart() -> None:
    environment = {**os.environ, "PYTHONPATH": str(HOME), "PYSPARK_PYTHON": sys.executable}
    command = [sys.executable, "-c", WORKERS]
    done = subprocess.run(command, env=environment, cwd=HOME, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines() if line.startswith("worker")]
    (_, cpu, cpu_pool), (_, gpu, gpu_pool), (_, again, _), (_, plain, plain_pool) = lines
    assert cpu == again, "a worker is reused among stages with one request"
    assert len({cpu, gpu, plain}) == 3
    assert (cpu_pool, gpu_pool, plain_pool) == ("none,optional,all", "machine,optional,500", "None")
