"""Two workers train as one would, and resume when one of them is lost."""

import contextlib
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import psutil
import pyarrow.parquet as pq
import pytest

from dflib.config import ClusterConfig
from dflib.errors import CountError, TrainingError
from dflib.runtime.progress import Progress
from dflib.storage import Storage
from dflib.tables.schemas import TASKS
from dflib.tables.store import Tables
from dflib.training import workers
from dflib.training.spec import FitResult, FitSpec
from dflib.training.state import TrainingState
from tests.ports import free_ports
from tests.training.test_fit import fit_spec

HOME = Path(__file__).parent.parent.parent
NO_AUGMENTATION = [f"train.augment.{name}=0" for name in ("rotation", "width_shift", "height_shift", "shear", "zoom")]
CLUSTER = ClusterConfig(gpu="auto", tasks_per_gpu=1, gpu_memory_mib=None)


def run_children(spec: FitSpec, folder: Path, count: int, mode: str, kill_after: int | None = None) -> list[int]:
    """Exit codes of children that train together; the last one kills itself after ``kill_after`` steps."""
    peers = [f"127.0.0.1:{port}" for port in free_ports(count)]
    children = []
    for worker in range(count):
        work = folder / f"{count}-{worker}"
        work.mkdir(exist_ok=True)
        own_spec = replace(spec, folder=str(work), worker=worker, workers=count)
        (work / "spec.json").write_text(json.dumps(asdict(own_spec)))
        variables = {**os.environ, "PYTHONPATH": str(HOME), "TF_USE_LEGACY_KERAS": "1", "CUDA_VISIBLE_DEVICES": "-1"}
        if count > 1:
            task = {"type": "worker", "index": worker}
            variables["TF_CONFIG"] = json.dumps({"cluster": {"worker": peers}, "task": task})
        script = str(Path(__file__).parent / "recording_fit.py")
        command = [sys.executable, script, str(work / "spec.json"), str(work / "steps.json"), mode]
        if kill_after is not None and worker == count - 1:
            command.append(str(kill_after))
        log = (work / "log").open("wb")
        children.append(
            subprocess.Popen(command, env=variables, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=log)
        )
    return [child.wait(300) for child in children]


def step_losses(spec: FitSpec, folder: Path, count: int, mode: str) -> list[float]:
    """Loss after each step, as the first of ``count`` workers records it."""
    codes = run_children(spec, folder, count, mode)
    assert codes == [0] * count, "\n".join(path.read_text() for path in folder.glob(f"{count}-*/log"))
    return list(json.loads((folder / f"{count}-0" / "steps.json").read_text()))


def in_order_of_two_workers(spec: FitSpec, batch_size: int) -> FitSpec:
    """The same training set, its rows in the order in which two workers together read them.

    Each of them reads one half of the rows, and takes half a batch at a time.
    """
    (file,) = spec.files["train"]
    table = pq.read_table(file.removeprefix("file://"))
    half, part = len(table) // 2, batch_size // 2
    order = [first + row for at in range(0, half, part) for first in (0, half) for row in range(at, at + part)]
    assert sorted(order) == list(range(len(table)))
    other = file.replace("train-", "reordered-")
    pq.write_table(table.take(order), other.removeprefix("file://"))
    return replace(spec, files=spec.files | {"train": {other: len(table)}})


@pytest.mark.cluster
@pytest.mark.parametrize(("mode", "tolerance"), [("plain", 1e-5), ("deterministic", 0.02)])
def test_two_workers_take_the_steps_of_one(tmp_path: Path, mode: str, tolerance: float) -> None:
    """With the same batches, shared by two, the loss agrees after each step."""
    options = [*NO_AUGMENTATION, "train.augment.horizontal_flip=false", "train.learning_rate=0.01"]
    spec = fit_spec(tmp_path, "train.batch_size=16", "train.epochs=3", *options)
    one = step_losses(in_order_of_two_workers(spec, 16), tmp_path, 1, mode)
    two = step_losses(spec, tmp_path, 2, mode)
    assert len(one) == len(two) == 3 * 64 // 16
    # Within an epoch, Keras passes callbacks the sum over the workers.
    np.testing.assert_allclose(np.array(two) / 2, one, rtol=tolerance)
    assert one[-1] < one[0]


@pytest.mark.cluster
@pytest.mark.parametrize(("count", "micro_batches", "devices"), [(1, 1, 1), (1, 2, 1), (1, 1, 2), (2, 1, 1)])
def test_a_resumed_training_has_the_figures_of_an_uninterrupted_one(
    tmp_path: Path, count: int, micro_batches: int, devices: int
) -> None:
    """Killed within an epoch, between two checkpoints: the same batches, augmentation, dropout and figures."""
    small = ["train.batch_size=8", "train.epochs=4", "train.checkpoint_steps=3", "train.learning_rate=0.01"]
    spec = fit_spec(tmp_path, *small, f"train.accumulate={micro_batches}")
    spec = replace(spec, devices=[f"CPU:{number}" for number in range(devices)] if devices > 1 else [])
    histories = {}
    for name in ("uninterrupted", "resumed"):
        folder = tmp_path / name
        folder.mkdir()
        first = folder / f"{count}-0"
        if name == "resumed":
            # After the fifth of the eight steps of the second epoch.
            codes = run_children(spec, folder, count, "random", kill_after=13)
            assert codes[-1] == -signal.SIGKILL and 0 not in codes
            saved = TrainingState.read(first)
            assert (len(saved.history), saved.step) == (1, 3)
            # Leftovers of a kill while a checkpoint is being written.
            (first / "checkpoint-1-6_temp").mkdir()
            (first / "checkpoint-1-6_temp" / "part").touch()
            if count > 1:
                shutil.copytree(first, folder / f"{count}-1", dirs_exist_ok=True)
        codes = run_children(spec, folder, count, "random")
        assert codes == [0] * count, "\n".join(path.read_text() for path in folder.glob(f"{count}-*/log"))
        if name == "uninterrupted" and count * devices > 1:
            dropped = [line for path in folder.glob("*/DROPPED") for line in path.read_text().splitlines()]
            # Each device drops other elements; the same ones on all devices would teach less.
            assert len(dropped) == len(set(dropped)) == 4 * 8 * count * devices
        state = TrainingState.read(first)
        assert [epoch.epoch for epoch in state.history] == [1, 2, 3, 4]
        histories[name] = [[epoch.loss, epoch.accuracy, epoch.val_loss, epoch.val_accuracy] for epoch in state.history]
    np.testing.assert_allclose(histories["resumed"], histories["uninterrupted"], rtol=1e-4)


@pytest.mark.cluster
def test_run_resumes_when_a_worker_is_lost(tables: Tables, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    spec = fit_spec(
        tmp_path, "train.batch_size=8", "train.workers=2", "train.max_restarts=1", "train.epochs=8", "train.seed=3"
    )
    killed = threading.Event()

    def kill() -> None:
        state = Path(spec.folder) / "state.json"
        while not killed.is_set():
            if state.is_file() and len(json.loads(state.read_text())["history"]) >= 2:
                training_processes()[-1].kill()
                killed.set()
            time.sleep(0.05)

    thread = threading.Thread(target=kill, daemon=True)
    thread.start()
    result = run(spec, tables)
    assert killed.is_set()
    # The log of the lost worker is deleted; its last lines are in the warning.
    assert re.search(r"resuming after step .*: worker \d on .* ended with exit code .*fit.log:\n.+", caplog.text)
    assert [epoch.epoch for epoch in result.history] == list(range(1, 9))
    assert result.history[-1].loss < 0.3 * result.history[0].loss
    assert result.best_epoch.val_loss < 0.3 and result.best_epoch.val_accuracy > 0.9
    rows = tables.read(TASKS).collect()
    assert sorted((row["wave"], row["task"]) for row in rows) == [(1, 0), (1, 1)], "the second attempt finished"
    assert {row["device"] for row in rows} == {"CPU"} and not training_processes()


@pytest.mark.spark
def test_run_raises_the_error_of_a_worker(tables: Tables, tmp_path: Path) -> None:
    spec = fit_spec(tmp_path, "train.batch_size=8", "train.workers=2")
    with pytest.raises(CountError, match="64 rows according to its footer, 65 according to the training set"):
        run(replace(spec, files=spec.files | {"train": dict.fromkeys(spec.files["train"], 65)}), tables)


@pytest.mark.spark
def test_run_rejects_more_workers_than_slots(tables: Tables, tmp_path: Path) -> None:
    spec = fit_spec(tmp_path, "train.batch_size=9", "train.workers=3")
    with pytest.raises(TrainingError, match="=3 need as many task slots at once, and the cluster has fewer"):
        run(spec, tables)


def run(spec: FitSpec, tables: Tables) -> FitResult:
    return workers.run(spec, f"file://{spec.folder}", tables, Storage(), CLUSTER, "run", Progress(io.StringIO()))


def training_processes() -> list[psutil.Process]:
    """Processes below this one that train, oldest first."""
    found = []
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if "dflib.training.fit" in process.cmdline() and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return sorted(found, key=lambda process: process.create_time())
