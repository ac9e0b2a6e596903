"""spark-submit.sh: what is refused before Spark starts, and the messages."""

import subprocess
from pathlib import Path

import pytest

from dflib.runtime.metastore import PASSWORD
from tests.jobs.places import HOME, Place

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "usage: dflib JOB"),
        (["nosuch"], "no job named 'nosuch'; one of: "),
        (["extract", "--set", "sampling.frame=even:3"], "did you mean sampling.frames"),
        (["extract", "--env", "nosuch"], "known environments: "),
        (["extract", "--nosuch"], "unrecognized arguments: --nosuch"),
        (["extract", "--", "--deploy-mode", "nowhere"], "invalid choice: 'nowhere'"),
        (["extract", "--", "--conf", "spark.submit.deployMode=nowhere"], "invalid choice: 'nowhere'"),
        (["ingest"], "sources.chunks"),
        (["import_model"], "weights.path"),
        (["import_model", "--set", "weights.path=/w.h5", "weights.name=a/b", "weights.positive=real"], "weights.name="),
        (["train", "--set", "train.name=champion"], "train.name="),
    ],
)
def test_bad_usage_ends_with_2_and_says_the_mend(arguments: list[str], message: str, tmp_path: Path) -> None:
    place = Place(tmp_path)
    done = subprocess.run(
        [HOME / "spark-submit.sh", *arguments], capture_output=True, text=True, env=place.environment(), cwd=tmp_path
    )
    assert done.returncode == 2, done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("variable", "message"), [("DFLIB_PYTHON", "no Python at"), ("DFLIB_JARS", "no Delta jars in")]
)
def test_a_missing_part_of_the_set_up_is_named(variable: str, message: str, tmp_path: Path) -> None:
    place = Place(tmp_path, variables={variable: str(tmp_path / "nowhere")})
    done = place.submit("extract", code=2)
    assert message in done.stderr
    assert "make setup" in done.stderr


def test_a_source_that_is_not_there_fails_and_writes_no_table(tmp_path: Path) -> None:
    place = Place(tmp_path, chunks=f"{tmp_path}/nothing*.zip")
    done = place.submit("ingest", code=1)
    # Spark hands on both streams of a Python driver as one.
    assert "nothing*.zip" in done.stdout
    assert "Traceback" not in done.stdout
    assert place.versions() == {}
    (record,) = place.runs("ingest")
    assert record["outcome"] == "FAILED"
    assert record["config"]["sources"]["chunks"] == [f"file://{tmp_path}/nothing*.zip"]


@pytest.mark.cluster  # a job of its own; make test has no time for it
def test_a_metastore_that_can_not_be_reached_is_a_warning_after_the_work(demo_data: Path, tmp_path: Path) -> None:
    settings = ["tables.metastore=postgres", "tables.metastore_at=ana@127.0.0.1:1/meta"]
    chunk = min((demo_data / "chunks").iterdir())
    place = Place(tmp_path, str(chunk), settings=settings, variables={PASSWORD: "x"})
    done = place.submit("ingest")
    assert "names of tables are not registered, which changes nothing in the tables" in done.stdout
    assert "Connection refused" in done.stdout and "Traceback" not in done.stdout
    assert len(place.table("videos")) > 0 and len(place.table("chunks")) == 1
    assert place.runs("ingest")[0]["outcome"] == "DONE"
