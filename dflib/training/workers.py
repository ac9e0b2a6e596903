"""Training on several workers: a barrier stage of Spark in which each task starts a child that trains.

The children find each other by TF_CONFIG and train as one (``MultiWorkerMirroredStrategy``).  The first of them keeps
the checkpoints; when any is lost all end, and the driver starts the stage again, which goes on at the step that was
saved last.
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
from dflib.runtime.progress import Progress
from dflib.runtime.repeated import every
from dflib.runtime.task_log import Origin, TaskLog
from dflib.storage import Storage, local_path
from dflib.tables.schemas import TASKS
from dflib.tables.store import Tables
from dflib.training import feed, launch
from dflib.training.fit import STATE, State
from dflib.training.launch import Result, Spec

log = logging.getLogger(__name__)

POLL_SECONDS = 5.0
END_SECONDS = 5.0
"""In which the children of a lost start end; Spark gives their tasks two."""
TOO_FEW_SLOTS = "requires more slots than"
"""In what Spark says of a barrier stage that can't start."""
BACKBONE = "backbone.h5"
"""Name of the backbone's weights in the work folder."""


def run(
    spec: Spec,
    work: str,
    tables: Tables,
    storage: Storage,
    cluster: config.ClusterConfig,
    run_id: str,
    progress: Progress,
) -> Result:
    """Trains with ``train.workers`` tasks at once and comes back when all have ended.

    Args:
        spec: its folder and remote are chosen by each task.
        work: URI of the work folder, on storage that all machines reach.

    Raises:
        ConfigError: GPUs are required and the master gives none out.
        TrainingError: workers were lost more than ``train.max_restarts`` times.
        DflibError: what a child raised on purpose.
    """
    train = spec.settings()
    spark = tables.spark
    # Each of them a GPU for itself: processes that share one can't train together.
    ask, profile = gpus.ask(spark, cluster.model_copy(update={"tasks_per_gpu": 1, "gpu_memory_mib": None}))
    if ask.source == "machine":
        if ask.required:
            raise ConfigError(
                "cluster.gpu=required with train.workers above 1 needs a cluster that gives GPUs out; on one machine "
                "train.workers=1 uses all of its GPUs"
            )
        log.warning("several workers on one machine train on its CPU; train.workers=1 would use its GPUs, if any")
        ask = replace(ask, source="none")
    progress.start("training steps", spec.steps * train.epochs)
    if spec.backbone is not None and local_path(work) is None:
        storage.write(uris.join(work, BACKBONE), Path(spec.backbone).read_bytes())
    for attempt in range(train.max_restarts + 1):
        rows = spark.sparkContext.parallelize(range(train.workers), train.workers)
        if profile is not None:
            rows = rows.withResources(profile)
        task = _task(spec, work, storage, ask, Origin(run_id, "train", attempt), train.workers)
        with _watched(storage, work, spec, progress):
            try:
                ran = rows.barrier().mapPartitions(task).collect()
                break
            except (PySparkException, Py4JError) as error:
                said = failure.told(error)
                if said is not None and not isinstance(said, LostWorkerError):
                    raise said from None
                if TOO_FEW_SLOTS in str(error):
                    raise TrainingError(
                        f"train.workers={train.workers} are to start at once, and the cluster has fewer slots: give "
                        "the application more cores (and GPUs, where tasks ask for them), or lower train.workers"
                    ) from None
                if attempt == train.max_restarts:
                    raise TrainingError(
                        f"a worker was lost {attempt + 1} times (train.max_restarts={train.max_restarts}): "
                        f"{said or error}"
                    ) from None
                state = _state(storage, work)
                at = f"step {state.step} of epoch {len(state.history) + 1}"
                log.warning("a worker was lost, going on after %s: %s", at, said or str(error).splitlines()[0])
                time.sleep(END_SECONDS)
    progress.finish()
    own = spark.createDataFrame([row for row, _ in ran], TASKS.spark_schema())
    tables.insert_new(TASKS, own)
    gpus.fallen_back(own)
    result = launch.read_result(storage.read(uris.join(work, launch.RESULT)))
    # Each read its share of the training set, and all the whole of the validation set.
    return replace(
        result,
        unreadable={**result.unreadable, "train": sum(unreadable for _, unreadable in ran)},
        retries=sum(row["retries"] for row, _ in ran),
    )


def _task(
    spec: Spec, work: str, storage: Storage, ask: gpus.Ask, origin: Origin, workers: int
) -> Callable[[Iterable[Any]], Iterator[tuple[dict[str, Any], int]]]:
    """What a task of the barrier stage does; goes over the wire. Gives its row, and the pictures it could not read."""

    def run(partition: Iterable[Any]) -> Iterator[tuple[dict[str, Any], int]]:
        context = BarrierTaskContext.get()
        place = context.partitionId()
        address, visible = gpus.environment(ask)
        task = TaskLog(origin, gpus.Device(address, gpus.CPU, None))
        own_storage = storage.counting()
        with _folder(own_storage, work, first=place == 0) as (folder, remote), socket.socket() as held:
            host = context.getTaskInfos()[place].address.rpartition(":")[0]
            held.bind(("", 0))
            # All have what they begin from before the first of them writes anything.
            begun = State.read(folder).checkpoint
            own = json.dumps([f"{host}:{held.getsockname()[1]}", begun])
            told = [json.loads(one) for one in context.allGather(own)]
            held.close()
            peers, checkpoints = [address for address, _ in told], {one for _, one in told}
            if len(checkpoints) > 1:
                raise LostWorkerError(f"workers would begin at different checkpoints ({sorted(checkpoints)}) of {work}")
            environment = {
                "TF_CONFIG": json.dumps({"cluster": {"worker": peers}, "task": {"type": "worker", "index": place}}),
                **visible,
            }
            spec_here = replace(
                spec,
                folder=str(folder),
                remote=remote,
                backbone=spec.backbone and str(folder / BACKBONE),
                worker=place,
                workers=workers,
                gpu_required=ask.required,
            )
            devices: list[str] = []
            try:
                launch.child(spec_here, environment, lambda message: devices.extend(message.get("devices", ())))
            except LostWorkerError as error:
                # Its log is thrown away with its folder.
                raise LostWorkerError(f"worker {place} on {host}: {error}") from None
            if remote is not None:
                own_storage.upload_folder(folder, remote)
            result = launch.read_result((folder / launch.RESULT).read_bytes())
            retries = own_storage.counters.retries + result.retries
        first, last = feed.bounds(sum(spec.files["train"].values()), place, workers)
        fallen_back = address is not None and not any(device.startswith("GPU") for device in devices)
        note = gpus.unseen(address) if fallen_back else None
        yield (
            task.row(0, last - first, device=", ".join(devices), note=note, retries=retries),
            result.unreadable["train"],
        )

    return run


@contextlib.contextmanager
def _folder(storage: Storage, work: str, first: bool) -> Iterator[tuple[Path, str | None]]:
    """The work folder of the first worker; for the others a copy of it, which is thrown away."""
    if first:
        with launch.workplace(storage, work) as place:
            yield place
        return
    with tempfile.TemporaryDirectory(prefix="dflib-training-") as name:
        if any(True for _ in storage.list_files(work)):
            try:
                storage.download_folder(work, Path(name))
            except StorageError as error:
                # The first worker of a start that is about to end may still tidy up.
                raise LostWorkerError(str(error)) from None
        yield Path(name), None


def _state(storage: Storage, work: str) -> State:
    """How far the first worker has written down that it came."""
    try:
        return State.parse(storage.read(uris.join(work, STATE)))
    except (StorageError, ValueError):
        return State()


@contextlib.contextmanager
def _watched(storage: Storage, work: str, spec: Spec, progress: Progress) -> Iterator[None]:
    """Tells of the epochs and steps that the first worker writes down, while the block runs."""
    told = len(_state(storage, work).history)

    def look() -> None:
        nonlocal told
        state = _state(storage, work)
        for epoch in state.history[told:]:
            launch.log_epoch(epoch, spec.settings())
            told += 1
        progress.set(len(state.history) * spec.steps + state.step)

    try:
        with every(POLL_SECONDS, look):
            yield
    finally:
        look()
