"""Training on several workers: a barrier stage of Spark in which each task runs a child process that trains.

The children find each other by TF_CONFIG and train as one (``MultiWorkerMirroredStrategy``).  The first worker keeps
the checkpoints.  When a worker is lost, all of them end, and the driver starts the stage again, which resumes from the
last checkpoint.
"""

import contextlib
import json
import logging
import socket
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from py4j.protocol import Py4JError
from pyspark import BarrierTaskContext
from pyspark.errors import PySparkException

from dflib import config, uris
from dflib.errors import ConfigError, LostWorkerError, StorageError, TrainingError
from dflib.runtime import failure, gpus
from dflib.runtime.periodic import every
from dflib.runtime.progress import Progress
from dflib.runtime.task_log import Origin, TaskLog
from dflib.storage import Storage, local_path
from dflib.tables.schemas import TASKS
from dflib.tables.store import Tables
from dflib.training import feed, launch
from dflib.training.spec import RESULT_FILE, FitResult, FitSpec
from dflib.training.state import STATE_FILE, TrainingState

log = logging.getLogger(__name__)

POLL_SECONDS = 5.0
"""Time between looks at the state of the first worker."""

END_SECONDS = 5.0
"""Time for the children of a lost attempt to end; Spark allows their tasks two seconds."""

TOO_FEW_SLOTS = "requires more slots than"
"""Part of Spark's message about a barrier stage that cannot start."""

BACKBONE_FILE = "backbone.h5"
"""Name of the backbone's weights in the work folder."""


def run(
    spec: FitSpec,
    work: str,
    tables: Tables,
    storage: Storage,
    cluster: config.ClusterConfig,
    run_id: str,
    progress: Progress,
) -> FitResult:
    """Trains with ``train.workers`` tasks at once.

    Args:
        spec: settings of the children; each task sets its own folder and remote.
        work: URI of the work folder, on storage that all machines reach.
        tables: gives the Spark session, and takes the rows of ``tasks``.
        storage: reads and writes the work folder.
        cluster: which GPUs are used.
        run_id: the run that the rows of ``tasks`` belong to.
        progress: counts training steps.

    Raises:
        ConfigError: GPUs are required and the master schedules none.
        TrainingError: workers were lost more than ``train.max_restarts`` times, or the cluster has too few slots.
        DflibError: raised by a child.
    """
    train = spec.settings()
    spark = tables.spark
    # A whole GPU for each worker: processes that share one cannot train together.
    ask, profile = gpus.ask(spark, cluster.model_copy(update={"tasks_per_gpu": 1, "gpu_memory_mib": None}))
    if ask.source == "machine":
        if ask.required:
            raise ConfigError(
                "cluster.gpu=required with train.workers above 1 needs a cluster that schedules GPUs; on one machine "
                "train.workers=1 uses all of its GPUs"
            )
        log.warning("several workers on one machine train on its CPU; train.workers=1 would use its GPUs, if any")
        ask = replace(ask, source="none")
    progress.start("training steps", spec.steps_per_epoch * train.epochs)
    if spec.backbone is not None and local_path(work) is None:
        storage.write(uris.join(work, BACKBONE_FILE), Path(spec.backbone).read_bytes())
    for attempt in range(train.max_restarts + 1):
        rows = spark.sparkContext.parallelize(range(train.workers), train.workers)
        if profile is not None:
            rows = rows.withResources(profile)
        task = _task(spec, work, storage, ask, Origin(run_id, "train", attempt), train.workers)
        with _reported(storage, work, spec, progress):
            try:
                outcomes = rows.barrier().mapPartitions(task).collect()
                break
            except (PySparkException, Py4JError) as error:
                raised = failure.raised_by_task(error)
                if raised is not None and not isinstance(raised, LostWorkerError):
                    raise raised from None
                if TOO_FEW_SLOTS in str(error):
                    raise TrainingError(
                        f"train.workers={train.workers} need as many task slots at once, and the cluster has fewer: "
                        "give the application more cores (and GPUs, if tasks require them), or lower train.workers"
                    ) from None
                if attempt == train.max_restarts:
                    raise TrainingError(
                        f"a worker was lost {attempt + 1} times (train.max_restarts={train.max_restarts}): "
                        f"{raised or error}"
                    ) from None
                state = _read_state(storage, work)
                position = f"step {state.step} of epoch {len(state.history) + 1}"
                reason = raised or str(error).splitlines()[0]
                log.warning("a worker was lost; resuming after %s: %s", position, reason)
                time.sleep(END_SECONDS)
    progress.finish()
    task_rows = TASKS.frame(spark, [row for row, _ in outcomes])
    tables.insert_new(TASKS, task_rows)
    gpus.fallen_back(task_rows)
    result = FitResult.parse(storage.read(uris.join(work, RESULT_FILE)))
    # Each worker read its own shard of the train split; all of them read the whole validation split.
    return replace(
        result,
        unreadable={**result.unreadable, "train": sum(unreadable for _, unreadable in outcomes)},
        retries=sum(row["retries"] for row, _ in outcomes),
    )


def _task(
    spec: FitSpec, work: str, storage: Storage, ask: gpus.Ask, origin: Origin, workers: int
) -> Callable[[Iterable[Any]], Iterator[tuple[dict[str, Any], int]]]:
    """The function that each task of the barrier stage runs.

    It yields one pair: its row of ``tasks``, and the number of images of its shard that could not be read.
    """

    def run(partition: Iterable[Any]) -> Iterator[tuple[dict[str, Any], int]]:
        context = BarrierTaskContext.get()
        worker = context.partitionId()
        address, visible = gpus.environment(ask)
        task = TaskLog(origin, gpus.Device(address, gpus.CPU, None))
        own_storage = storage.counting()
        with _work_folder(own_storage, work, first=worker == 0) as (folder, remote), socket.socket() as reserved:
            host = context.getTaskInfos()[worker].address.rpartition(":")[0]
            reserved.bind(("", 0))
            # This also waits until all workers have copied the checkpoint, before the first one replaces it.
            checkpoint = TrainingState.read(folder).checkpoint
            own = json.dumps([f"{host}:{reserved.getsockname()[1]}", checkpoint])
            gathered = [json.loads(message) for message in context.allGather(own)]
            reserved.close()
            peers, checkpoints = [peer for peer, _ in gathered], {found for _, found in gathered}
            if len(checkpoints) > 1:
                raise LostWorkerError(
                    f"{work}: workers found different checkpoints to resume from: {sorted(checkpoints)}"
                )
            environment = {
                "TF_CONFIG": json.dumps({"cluster": {"worker": peers}, "task": {"type": "worker", "index": worker}}),
                **visible,
            }
            own_spec = replace(
                spec,
                folder=str(folder),
                remote=remote,
                backbone=spec.backbone and str(folder / BACKBONE_FILE),
                worker=worker,
                workers=workers,
                gpu_required=ask.required,
            )
            devices: list[str] = []
            try:
                launch.run_child(own_spec, environment, lambda message: devices.extend(message.get("devices", ())))
            except LostWorkerError as error:
                # With the last lines of the child's log, which is deleted with the folder.
                raise LostWorkerError(f"worker {worker} on {host}: {error}") from None
            if remote is not None:
                own_storage.upload_folder(folder, remote)
            result = FitResult.parse((folder / RESULT_FILE).read_bytes())
            retries = own_storage.counters.retries + result.retries
        first, last = feed.shard_bounds(sum(spec.files["train"].values()), worker, workers)
        fallen_back = address is not None and not any(device.startswith("GPU") for device in devices)
        note = gpus.unseen(address) if fallen_back else None
        yield (
            task.row(0, last - first, device=", ".join(devices), note=note, retries=retries),
            result.unreadable["train"],
        )

    return run


@contextlib.contextmanager
def _work_folder(storage: Storage, work: str, first: bool) -> Iterator[tuple[Path, str | None]]:
    """The work folder and its remote for the first worker; for the others a temporary copy, without a remote."""
    if first:
        with launch.work_folder(storage, work) as folder_and_remote:
            yield folder_and_remote
        return
    with tempfile.TemporaryDirectory(prefix="dflib-training-") as name:
        if any(True for _ in storage.list_files(work)):
            try:
                storage.download_folder(work, Path(name))
            except StorageError as error:
                # The first worker of a lost attempt, about to end, may still delete old checkpoints.
                raise LostWorkerError(str(error)) from None
        yield Path(name), None


def _read_state(storage: Storage, work: str) -> TrainingState:
    """The last state that the first worker saved; a new one if there is none."""
    try:
        return TrainingState.parse(storage.read(uris.join(work, STATE_FILE)))
    except (StorageError, ValueError):
        return TrainingState()


@contextlib.contextmanager
def _reported(storage: Storage, work: str, spec: FitSpec, progress: Progress) -> Iterator[None]:
    """Logs epochs and counts steps while the block runs, from the states that the first worker saves."""
    logged = len(_read_state(storage, work).history)

    def report() -> None:
        nonlocal logged
        state = _read_state(storage, work)
        for epoch in state.history[logged:]:
            launch.log_epoch(epoch, spec.settings())
            logged += 1
        progress.set(len(state.history) * spec.steps_per_epoch + state.step)

    try:
        with every(POLL_SECONDS, report):
            yield
    finally:
        report()
