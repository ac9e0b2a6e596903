"""A real cluster of two workers with two simulated GPUs each, and places of jobs that run on it."""

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import h5py
import pytest

from dflib.models import networks
from tests.cluster.standalone import HOME, Cluster, standalone
from tests.jobs.places import Place

SMALL = (
    "spark.cores.max=4",
    "spark.executor.cores=1",
    "spark.executor.memory=700m",
    # Executors of a test live for a minute, in which optimised code does not pay off.
    "spark.executor.extraJavaOptions=-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
    "spark.sql.codegen.wholeStage=false",
    "spark.sql.codegen.factoryMode=NO_CODEGEN",
    "spark.sql.shuffle.partitions=4",
)


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Its processes end after the tests."""
    with standalone(tmp_path_factory.mktemp("cluster"), {"a": "0 1", "b": "2 3"}) as found:
        yield found


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The archive of Python and its packages, made as by ``make environment.tar.gz``."""
    target = tmp_path_factory.mktemp("environment") / "environment.tar.gz"
    subprocess.run([sys.executable, "-m", "tools.environment", str(target)], check=True, cwd=HOME)
    return target


@pytest.fixture(scope="session")
def options(cluster: Cluster) -> tuple[str, ...]:
    """For spark-submit: four executors of one core and one GPU each."""
    return cluster.options(*SMALL)


@pytest.fixture(scope="session")
def ingested(demo_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """The demo's small data set after ingest, and a model of random weights."""
    root = tmp_path_factory.mktemp("ingested")
    weights = root / "random.h5"
    networks.build("meso4", 64).save_weights(str(weights))
    with h5py.File(weights) as file:
        assert len(file) > 0
    place = Place(root / "place", chunks=f"{demo_data}/chunks/*")
    place.root.mkdir()
    place.submit("ingest")
    place.submit(
        "import_model",
        *(f"weights.path={weights}", "weights.network=meso4", "weights.name=m", "weights.positive=fake"),
        "weights.view.size=64",
    )
    return place


@pytest.fixture(scope="session")
def copied(ingested: Place) -> Callable[..., Place]:
    """Copies :func:`ingested` into a folder, for jobs on the cluster or on one machine."""

    def copy(root: Path, *settings: str, env: str = "standalone") -> Place:
        shutil.copytree(ingested.root, root)
        return Place(root, ingested.chunks, env, ["sampling.frames=even:4", "tables.metastore=none", *settings])

    return copy


@pytest.fixture(scope="session")
def local(copied: Callable[..., Place], tmp_path_factory: pytest.TempPathFactory) -> Place:
    """The tables of an uninterrupted run on one machine."""
    place = copied(tmp_path_factory.mktemp("local") / "place", env="demo")
    for job in ("extract", "score", "report"):
        place.submit(job)
    return place
