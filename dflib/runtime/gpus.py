"""GPUs: what the driver requests from Spark, and which device a task runs on. Both are decided here only.

TensorFlow is imported inside functions, after CUDA_VISIBLE_DEVICES has been set to the task's GPU.
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
"""TensorFlow's names. A task sees one GPU at most, so it is always the first."""
VISIBLE = "CUDA_VISIBLE_DEVICES"
POOL = "DFLIB_DEVICE_POOL"
"""Variable that separates the Python workers of stages with different requests; see :func:`map_in_arrow`."""


@dataclass(frozen=True)
class Ask:
    """The GPU request of a stage, sent to its tasks.

    Attributes:
        source: where a GPU comes from: ``spark`` assigns each task an address; ``machine`` has what TensorFlow sees
            (local masters schedule no GPUs); ``none``: the stage uses the CPU.
        required: whether a task without a GPU fails instead of using the CPU.
        task_mib: GPU memory that a task may use, MiB; None: unlimited.
    """

    source: Literal["spark", "machine", "none"]
    required: bool
    task_mib: int | None = None


@dataclass(frozen=True)
class Device:
    """The device of a task.

    Attributes:
        address: of the GPU that Spark assigned, even if TensorFlow can't use it.
        name: TensorFlow's name.
        note: the reason for not using a GPU; None on a GPU.
    """

    address: str | None
    name: str
    note: str | None


def ask(spark: SparkSession, settings: config.ClusterConfig, able: bool = True) -> tuple[Ask, ResourceProfile | None]:
    """The GPU request of a stage, and its resource profile for :func:`map_in_arrow`; the reason is logged.

    Spark assigns GPUs by the application's configuration (``spark.task.resource.gpu.amount``: every stage needs
    one) or, better, by a profile of this stage with requests for tasks only, so that other stages use all cores.

    Args:
        able: whether the code of the tasks can use a GPU at all.

    Raises:
        ConfigError: ``cluster.gpu=required`` where no GPU is available, or settings with which Spark can't assign GPUs.
    """
    conf = spark.sparkContext.getConf()
    amount = int(conf.get("spark.executor.resource.gpu.amount", "0") or 0)
    required = settings.gpu == "required"
    if settings.gpu == "off" or not able:
        if required:
            raise ConfigError(
                "cluster.gpu=required, but the configured detector runs on the CPU only; set it to auto or off"
            )
        reason = "cluster.gpu=off" if settings.gpu == "off" else "this stage runs on the CPU only"
        return _logged(Ask("none", False), reason), None
    if is_local(spark):
        request = Ask("machine", required, settings.gpu_memory_mib)
        return _logged(request, "a local master schedules none; tasks use what TensorFlow finds"), None
    if amount == 0:
        if required:
            raise ConfigError(
                "cluster.gpu=required, but the executors have none: set spark.executor.resource.gpu.amount to 1 and "
                "its discoveryScript in the properties file (conf/spark), or set cluster.gpu=auto"
            )
        return _logged(Ask("none", False), "the executors have none (spark.executor.resource.gpu.amount)"), None
    if amount > 1:
        raise ConfigError(
            f"spark.executor.resource.gpu.amount is {amount}: a Python worker serves task after task and can't change "
            "its GPU; set it to 1 and start one executor a GPU"
        )
    request = Ask("spark", required, settings.gpu_memory_mib)
    if conf.get("spark.task.resource.gpu.amount", None):
        return _logged(request, "every task has one (spark.task.resource.gpu.amount)"), None
    if conf.get("spark.dynamicAllocation.enabled", "false") == "true":
        raise ConfigError(
            "GPUs by stage need spark.dynamicAllocation.enabled=false; or set spark.task.resource.gpu.amount, so that "
            "all stages request one"
        )
    share = 1 / settings.tasks_per_gpu
    requests = TaskResourceRequests().cpus(task_cores(spark)).resource("gpu", share)
    # A property in pyspark, although it looks like a builder's method.
    profile = ResourceProfileBuilder().require(requests).build
    return _logged(request, f"each task of this stage requests {share:g} of one"), profile


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


def _logged(request: Ask, reason: str) -> Ask:
    log.info("GPUs: %s", reason)
    return request


_own: tuple[Ask, Device] | None = None
"""The device of this Python worker, which outlives its tasks, and the request that it was chosen for."""


def take(request: Ask, threads: int) -> Device:
    """The device of the calling task; makes it the only GPU that TensorFlow sees in this process.

    Must be called before anything imports TensorFlow.

    Args:
        threads: of TensorFlow: the cores of the task.

    Raises:
        ClusterError: the GPU differs from the one that this process already uses; there is none and one is required; or
            this process already has a device for another request (see :func:`map_in_arrow`).
    """
    global _own
    address = _assigned(request)
    if _own is not None:
        first, device = _own
        if first != request:
            raise ClusterError(
                f"this Python worker has {device.name} for a stage with {first} and can't change it for {request}; the "
                "stage must be built with gpus.map_in_arrow"
            )
        if device.address != address:
            raise ClusterError(
                f"this Python worker uses GPU {device.address}, and its task has GPU {address}: TensorFlow can't "
                "change it; set spark.executor.resource.gpu.amount to 1, so that an executor has one GPU"
            )
        return device
    if request.source != "machine":
        visible = _visible(address)
        if "tensorflow" in sys.modules and os.environ.get(VISIBLE) != visible[VISIBLE]:
            raise ClusterError("TensorFlow was imported before the task's GPU was known; report this as a bug")
        os.environ.update(visible)
    device = found(request, address, threads)
    _own = request, device
    return device


def fallen_back(tasks: DataFrame) -> None:
    """Logs one warning when tasks with an assigned GPU ran on the CPU, with the reason.

    Args:
        tasks: rows of the table ``tasks``.
    """
    asked = tasks.where(F.col("gpu").isNotNull() & F.col("note").isNotNull())
    found = asked.agg(F.count(F.lit(1)).alias("tasks"), F.min("note").alias("note")).first()
    assert found is not None
    if found["tasks"]:
        log.warning("%d tasks that had a GPU ran on the CPU: %s", found["tasks"], found["note"])


def environment(ask: Ask) -> tuple[str | None, dict[str, str]]:
    """The GPU's address, and the variables of a child process that shall see only that GPU.

    Raises:
        ClusterError: Spark assigned the task no GPU although the executors have some.
    """
    if ask.source == "machine":
        return None, {}
    address = _assigned(ask)
    return address, _visible(address)


def _visible(address: str | None) -> dict[str, str]:
    """Variables of a process that sees the GPU at the address, or none. Addresses are nvidia-smi's, in PCI order."""
    return {VISIBLE: "-1" if address is None else address, "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}


def unseen(address: str | None) -> str:
    """The reason for running without the GPU at the address, or without any of this machine."""
    return f"TensorFlow sees no GPU {'on this machine' if address is None else f'at address {address}'}"


def _assigned(ask: Ask) -> str | None:
    """The address of the task's GPU where Spark assigns them."""
    if ask.source != "spark":
        return None
    address = _address()
    if address is None:
        raise ClusterError("Spark assigned this task no GPU, although the executors have some; report this as a bug")
    return address


def _address() -> str | None:
    context = TaskContext.get()
    found = context.resources().get("gpu") if context else None
    return found.addresses[0] if found and found.addresses else None


def found(request: Ask, address: str | None, threads: int) -> Device:
    """The device that TensorFlow finds in this process, which sees the GPU at the address only.

    Args:
        request, address: as the task has them.
        threads: of TensorFlow.

    Raises:
        ClusterError: there is no GPU and one is required.
    """
    if request.source == "none":
        return Device(None, CPU, "no GPU requested")
    from dflib.runtime.tensorflow_setup import tensorflow

    tf = tensorflow(threads)
    seen = tf.config.list_physical_devices("GPU")
    if not seen:
        if request.required:
            raise ClusterError(
                f"cluster.gpu=required, but {unseen(address)}; install tensorflow[and-cuda] and the "
                "driver there, or set cluster.gpu=auto to use the CPU"
            )
        return Device(address, CPU, unseen(address))
    if request.task_mib is not None:
        tf.config.experimental.set_memory_growth(seen[0], False)
        limit = tf.config.LogicalDeviceConfiguration(memory_limit=request.task_mib)
        tf.config.set_logical_device_configuration(seen[0], [limit])
    return Device(address, GPU, None)
