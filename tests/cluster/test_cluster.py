"""The jobs on a standalone cluster give the tables of one machine, each task on its own GPU."""

from collections.abc import Callable

import pandas as pd
import pytest

from tests.cluster.conftest import SMALL
from tests.cluster.same_tables import assert_same_tables
from tests.cluster.standalone import Cluster
from tests.jobs.places import Place

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module")
def spread(copied: Callable[..., Place], options: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> Place:
    """The tables made on the cluster."""
    place = copied(tmp_path_factory.mktemp("spread") / "place")
    for job in ("extract", "score", "report"):
        place.submit(job, options=options)
    return place


def test_tables_are_those_of_one_machine(spread: Place, local: Place) -> None:
    assert_same_tables(spread, local, "extractions", "frames", "faces", "predictions", "verdicts")


@pytest.mark.parametrize("job", ["extract", "score"])
def test_no_gpu_is_used_by_two_tasks_at_once(spread: Place, local: Place, job: str) -> None:
    tasks = spread.table("tasks").query("job == @job")
    assert set(tasks["gpu"]) <= {"0", "1", "2", "3"} and tasks["gpu"].nunique() > 1
    # An executor has one simulated GPU: TensorFlow finds none, and the task runs on the CPU.
    assert (tasks.groupby("executor")["gpu"].nunique() == 1).all()
    assert set(tasks["device"]) == {"CPU:0"} and tasks["note"].str.contains("TensorFlow sees no GPU").all()
    for _, own in tasks.groupby("gpu"):
        begun = own["started_at"].sort_values()
        ended = (own["started_at"] + pd.to_timedelta(own["seconds"], "s")).loc[begun.index]
        assert (begun.to_numpy()[1:] >= ended.to_numpy()[:-1]).all()
    alone = local.table("tasks").query("job == @job")
    assert alone["gpu"].isna().all() and alone["faces"].sum() == tasks["faces"].sum() > 0


def test_required_gpus_that_are_not_there_end_the_job(
    spread: Place, cluster: Cluster, options: tuple[str, ...]
) -> None:
    done = spread.submit("score", "cluster.gpu=required", "score.model=m", options=options)
    assert "nothing to do" in done.stdout
    other = ("cluster.gpu=required", "sampling.frames=even:3")
    failed = spread.submit("extract", *other, options=options, code=1)
    assert "cluster.gpu=required, but TensorFlow sees no GPU at address" in failed.stdout
    bare = cluster.options(*SMALL, "spark.executor.resource.gpu.amount=0")
    refused = spread.submit("extract", *other, options=bare, code=1)
    assert "the executors have none" in refused.stdout and "conf/spark" in refused.stdout
