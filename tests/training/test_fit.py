"""Fitting in a child process: learning, resuming after a kill, several devices, S3, and errors."""

import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from dflib import uris
from dflib.errors import CountError, TrainingError
from dflib.models import saved_model
from dflib.runtime.progress import Progress
from dflib.storage import Storage
from dflib.training import launch
from dflib.training.spec import FitResult, FitSpec
from dflib.training.state import TrainingState
from tests.s3_server import s3_server
from tests.training.synthetic_faces import configuration, write_split


@pytest.fixture
def s3() -> Iterator[Storage]:
    """An S3 server with an empty bucket named ``bucket``."""
    with s3_server("bucket") as endpoint:
        yield Storage(endpoint, "us-east-1", path_style=True)


def fit_spec(folder: Path, *overrides: str) -> FitSpec:
    """Meso4 at 32 pixels, ten epochs, on 64 training and 30 validation faces, half of them fake."""
    small = [
        "train.view.size=32",
        "train.batch_size=8",
        "train.epochs=10",
        "train.patience=10",
        "train.learning_rate=0.01",
    ]
    work = folder / "work"
    work.mkdir(exist_ok=True)
    return FitSpec(
        train=configuration(folder, *small, "train.network=meso4", *overrides).train.model_dump(),
        files={split: write_split(folder / "set", split, rows) for split, rows in (("train", 64), ("validation", 30))},
        folder=str(work),
        remote=None,
        storage=Storage().__getstate__(),
    )


def run(spec: FitSpec) -> FitResult:
    return launch.run(spec, Progress(io.StringIO()))


def test_fit_resumes_after_a_kill_and_learns(tmp_path: Path) -> None:
    spec = fit_spec(tmp_path)
    file = tmp_path / "spec.json"
    file.write_text(json.dumps(asdict(spec)))
    child = subprocess.Popen(
        [sys.executable, "-m", "dflib.training.fit", str(file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL, text=True, env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )  # fmt: skip
    assert child.stdin is not None and child.stdout is not None
    for line in child.stdout:
        if json.loads(line).get("epoch") == 2:
            break
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdin.close()
    child.stdout.close()
    before = TrainingState.read(Path(spec.folder)).history
    assert 2 <= len(before) < 10
    result = run(spec)
    assert list(result.history[: len(before)]) == before, "the epochs before the kill are kept"
    assert [epoch.epoch for epoch in result.history] == list(range(1, 11))
    # The weights were restored: the first epoch after the kill is better than the first of all.
    assert result.history[len(before)].loss < result.history[0].loss
    assert result.best_epoch.val_loss == min(epoch.val_loss for epoch in result.history) < 0.3
    assert result.best_epoch.val_accuracy > 0.9
    work = Path(spec.folder)
    red, blue = np.zeros((2, 4, 32, 32, 3), np.uint8) + 60
    red[..., 0] += 90
    blue[..., 2] += 90
    scorer = saved_model.load(work / "saved_model")
    assert scorer(red).min() > 0.5 > scorer(blue).max(), "p_fake: 1 is fake"
    with np.load(work / "examples.npz") as examples:
        assert set(examples) == {"real", "real_augmented", "fake", "fake_augmented"}
        assert all(array.shape == (8, 32, 32, 3) for array in examples.values())
    # A finished training is not continued.
    assert run(spec).history == result.history


@pytest.mark.cluster  # make test has no time for it
def test_fit_trains_on_two_devices_with_mean_squared_error(tmp_path: Path) -> None:
    spec = fit_spec(tmp_path, "train.epochs=4", "train.batch_size=12", "train.loss=mean_squared_error")
    result = run(replace(spec, devices=["CPU:0", "CPU:1"]))
    assert result.devices == ("CPU:0", "CPU:1") and len(result.history) == 4
    assert result.history[-1].loss < result.history[0].loss
    # The squared error of a probability is below 1 and below its cross-entropy.
    assert max(epoch.loss for epoch in result.history) < 0.5


@pytest.mark.cluster  # make test has no time for it
def test_fit_saves_float32_after_accumulation_in_bfloat16(tmp_path: Path) -> None:
    spec = fit_spec(
        tmp_path, "train.epochs=6", "train.batch_size=8", "train.accumulate=2", "train.precision=mixed_bfloat16"
    )
    result = run(spec)
    assert [epoch.epoch for epoch in result.history] == list(range(1, 7))
    assert result.best_epoch.val_accuracy > 0.9
    model = saved_model.load(Path(spec.folder) / "saved_model", 1)
    faces = np.zeros((2, 32, 32, 3), np.uint8)
    faces[0, ..., 0] = faces[1, ..., 2] = 200
    p_fake = model(faces)
    assert p_fake.dtype == np.float32 and p_fake[0] > 0.5 > p_fake[1]


def test_fit_takes_0_as_seed(tmp_path: Path) -> None:
    """TensorFlow compares a global seed of 0 with the seeds of operations, which fails for those that are tensors."""
    result = run(fit_spec(tmp_path, "train.epochs=1", "train.seed=0"))
    assert len(result.history) == 1


def test_fit_rejects_a_batch_that_devices_cannot_share(tmp_path: Path) -> None:
    spec = replace(fit_spec(tmp_path, "train.batch_size=8", "train.accumulate=4"), devices=["CPU:0", "CPU:1", "CPU:2"])
    with pytest.raises(TrainingError, match="a multiple of 12"):
        run(spec)


def test_run_raises_the_error_of_the_child(tmp_path: Path) -> None:
    spec = fit_spec(tmp_path)
    with pytest.raises(CountError, match="64 rows according to its footer, 65 according to the training set"):
        run(replace(spec, files=spec.files | {"train": dict.fromkeys(spec.files["train"], 65)}))


def test_fit_rejects_a_split_without_readable_images(tmp_path: Path) -> None:
    spec = fit_spec(tmp_path)
    unreadable = write_split(tmp_path / "unreadable", "train", 64, unreadable=64)
    with pytest.raises(TrainingError, match="none of the 64 images of train"):
        run(replace(spec, files=spec.files | {"train": unreadable}))


@pytest.mark.cluster  # make test has no time for it
def test_fit_validates_each_epoch_although_an_unreadable_image_costs_the_last_batch(tmp_path: Path) -> None:
    """With accumulation or several workers the number of validation steps is fixed; here one step has no data."""
    spec = fit_spec(tmp_path, "train.epochs=3", "train.batch_size=8", "train.accumulate=2")
    files = spec.files | {"validation": write_split(tmp_path / "unreadable", "validation", 33, unreadable=1)}
    result = run(replace(spec, files=files))
    assert [epoch.epoch for epoch in result.history] == [1, 2, 3] and result.unreadable["validation"] == 1


@pytest.mark.cluster
def test_fit_reads_the_training_set_and_resumes_from_s3(tmp_path: Path, s3: Storage) -> None:
    spec = fit_spec(tmp_path)
    files = {}
    for split, local_files in spec.files.items():
        files[split] = {f"s3://bucket/a set/{uris.name(file)}": rows for file, rows in local_files.items()}
        for file, remote in zip(local_files, files[split], strict=True):
            s3.write(remote, s3.read(file))
    work = "s3://bucket/models/_training/m"
    histories = []
    for epochs in (2, 3):
        # Each time in a new local folder, as on another machine: only the files on S3 remain.
        with launch.work_folder(s3, work) as (folder, remote):
            train = spec.train | {"epochs": epochs}
            on_s3 = replace(
                spec, train=train, files=files, folder=str(folder), remote=remote, storage=s3.__getstate__()
            )
            histories.append(run(on_s3).history)
        assert not folder.exists()
    assert len(histories[1]) == 3 and histories[1][:2] == histories[0]
