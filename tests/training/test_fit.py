"""Fitting in its child process: it learns, goes on after a kill, mirrors over devices, and says what is wrong."""

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
from dflib.config import TrainConfig
from dflib.errors import CountError, TrainingError
from dflib.models import saved_model
from dflib.runtime.progress import Progress
from dflib.storage import Storage
from dflib.training import launch
from dflib.training.fit import State
from dflib.training.launch import Epoch, Spec
from tests.s3_server import s3_server
from tests.training.made_faces import parquet_set, settings


@pytest.fixture
def s3() -> Iterator[Storage]:
    """An S3 server with an empty bucket named ``bucket``."""
    with s3_server("bucket") as endpoint:
        yield Storage(endpoint, "us-east-1", path_style=True)


def spec(folder: Path, *overrides: str) -> Spec:
    """64 faces to train on and 30 to judge by, 32 pixels, ten epochs; fakes are red, reals are blue."""
    small = [
        "train.view.size=32",
        "train.batch_size=8",
        "train.epochs=10",
        "train.patience=10",
        "train.learning_rate=0.01",
    ]
    work = folder / "work"
    work.mkdir(exist_ok=True)
    return Spec(
        train=settings(folder, *small, "train.network=meso4", *overrides).train.model_dump(),
        files={split: parquet_set(folder / "set", split, rows) for split, rows in (("train", 64), ("validation", 30))},
        folder=str(work),
        remote=None,
        storage=Storage().__getstate__(),
    )


def run(told: Spec) -> launch.Result:
    return launch.run(told, Progress(io.StringIO()))


def test_a_killed_training_goes_on_where_it_was_and_learns(tmp_path: Path) -> None:
    told = spec(tmp_path)
    file = tmp_path / "spec.json"
    file.write_text(json.dumps(asdict(told)))
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
    before = State.read(Path(told.folder)).history
    assert 2 <= len(before) < 10
    result = run(told)
    assert list(result.history[: len(before)]) == before, "the epochs before the kill are kept"
    assert [epoch.epoch for epoch in result.history] == list(range(1, 11))
    # Going on, not beginning again: the first epoch afterwards is better than the very first.
    assert result.history[len(before)].loss < result.history[0].loss
    assert result.best_epoch.val_loss == min(epoch.val_loss for epoch in result.history) < 0.3
    assert result.best_epoch.val_accuracy > 0.9
    work = Path(told.folder)
    red, blue = np.zeros((2, 4, 32, 32, 3), np.uint8) + 60
    red[..., 0] += 90
    blue[..., 2] += 90
    scorer = saved_model.load(work / "saved_model")
    assert scorer(red).min() > 0.5 > scorer(blue).max(), "p_fake: 1 is fake"
    with np.load(work / "examples.npz") as examples:
        assert set(examples) == {"real", "real_augmented", "fake", "fake_augmented"}
        assert all(array.shape == (8, 32, 32, 3) for array in examples.values())
    # Finished: asked again, it trains no more.
    assert run(told).history == result.history


def test_mirrored_over_two_devices(tmp_path: Path) -> None:
    told = replace(spec(tmp_path, "train.epochs=4", "train.batch_size=12"), devices=["CPU:0", "CPU:1"])
    result = run(told)
    assert result.devices == ("CPU:0", "CPU:1") and len(result.history) == 4
    assert result.history[-1].loss < result.history[0].loss


def test_in_parts_and_in_halves(tmp_path: Path) -> None:
    told = spec(
        tmp_path, "train.epochs=6", "train.batch_size=8", "train.accumulate=2", "train.precision=mixed_bfloat16"
    )
    result = run(told)
    assert [epoch.epoch for epoch in result.history] == list(range(1, 7))
    assert result.best_epoch.val_accuracy > 0.9
    # What is kept is of float32 and knows of no parts.
    model = saved_model.load(Path(told.folder) / "saved_model", 1)
    faces = np.zeros((2, 32, 32, 3), np.uint8)
    faces[0, ..., 0] = faces[1, ..., 2] = 200
    p_fake = model(faces)
    assert p_fake.dtype == np.float32 and p_fake[0] > 0.5 > p_fake[1]


def test_a_batch_that_can_not_be_shared_is_refused(tmp_path: Path) -> None:
    told = replace(spec(tmp_path, "train.batch_size=8", "train.accumulate=4"), devices=["CPU:0", "CPU:1", "CPU:2"])
    with pytest.raises(TrainingError, match="a multiple of 12"):
        run(told)


def test_errors_of_the_child_come_as_what_they_are(tmp_path: Path) -> None:
    told = spec(tmp_path)
    with pytest.raises(CountError, match="footer promises 64 rows, the training set 65"):
        run(replace(told, files=told.files | {"train": dict.fromkeys(told.files["train"], 65)}))


def test_a_work_folder_of_another_version_is_refused_in_words(tmp_path: Path) -> None:
    told = spec(tmp_path)
    (Path(told.folder) / "state.json").write_text('{"history": [], "best": 0, "unreadable": {}}')
    with pytest.raises(TrainingError, match=r"state.json: no training goes on from it .* delete the work folder"):
        run(told)


def test_a_set_without_a_readable_picture_ends(tmp_path: Path) -> None:
    told = spec(tmp_path)
    spoilt = parquet_set(tmp_path / "spoilt", "train", 64, spoilt=64)
    with pytest.raises(TrainingError, match="none of the 64 pictures of train"):
        run(replace(told, files=told.files | {"train": spoilt}))


def test_a_validation_batch_lost_to_an_unreadable_picture(tmp_path: Path) -> None:
    """Where steps are counted beforehand, as for parts and workers, one comes short of what was promised each time."""
    told = spec(tmp_path, "train.epochs=3", "train.batch_size=8", "train.accumulate=2")
    files = told.files | {"validation": parquet_set(tmp_path / "spoilt", "validation", 33, spoilt=1)}
    result = run(replace(told, files=files))
    assert [epoch.epoch for epoch in result.history] == [1, 2, 3] and result.unreadable["validation"] == 1


def test_set_and_checkpoints_on_s3(tmp_path: Path, s3: Storage) -> None:
    told = spec(tmp_path)
    files = {}
    for split, of_split in told.files.items():
        files[split] = {f"s3://bucket/a set/{uris.name(file)}": rows for file, rows in of_split.items()}
        for file, remote in zip(of_split, files[split], strict=True):
            s3.write(remote, s3.read(file))
    work = "s3://bucket/models/_training/m"
    histories = []
    for epochs in (2, 3):
        # Each time another folder, as on another machine: only what lies on S3 is left of the time before.
        with launch.workplace(s3, work) as (folder, remote):
            train = told.train | {"epochs": epochs}
            onto = replace(told, train=train, files=files, folder=str(folder), remote=remote, storage=s3.__getstate__())
            histories.append(run(onto).history)
        assert not folder.exists()
    assert len(histories[1]) == 3 and histories[1][:2] == histories[0]


def epochs(*losses: float) -> tuple[State, list[bool]]:
    state = State()
    better = [state.add(Epoch(n, 1, 0.5, loss, 1 - loss, 1), "val_loss") for n, loss in enumerate(losses, 1)]
    return state, better


def test_training_stops_after_patience_without_improvement() -> None:
    train = TrainConfig.model_validate(settings(Path("/nowhere")).train.model_dump() | {"patience": 2, "epochs": 9})
    state, better = epochs(0.5, 0.4, 0.4)
    assert better == [True, True, False] and state.best == 2 and not state.finished(train)
    assert epochs(0.5, 0.4, 0.4, 0.45)[0].finished(train)
    assert not epochs(0.5, 0.4, 0.4, 0.3)[0].finished(train)
    assert epochs(*[1 - n / 10 for n in range(9)])[0].finished(train)


def test_val_accuracy_is_better_when_higher() -> None:
    state = State()
    rows = [Epoch(n, 1, 0.5, 1, accuracy, 1) for n, accuracy in enumerate((0.5, 0.7, 0.6), 1)]
    assert [state.add(row, "val_accuracy") for row in rows] == [True, True, False] and state.best == 2
