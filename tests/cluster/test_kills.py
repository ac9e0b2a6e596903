"""kill -9 of an executor, of a Python worker and of the driver, in the middle of extract and of score."""

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from deltalake import DeltaTable

from tests.cluster.same_tables import assert_same_tables
from tests.cluster.standalone import Cluster
from tests.jobs.places import Place

pytestmark = pytest.mark.cluster
WAVE = 12
BUSY = 0.5
"""CPU seconds that a Python worker has taken since the kill was due: it is in the middle of a task."""
VICTIMS = ("executor", "python", "driver")


@pytest.mark.parametrize("victim", VICTIMS)
def test_killed_in_the_middle(
    victim: str,
    copied: Callable[..., Place],
    local: Place,
    cluster: Cluster,
    options: tuple[str, ...],
    tmp_path: Path,
) -> None:
    place = copied(tmp_path / "place", f"extract.wave_videos={WAVE}")
    videos = set(place.table("videos")["video_id"])

    # In the second wave, when the first one is in the ledger.
    done = run_and_kill(place, "extract", victim, cluster, options, lambda: len(rows(place, "extractions")) > 0)
    committed = rows(place, "extractions")
    assert not done or victim != "driver"
    assert done or 0 < len(committed) < len(videos)
    place.submit("extract", options=options)
    again = place.runs("extract")[-1]["counts"]
    assert again["videos"] == len(videos) - len(committed)
    read = local.table("extractions").set_index("video_id")["bytes_read"]
    assert again["bytes_read"] == read[sorted(videos - committed)].sum()
    assert_same_tables(place, local, "extractions", "frames", "faces")

    done = run_and_kill(place, "score", victim, cluster, options, lambda: True)
    before = place.versions()
    place.submit("score", options=options)
    again = place.runs("score")[-1]["counts"]
    assert again["predictions"] == (0 if done else len(place.table("faces")))
    assert (place.versions() == before) == done
    assert_same_tables(place, local, "predictions")


def run_and_kill(
    place: Place, job: str, victim: str, cluster: Cluster, options: tuple[str, ...], due: Callable[[], bool]
) -> bool:
    """Runs a job and kills a part of it once it is due and tasks are busy; returns whether the job exited with 0."""
    with (place.root / f"{job}-{victim}.log").open("wb") as log:
        process = subprocess.Popen(
            place.command(job, options=options),
            env=place.environment(),
            cwd=place.root,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        worker = busy_worker(process, cluster, due)
        executor = worker.parents()[1]
        assert "CoarseGrainedExecutorBackend" in " ".join(executor.cmdline())
        # spark-submit.sh supervises the JVM of the driver; its Python is a child of that.
        (driver,) = psutil.Process(process.pid).children()
        assert "SparkSubmit" in " ".join(driver.cmdline())
        python = driver.children()
        {"executor": executor, "python": worker, "driver": driver}[victim].kill()
        code = process.wait(600)
        _, alive = psutil.wait_procs(python, timeout=120)
        assert not alive, "the driver's Python outlived its JVM"
    output = (place.root / f"{job}-{victim}.log").read_text()
    assert (code == 0) == (victim != "driver"), output
    return code == 0


def busy_worker(process: "subprocess.Popen[bytes]", cluster: Cluster, due: Callable[[], bool]) -> psutil.Process:
    """A Python worker that is in the middle of a task."""
    deadline = time.monotonic() + 400
    spent: dict[int, float] = {}
    is_due = False
    while time.monotonic() < deadline:
        assert process.poll() is None, "the job ended before anything could be killed"
        is_due = is_due or due()
        for worker in cluster.python_workers() if is_due else ():
            try:
                # Extract works in a child of the worker.
                used = sum(sum(one.cpu_times()[:2]) for one in (worker, *worker.children()))
            except psutil.Error:
                continue
            if used - spent.setdefault(worker.pid, used) > BUSY:
                return worker
        time.sleep(0.1)
    raise AssertionError("no task was busy in time")


def rows(place: Place, table: str) -> set[str]:
    """Videos of a table that may not exist yet."""
    folder = place.root / "tables" / table
    if not DeltaTable.is_deltatable(str(folder)):
        return set()
    return set(place.table(table)["video_id"])
