"""Two steps in one Spark application on a cluster: a stage on the CPU, then one on GPUs."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.jobs.places import Place

pytestmark = pytest.mark.cluster
CPU = ("faces.detector=haar", "faces.threshold=.5", "faces.lone_threshold=.5", "faces.track_threshold=.5")


def test_steps_of_one_application_run_on_devices_of_their_own(
    copied: Callable[..., Place], options: tuple[str, ...], tmp_path: Path
) -> None:
    place = copied(tmp_path / "place", *CPU)
    place.chain("extract", "score", settings=("score.model=m",), options=options)

    ((parent,), (extract,), (score,)) = (place.runs(name) for name in ("chain", "extract", "score"))
    assert [record["outcome"] for record in (parent, extract, score)] == ["DONE"] * 3
    assert parent["parent"] is None and extract["parent"] == score["parent"] == parent["run_id"]

    tasks = place.table("tasks")
    assert set(tasks["job"]) == {"extract", "score"} and (tasks["wave"] == 0).all()
    on_cpu, on_gpu = (tasks[tasks["run_id"] == record["run_id"]] for record in (extract, score))
    assert len(on_cpu) == extract["counts"]["tasks"] > 0 and len(on_gpu) == score["counts"]["tasks"] > 0
    assert len(on_cpu) + len(on_gpu) == len(tasks)
    assert on_cpu["gpu"].isna().all() and (on_cpu["note"] == "no GPU requested").all()
    # The GPUs are simulated: the task has an address, and TensorFlow finds nothing there.
    assert set(on_gpu["gpu"]) <= {"0", "1", "2", "3"} and on_gpu["note"].str.contains("sees no GPU at address").all()
    assert not set(on_cpu["worker"]) & set(on_gpu["worker"])
    faces = len(place.table("faces"))
    assert on_cpu["faces"].sum() == on_gpu["faces"].sum() == faces == len(place.table("predictions")) > 0
