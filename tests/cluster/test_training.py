"""Two workers of a cluster train together; one of them is killed in the second epoch."""

import json
import re
import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest

from dflib.training.state import TrainingState
from tests.cluster.standalone import Cluster
from tests.jobs.places import Place

pytestmark = pytest.mark.cluster
EPOCHS = 8
SETTINGS = (
    "train.workers=2",
    "train.batch_size=8",
    f"train.epochs={EPOCHS}",
    f"train.patience={EPOCHS}",
    "train.checkpoint_steps=2",
    "train.view.size=64",
    "splits.by=original",
    "splits.validation=0.2",
    "splits.test=0.2",
)


def reached(place: Place) -> TrainingState:
    """The saved state of a running training."""
    found = next((place.root / "models" / "_training").glob("t-*"), None)
    return TrainingState.read(found) if found else TrainingState()


def children(cluster: Cluster) -> list[psutil.Process]:
    """The processes that train: children of Python workers."""
    found = []
    for worker in cluster.python_workers():
        found += [child for child in worker.children() if "dflib.training.fit" in child.cmdline()]
    return found


def test_a_worker_lost_in_the_second_epoch(
    copied: Callable[..., Place], cluster: Cluster, options: tuple[str, ...], tmp_path: Path
) -> None:
    whole = copied(tmp_path / "whole")
    whole.submit("extract", options=options)
    place = replace(whole, root=tmp_path / "broken")
    shutil.copytree(whole.root, place.root)
    whole.submit("train", "train.name=t", *SETTINGS, options=options)

    with (place.root / "train.log").open("wb") as log:
        process = subprocess.Popen(
            place.command("train", "train.name=t", *SETTINGS, options=options),
            env=place.environment(),
            cwd=place.root,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        deadline = time.monotonic() + 400
        while len(reached(place).history) < 1 or reached(place).step == 0:
            assert process.poll() is None and time.monotonic() < deadline, (place.root / "train.log").read_text()
            time.sleep(0.05)
        assert len(reached(place).history) < EPOCHS
        training = children(cluster)
        assert len(training) == 2
        training[-1].kill()
        assert process.wait(600) == 0, (place.root / "train.log").read_text()
    output = (place.root / "train.log").read_text()
    tasks = place.table("tasks").query("job == 'train'")
    # Both belong to the attempt that succeeded, which was not the first.
    assert len(tasks) == 2 and (tasks["wave"] > 0).all() and tasks["gpu"].nunique() == 2

    losses = {}
    for one in (whole, place):
        epochs = json.loads(one.table("models").query("model_id == 't'")["settings"].iloc[0])["history"]
        assert [epoch["epoch"] for epoch in epochs] == list(range(1, EPOCHS + 1))
        losses[one.root.name] = np.array([epoch["loss"] for epoch in epochs])
        one.submit("score", "score.model=t", options=options)
    assert re.search(r"resuming after step \d+ of epoch 2", output)
    # Batches, augmentation and dropout are the same: only the order of summation in threads differs.
    np.testing.assert_allclose(losses["broken"], losses["whole"], rtol=0.02)
    assert losses["whole"][-1] < losses["whole"][0]
    scores = [
        one.table("predictions").query("model_id == 't'").set_index("face_id")["p_fake"] for one in (whole, place)
    ]
    assert (scores[0] - scores[1]).abs().max() < 0.05
