"""The jobs on a standalone cluster give what they give on one machine, each task on the GPU that it was given."""

import shutil
from pathlib import Path

import h5py
import pandas as pd
import pytest

from dflib.models import networks
from tests.jobs.places import Place

SMALL = ("spark.cores.max=8", "spark.executor.memory=700m")
QUICK = "spark.executor.extraJavaOptions=-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("cluster")]


def on(master: str) -> tuple[str, ...]:
    """Options for spark-submit: four executors of two cores and one GPU each."""
    return ("--", "--master", master, *(part for conf in (*SMALL, QUICK) for part in ("--conf", conf)))


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "random.h5"
    networks.build("meso4", 64).save_weights(str(path))
    with h5py.File(path) as file:
        assert len(file) > 0
    return path


@pytest.fixture(scope="module")
def places(demo_data: Path, weights: Path, master: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Place]:
    """The same videos, extracted, scored and reported on one machine and on the cluster."""
    root = tmp_path_factory.mktemp("places")
    local = Place(root / "local", chunks=f"{demo_data}/chunks/*")
    local.root.mkdir()
    local.submit("ingest")
    local.submit(
        "import_model",
        *(f"weights.path={weights}", "weights.network=meso4", "weights.name=m", "weights.positive=fake"),
        "weights.view.size=64",
    )
    shutil.copytree(root / "local", root / "cluster")
    cluster = Place(root / "cluster", env="standalone", settings=["sampling.frames=even:4", "tables.metastore=none"])
    options = on(master)
    for job in ("extract", "score", "report"):
        local.submit(job)
        cluster.submit(job, options=options)
    return {"local": local, "cluster": cluster}


def test_tables_are_those_of_one_machine(places: dict[str, Place]) -> None:
    volatile = ["run_id", "extracted_at", "decode_seconds", "detect_seconds", "judged_at", "bytes_read", "requests"]
    for name, key in (
        ("extractions", "video_id"),
        ("faces", "face_id"),
        ("predictions", "face_id"),
        ("verdicts", "rule"),
    ):
        tables = [
            place.table(name).drop(columns=volatile, errors="ignore").sort_values(["video_id", key])
            for place in places.values()
        ]
        one, other = (table.reset_index(drop=True) for table in tables)
        assert len(one) > 10
        pd.testing.assert_frame_equal(one, other, check_exact=False, rtol=0, atol=1e-6)


@pytest.mark.parametrize("job", ["extract", "score"])
def test_no_gpu_is_used_by_two_tasks_at_once(places: dict[str, Place], job: str) -> None:
    tasks = places["cluster"].table("tasks").query("job == @job")
    assert set(tasks["gpu"]) <= {"0", "1", "2", "3"} and tasks["gpu"].nunique() > 1
    # An executor has one GPU, and none of them is there: TensorFlow says so, and the CPU does it.
    assert (tasks.groupby("executor")["gpu"].nunique() == 1).all()
    assert set(tasks["device"]) == {"CPU:0"} and tasks["note"].str.contains("TensorFlow sees no GPU").all()
    for _, own in tasks.groupby("gpu"):
        begun = own["started_at"].sort_values()
        ended = (own["started_at"] + pd.to_timedelta(own["seconds"], "s")).loc[begun.index]
        assert (begun.to_numpy()[1:] >= ended.to_numpy()[:-1]).all()
    local = places["local"].table("tasks").query("job == @job")
    assert local["gpu"].isna().all() and local["faces"].sum() == tasks["faces"].sum() > 0


def test_required_gpus_that_are_not_there_end_the_job(places: dict[str, Place], master: str) -> None:
    cluster = places["cluster"]
    options = on(master)
    done = cluster.submit("score", "cluster.gpu=required", "score.model=m", options=options)
    assert "nothing to do" in done.stdout
    failed = cluster.submit("extract", "cluster.gpu=required", "sampling.frames=even:3", options=options, code=1)
    assert "cluster.gpu=required, but TensorFlow sees no GPU at address" in failed.stderr
    bare = (*options, "--conf", "spark.executor.resource.gpu.amount=0")
    refused = cluster.submit("extract", "cluster.gpu=required", "sampling.frames=even:3", options=bare, code=2)
    assert "the executors have none" in refused.stderr and "conf/spark" in refused.stderr
