"""GPUs: what the driver asks Spark for, and which device a task runs on. Both are decided here and nowhere else.

TensorFlow is imported inside functions, and only once the task's GPU is the one that it can see.
"""

import logging
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from pyspark import TaskContext
from pyspark.resource import ResourceProfile, ResourceProfileBuilder, TaskResourceRequests
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from dflib import config
from dflib.errors import ClusterError, ConfigError
from dflib.runtime.session import is_local, task_cores

log = logging.getLogger(__name__)

GPU, CPU = "GPU:0", "CPU:0"
"""TensorFlow's names; a task sees one GPU at most, so it is always its first."""
VISIBLE = "CUDA_VISIBLE_DEVICES"
POOL = "DFLIB_DEVICE_POOL"
"""Variable of the Python workers of a stage, by which Spark keeps them apart from those of other stages."""


@dataclass(frozen=True)
class Ask:
    """What the tasks of a stage may expect; goes over the wire.

    Attributes:
        source: where a GPU comes from: Spark gives each task an address; the machine has what TensorFlow sees
            (local masters schedule none); or there is none to be had.
        required: whether a task without a GPU fails instead of using the CPU.
        task_mib: memory of the GPU that a task may take, MiB; None: what it needs.
    """

    source: Literal["spark", "machine", "none"]
    required: bool
    task_mib: int | None = None


@dataclass(frozen=True)
class Device:
    """Where a task runs.

    Attributes:
        address: the GPU's address that Spark gave, also when TensorFlow can't use it.
        name: TensorFlow's name.
        note: why it is not a GPU; None when it is one.
    """

    address: str | None
    name: str
    note: str | None


def ask(spark: SparkSession, settings: config.ClusterConfig, able: bool = True) -> tuple[Ask, ResourceProfile | None]:
    """What to tell the tasks of a stage, and the profile for ``mapInArrow``; the reason is logged.

    Spark hands out GPUs by the application's configuration (``spark.task.resource.gpu.amount``: every stage needs
    one) or, better, by a profile of this stage, which only asks for tasks: the other stages use all cores.

    Args:
        able: whether what runs in the tasks can use a GPU at all.

    Raises:
        ConfigError: ``cluster.gpu=required`` where none can come from.
    """
    conf = spark.sparkContext.getConf()
    amount = int(conf.get("spark.executor.resource.gpu.amount", "0") or 0)
    required = settings.gpu == "required"
    if settings.gpu == "off" or not able:
        if required:
            raise ConfigError("cluster.gpu=required, but what is configured runs on the CPU only; say auto or off")
        return _said(Ask("none", False), "none asked for" if settings.gpu == "off" else "what runs here uses the CPU")
    if is_local(spark):
        return _said(Ask("machine", required, settings.gpu_memory_mib), "a local master schedules none: what is there")
    if amount == 0:
        if required:
            raise ConfigError(
                "cluster.gpu=required, but the executors have none: set spark.executor.resource.gpu.amount to 1 and "
                "its discoveryScript in the properties file (conf/spark), or say cluster.gpu=auto"
            )
        return _said(Ask("none", False), "the executors have none (spark.executor.resource.gpu.amount)")
    if amount > 1:
        raise ConfigError(
            f"spark.executor.resource.gpu.amount is {amount}: a Python worker serves task after task and can't change "
            "its GPU; set it to 1 and start an executor a GPU"
        )
    given = Ask("spark", required, settings.gpu_memory_mib)
    if conf.get("spark.task.resource.gpu.amount", None):
        return _said(given, "every task has one, by spark.task.resource.gpu.amount")
    if conf.get("spark.dynamicAllocation.enabled", "false") == "true":
        raise ConfigError(
            "GPUs by stage need spark.dynamicAllocation.enabled=false; or set spark.task.resource.gpu.amount, so that "
            "all stages ask for one"
        )
    share = 1 / settings.tasks_per_gpu
    requests = TaskResourceRequests().cpus(task_cores(spark)).resource("gpu", share)
    # A property in pyspark, although it looks like a builder's method.
    profile = ResourceProfileBuilder().require(requests).build
    _, none = _said(given, f"the tasks of this stage ask for {share:g} of one each")
    assert none is None
    return given, profile


def map_in_arrow(
    rows: DataFrame,
    function: Callable[[Iterable[Any]], Iterator[Any]],
    schema: StructType,
    ask: Ask,
    profile: ResourceProfile | None,
) -> DataFrame:
    """``rows.mapInArrow`` for a function that calls :func:`take` with the same ``ask``.

    TensorFlow can't change its device, so a Python worker keeps the one of its first task. Spark reuses workers
    between stages, but only among functions with the same environment variables: the executor pools them by
    interpreter, daemon and variables. A variable that names the request keeps stages with different requests apart.

    Args:
        ask, profile: of :func:`ask`.
    """
    # pyspark copies this dictionary into a function when the function is bound to a DataFrame.
    variables = rows.sparkSession.sparkContext.environment
    before = variables.get(POOL)
    variables[POOL] = f"{ask.source},{'required' if ask.required else 'optional'},{ask.task_mib or 'all'}"
    try:
        return rows.mapInArrow(function, schema, profile=profile)
    finally:
        if before is None:
            del variables[POOL]
        else:
            variables[POOL] = before


def _said(given: Ask, reason: str) -> tuple[Ask, None]:
    log.info("GPUs: %s", reason)
    return given, None


_own: tuple[Ask, Device] | None = None
"""The device of this Python worker, which outlives its tasks, and the request that it was chosen for."""


def take(given: Ask, threads: int) -> Device:
    """The device of the task that calls this; makes it the only GPU that TensorFlow sees in this process.

    Must be called before anything imports TensorFlow.

    Args:
        threads: as many as TensorFlow may use at once: the cores of the task.

    Raises:
        ClusterError: the GPU is another one than this process already uses; there is none and one is required; or
            this process already has a device for another request (see :func:`map_in_arrow`).
    """
    global _own
    address = _given(given)
    if _own is not None:
        first, device = _own
        if first != given:
            raise ClusterError(
                f"this Python worker has {device.name} for a stage with {first} and can't change it for {given}; the "
                "stage must be built with gpus.map_in_arrow"
            )
        if device.address != address:
            raise ClusterError(
                f"this Python worker uses GPU {device.address}, and its task has GPU {address}: TensorFlow can't "
                "change it; set spark.executor.resource.gpu.amount to 1, so that an executor has one GPU"
            )
        return device
    if given.source != "machine":
        visible = _visible(address)
        if "tensorflow" in sys.modules and os.environ.get(VISIBLE) != visible[VISIBLE]:
            raise ClusterError("TensorFlow was imported before the task's GPU was known; report this")
        os.environ.update(visible)
    device = _found(given, address, threads)
    _own = given, device
    return device


def fallen_back(tasks: DataFrame) -> None:
    """Says once why tasks that were given a GPU ran on the CPU; nothing where they did not.

    Args:
        tasks: rows of the table ``tasks``.
    """
    asked = tasks.where(F.col("gpu").isNotNull() & F.col("note").isNotNull())
    found = asked.agg(F.count(F.lit(1)).alias("tasks"), F.min("note").alias("note")).first()
    assert found is not None
    if found["tasks"]:
        log.warning("%d tasks that had a GPU ran on the CPU: %s", found["tasks"], found["note"])


def environment(ask: Ask) -> tuple[str | None, dict[str, str]]:
    """The GPU's address and the variables of a child process that is to see that GPU and no other.

    Raises:
        ClusterError: Spark gave the task none although the executors have some.
    """
    if ask.source == "machine":
        return None, {}
    address = _given(ask)
    return address, _visible(address)


def _visible(address: str | None) -> dict[str, str]:
    """Variables of a process that sees the GPU at the address, or none. Addresses are nvidia-smi's, in PCI's order."""
    return {VISIBLE: "-1" if address is None else address, "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}


def unseen(address: str | None) -> str:
    """Why what was to use the GPU at the address, or any of this machine, uses none."""
    return f"TensorFlow sees no GPU {'on this machine' if address is None else f'at address {address}'}"


def _given(ask: Ask) -> str | None:
    """The GPU's address where Spark gives one to each task."""
    if ask.source != "spark":
        return None
    address = _address()
    if address is None:
        raise ClusterError("Spark gave this task no GPU, although the executors have some; report this")
    return address


def _address() -> str | None:
    context = TaskContext.get()
    found = context.resources().get("gpu") if context else None
    return found.addresses[0] if found and found.addresses else None


def _found(given: Ask, address: str | None, threads: int) -> Device:
    if given.source == "none":
        return Device(None, CPU, "no GPU asked for")
    from dflib.runtime.tensorflow_setup import tensorflow

    tf = tensorflow(threads)
    seen = tf.config.list_physical_devices("GPU")
    if not seen:
        if given.required:
            raise ClusterError(
                f"cluster.gpu=required, but {unseen(address)}; install tensorflow[and-cuda] and the "
                "driver there, or say cluster.gpu=auto to use the CPU"
            )
        return Device(address, CPU, unseen(address))
    if given.task_mib is not None:
        tf.config.experimental.set_memory_growth(seen[0], False)
        limit = tf.config.LogicalDeviceConfiguration(memory_limit=given.task_mib)
        tf.config.set_logical_device_configuration(seen[0], [limit])
    return Device(address, GPU, None)
