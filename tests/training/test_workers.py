"""Two workers train as one would, and go on when one of them is lost."""

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
from dflib.training.fit import State
from dflib.training.launch import Spec
from tests.ports import free_ports
from tests.training.test_fit import spec

HOME = Path(__file__).parent.parent.parent
STILL = [f"train.augment.{name}=0" for name in ("rotation", "width_shift", "height_shift", "shear", "zoom")]
CLUSTER = ClusterConfig(gpu="auto", tasks_per_gpu=1, gpu_memory_mib=None)


def together(told: Spec, folder: Path, count: int, how: str, killed_after: int | None = None) -> list[int]:
    """Exit codes of some workers that train together, the last of them killed after some steps, if asked."""
    peers = [f"127.0.0.1:{port}" for port in free_ports(count)]
    children = []
    for place in range(count):
        work = folder / f"{count}-{place}"
        work.mkdir(exist_ok=True)
        own = replace(told, folder=str(work), worker=place, workers=count)
        (work / "spec.json").write_text(json.dumps(asdict(own)))
        variables = {**os.environ, "PYTHONPATH": str(HOME), "TF_USE_LEGACY_KERAS": "1", "CUDA_VISIBLE_DEVICES": "-1"}
        if count > 1:
            task = {"type": "worker", "index": place}
            variables["TF_CONFIG"] = json.dumps({"cluster": {"worker": peers}, "task": task})
        script = str(Path(__file__).parent / "fit_noting_steps.py")
        command = [sys.executable, script, str(work / "spec.json"), str(work / "steps.json"), how]
        if killed_after is not None and place == count - 1:
            command.append(str(killed_after))
        log = (work / "log").open("wb")
        children.append(
            subprocess.Popen(command, env=variables, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=log)
        )
    return [child.wait(300) for child in children]


def steps(told: Spec, folder: Path, count: int, how: str) -> list[float]:
    """Losses of all steps, as the first of some workers sees them."""
    codes = together(told, folder, count, how)
    assert codes == [0] * count, "\n".join(path.read_text() for path in folder.glob(f"{count}-*/log"))
    return list(json.loads((folder / f"{count}-0" / "steps.json").read_text()))


def dealt_out(told: Spec, batch: int) -> Spec:
    """The same set in the order in which two workers take its rows together: half a batch of each half in turn."""
    (file,) = told.files["train"]
    table = pq.read_table(file.removeprefix("file://"))
    half = len(table) // 2
    order = [
        place + row for at in range(0, half, batch // 2) for place in (0, half) for row in range(at, at + batch // 2)
    ]
    assert sorted(order) == list(range(len(table)))
    other = file.replace("train-", "dealt-")
    pq.write_table(table.take(order), other.removeprefix("file://"))
    return replace(told, files=told.files | {"train": {other: len(table)}})


@pytest.mark.parametrize(("how", "tolerance"), [("plain", 1e-5), ("certain", 0.02)])
def test_two_workers_take_the_steps_of_one(tmp_path: Path, how: str, tolerance: float) -> None:
    """The same batches, each shared by two: the loss agrees after every step."""
    still = [*STILL, "train.augment.horizontal_flip=false", "train.learning_rate=0.01"]
    told = spec(tmp_path, "train.batch_size=16", "train.epochs=3", *still)
    one, two = (steps(set_of, tmp_path, count, how) for count, set_of in ((1, dealt_out(told, 16)), (2, told)))
    assert len(one) == len(two) == 3 * 64 // 16
    # What Keras tells callbacks of a step is summed over the workers.
    np.testing.assert_allclose(np.array(two) / 2, one, rtol=tolerance)
    assert one[-1] < one[0]


@pytest.mark.parametrize(
    ("count", "parts", "devices"),
    [
        (1, 1, 1),
        pytest.param(1, 2, 1, marks=pytest.mark.cluster),
        pytest.param(1, 1, 2, marks=pytest.mark.cluster),
        pytest.param(2, 1, 1, marks=pytest.mark.cluster),
    ],
)
def test_after_a_kill_the_steps_are_those_of_an_unbroken_training(
    tmp_path: Path, count: int, parts: int, devices: int
) -> None:
    """In the middle of an epoch, between two checkpoints: the same batches, warps, dropout and figures."""
    small = ["train.batch_size=8", "train.epochs=4", "train.checkpoint_steps=3", "train.learning_rate=0.01"]
    told = spec(tmp_path, *small, f"train.accumulate={parts}")
    told = replace(told, devices=[f"CPU:{number}" for number in range(devices)] if devices > 1 else [])
    histories = {}
    for name in ("whole", "broken"):
        folder = tmp_path / name
        folder.mkdir()
        first = folder / f"{count}-0"
        if name == "broken":
            # Of the second epoch, which has 8, after the fifth.
            codes = together(told, folder, count, "as_it_is", killed_after=13)
            assert codes[-1] == -signal.SIGKILL and 0 not in codes
            saved = State.read(first)
            assert (len(saved.history), saved.step) == (1, 3)
            # What a kill leaves that comes while a checkpoint is being written.
            (first / "checkpoint-1-6_temp").mkdir()
            (first / "checkpoint-1-6_temp" / "part").touch()
            if count > 1:
                shutil.copytree(first, folder / f"{count}-1", dirs_exist_ok=True)
        codes = together(told, folder, count, "as_it_is")
        assert codes == [0] * count, "\n".join(path.read_text() for path in folder.glob(f"{count}-*/log"))
        if name == "whole" and count * devices > 1:
            dropped = [line for path in folder.glob("*/DROPPED") for line in path.read_text().splitlines()]
            # With the same on all of them less is learnt.
            assert len(dropped) == len(set(dropped)) == 4 * 8 * count * devices
        state = State.read(first)
        assert [epoch.epoch for epoch in state.history] == [1, 2, 3, 4]
        histories[name] = [[epoch.loss, epoch.accuracy, epoch.val_loss, epoch.val_accuracy] for epoch in state.history]
    np.testing.assert_allclose(histories["broken"], histories["whole"], rtol=1e-4)


@pytest.mark.cluster
def test_a_lost_worker_does_not_cost_the_training(
    tables: Tables, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    told = spec(
        tmp_path, "train.batch_size=8", "train.workers=2", "train.max_restarts=1", "train.epochs=8", "train.seed=3"
    )
    killed = threading.Event()

    def kill() -> None:
        state = Path(told.folder) / "state.json"
        while not killed.is_set():
            if state.is_file() and len(json.loads(state.read_text())["history"]) >= 2:
                children()[-1].kill()
                killed.set()
            time.sleep(0.05)

    thread = threading.Thread(target=kill, daemon=True)
    thread.start()
    result = train(told, tables)
    assert killed.is_set()
    # With what it said last, of which nothing else is left.
    assert re.search(r"going on after step .*: worker \d on .* ended with code .*fit.log:\n.+", caplog.text)
    assert [epoch.epoch for epoch in result.history] == list(range(1, 9))
    assert result.history[-1].loss < 0.3 * result.history[0].loss
    assert result.best_epoch.val_loss < 0.3 and result.best_epoch.val_accuracy > 0.9
    ran = tables.read(TASKS).collect()
    assert sorted((row["wave"], row["task"]) for row in ran) == [(1, 0), (1, 1)], "the second start finished"
    assert {row["device"] for row in ran} == {"CPU"} and not children()


@pytest.mark.spark
def test_an_error_of_a_worker_comes_as_what_it_is(tables: Tables, tmp_path: Path) -> None:
    told = spec(tmp_path, "train.batch_size=8", "train.workers=2")
    with pytest.raises(CountError, match="footer promises 64 rows, the training set 65"):
        train(replace(told, files=told.files | {"train": dict.fromkeys(told.files["train"], 65)}), tables)


def train(told: Spec, tables: Tables) -> workers.Result:
    return workers.run(told, f"file://{told.folder}", tables, Storage(), CLUSTER, "run", Progress(io.StringIO()))


def children() -> list[psutil.Process]:
    """Processes below this one that train, oldest first."""
    found = []
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if "dflib.training.fit" in process.cmdline() and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return sorted(found, key=lambda process: process.create_time())


@pytest.mark.spark
def test_more_workers_than_slots_are_refused(tables: Tables, tmp_path: Path) -> None:
    told = spec(tmp_path, "train.batch_size=9", "train.workers=3")
    with pytest.raises(TrainingError, match="=3 are to start at once, and the cluster has fewer slots"):
        train(told, tables)
