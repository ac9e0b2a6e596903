"""The jobs on YARN in both deploy modes, with Python from the archive."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cluster.pythons import watched
from tests.cluster.same_tables import assert_same_tables
from tests.cluster.yarn import Yarn, yarn
from tests.jobs.places import HOME, Place

pytestmark = pytest.mark.cluster
SMALL = (
    "spark.executor.instances=1",
    "spark.executor.memory=700m",
    "spark.driver.memory=1g",
    "spark.driver.memoryOverhead=3g",
    "spark.executor.extraJavaOptions=-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yarn]:
    """One node with one simulated GPU."""
    with yarn(tmp_path_factory.mktemp("yarn"), "0") as found:
        yield found


@pytest.fixture(scope="module")
def options(cluster: Yarn, environment: Path) -> tuple[str, ...]:
    return (*cluster.options(*SMALL), "--archives", f"{environment}#environment")


@pytest.fixture(scope="module", params=["client", "cluster"])
def done(
    request: pytest.FixtureRequest,
    cluster: Yarn,
    options: tuple[str, ...],
    copied: Callable[..., Place],
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[str, Place, str]:
    """The deploy mode, the tables made on YARN, and the output of the jobs."""
    place = copied(tmp_path_factory.mktemp("yarn_place") / "place", env="yarn")
    place.variables |= {**cluster.variables, "DFLIB_EXECUTOR_PYTHON": "./environment/bin/python"}
    output = ""
    for job in ("extract", "score", "report"):
        with watched(cluster.folder / "local") as pythons:
            ended = place.submit(job, options=(*options, "--deploy-mode", request.param))
        output += cluster.output() if request.param == "cluster" else ended.stdout
        if job != "report" or request.param == "cluster":
            assert pythons
        for executable, path in pythons.items():
            assert executable.is_relative_to(cluster.folder / "local"), f"{job} ran on {executable}"
            assert str(HOME) not in path.split(":") and "dflib-" in path
    return request.param, place, output


def test_tables_are_those_of_one_machine(done: tuple[str, Place, str], local: Place) -> None:
    _, place, output = done
    assert_same_tables(place, local, "extractions", "frames", "faces", "predictions", "verdicts")
    # The driver's summaries are where the driver ran.
    assert "extract: " in output and "score: " in output and "report: " in output
    tasks = place.table("tasks").query("job in ('extract', 'score')")
    assert set(tasks["gpu"]) == {"0"} and tasks["faces"].sum() > 0


def test_exit_codes_are_those_of_the_job(done: tuple[str, Place, str], cluster: Yarn, options: tuple[str, ...]) -> None:
    mode, place, _ = done
    on_yarn = (*options, "--deploy-mode", mode)
    versions = place.versions()

    def output_of(job: str, *settings: str, options: tuple[str, ...], code: int) -> str:
        ended = place.submit(job, *settings, options=options, code=code)
        # Spark and YARN merge both streams of a Python driver.
        return cluster.output() if mode == "cluster" else ended.stdout

    assert "matches nothing" in output_of(
        "ingest", f"sources.chunks={place.root}/nothing*.zip", options=on_yarn, code=1
    )
    # A bad configuration that only the driver finds, once there is something to extract.
    without = (*on_yarn, "--conf", "spark.executor.resource.gpu.amount=0")
    assert "the executors have none" in output_of(
        "extract", "sampling.frames=even:2", "cluster.gpu=required", options=without, code=1
    )
    # One that is found before Spark starts.
    assert "did you mean" in place.submit("extract", "sampling.frame=x", options=on_yarn, code=2).stderr
    assert place.versions() == versions
