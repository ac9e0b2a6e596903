"""Two steps in one Spark application on a cluster: a stage on the CPU, then one on GPUs."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.jobs.places import HOME, Place

pytestmark = pytest.mark.cluster
JOB = '''"""Extracts, then scores."""

from dflib.cli.job import main
from dflib.steps import extract, score

if __name__ == "__main__":
    main(extract.STEP, score.STEP, name="both")
'''
CPU = ("faces.detector=haar", "faces.threshold=.5", "faces.lone_threshold=.5", "faces.track_threshold=.5")


def test_steps_of_one_application_run_on_devices_of_their_own(
    copied: Callable[..., Place], options: tuple[str, ...], tmp_path: Path
) -> None:
    place = copied(tmp_path / "place", *CPU)
    script = tmp_path / "both.py"
    script.write_text(JOB)
    command = [sys.executable, str(script), *place.command("both", "score.model=m", options=options)[2:]]
    variables = {**place.environment(), "PYTHONPATH": str(HOME)}
    done = subprocess.run(command, env=variables, cwd=place.root, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stdout + done.stderr

    ((parent,), (extract,), (score,)) = (place.runs(name) for name in ("both", "extract", "score"))
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
