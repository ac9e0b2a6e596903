"""The DAG of conf/airflow in a real Airflow: two nights on a small demo, and a night that can't be started.

Airflow has an environment of its own, which ``make test-airflow`` makes.
"""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

HOME = Path(__file__).parents[2]
AIRFLOW = os.environ.get("DFLIB_AIRFLOW")
pytestmark = pytest.mark.skipif(not AIRFLOW, reason="needs an environment with Airflow: make test-airflow")


@dataclass
class Scheduler:
    """An Airflow with a data base of its own, and a dflib whose tables lie below ``root``."""

    root: Path
    variables: dict[str, str]

    def airflow(self, *arguments: str) -> None:
        command = [str(Path(str(AIRFLOW)).parent / "airflow"), *arguments]
        subprocess.run(command, env=self.variables, check=True, capture_output=True)

    def night(self, date: str, **params: Any) -> dict[str, Any]:
        """Runs the DAG once; returns the states of its tasks."""
        script = HOME / "tests" / "schedules" / "night_of_airflow.py"
        given = json.dumps({"env": "airflow"} | params)
        command = [str(AIRFLOW), str(script), str(HOME / "conf" / "airflow"), given, date]
        done = subprocess.run(command, env=self.variables, check=False, capture_output=True, text=True)
        lines = [line for line in done.stdout.splitlines() if line.startswith('{"state"')]
        assert lines, done.stdout[-4000:] + done.stderr[-4000:]
        found: dict[str, Any] = json.loads(lines[-1])
        return found

    def dflib(self, job: str, *arguments: str) -> str:
        command = [self.variables["DFLIB_COMMAND"], job, "--env", "airflow", *arguments]
        return subprocess.run(command, env=self.variables, check=True, capture_output=True, text=True).stdout

    def summaries(self) -> list[dict[str, Any]]:
        paths = sorted((self.root / "summaries").glob("*.json"), key=lambda path: path.stat().st_mtime)
        return [json.loads(path.read_text()) for path in paths]


@pytest.fixture(scope="module")
def scheduler(tmp_path_factory: pytest.TempPathFactory, demo_data: Path) -> Scheduler:
    root = tmp_path_factory.mktemp("airflow")
    shutil.copytree(HOME / "conf", root / "conf")
    places = "".join(f"{name}:\n  root: {root}/{name}\n" for name in ("tables", "models", "reports"))
    (root / "conf" / "env" / "airflow.yml").write_text(f"extends: demo\n{places}")
    variables = {
        **os.environ,
        "AIRFLOW_HOME": str(root / "home"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(HOME / "conf" / "airflow"),
        "AIRFLOW_CONN_SPARK_DEFAULT": json.dumps({"conn_type": "spark", "host": "local[2]"}),
        "DFLIB_COMMAND": str(HOME / "spark-submit.sh"),
        "DFLIB_PYTHON": sys.executable,
        "DFLIB_CONF": str(root / "conf"),
        "DFLIB_BUILD": str(root / "build"),
        "DFLIB_SUMMARIES": str(root / "summaries"),
    }
    made = Scheduler(root, variables)
    made.airflow("db", "migrate")
    made.airflow("pools", "set", "dflib_gpu", "1", "runs that use the GPUs")
    weights = root / "weights.h5"
    # In a process of its own: TensorFlow would stay in that of the tests.
    code = f"from dflib.models import networks; networks.build('meso4', 64).save_weights({str(weights)!r})"
    subprocess.run([sys.executable, "-c", code], check=True, env=variables | {"TF_USE_LEGACY_KERAS": "1"}, cwd=HOME)
    values = (f"weights.path={weights}", "weights.network=meso4", "weights.name=m", "weights.positive=fake")
    made.dflib("import_model", "--set", *values, "weights.view.size=64")
    return made


def test_two_nights(scheduler: Scheduler, demo_data: Path) -> None:
    chunks = [str(path) for path in sorted((demo_data / "chunks").iterdir())]
    first = scheduler.night("2026-01-01T02:00", chunks=chunks[:1])
    done = dict.fromkeys(("new_chunks", "night", "gate", "publish", "notify"), "success")
    assert (first["state"], first["tasks"]) == ("success", done)
    assert first["pools"]["night"] == "dflib_gpu" and first["tries"]["night"] == 1
    assert first["deadlines"] == [8 * 3600]
    second = scheduler.night("2026-01-02T02:00", chunks=chunks)
    assert (second["state"], second["tasks"]) == ("success", done)
    before, after = scheduler.summaries()
    videos = [summary["steps"]["ingest"]["counts"]["videos_new"] for summary in (before, after)]
    assert min(videos) > 0
    assert {"videos", "faces", "predictions", "verdicts"} <= set(before["tables"]) & set(after["tables"])
    events = scheduler.dflib("sql", "--", "-e", "SELECT count(*) FROM deepfake.videos")
    assert str(sum(videos)) in events


def test_summary_of_a_retried_night_names_the_tables_of_all_attempts(scheduler: Scheduler, tmp_path: Path) -> None:
    for attempt, tables in ((1, {"videos": 3, "faces": 2}), (2, {"verdicts": 1, "videos": 4}), (10, {"metrics": 1})):
        summary = {"outcome": f"attempt {attempt}", "tables": tables}
        (tmp_path / f"manual__2026_x.{attempt:02d}.json").write_text(json.dumps(summary))
    (tmp_path / "manual__2026.01.json").write_text(json.dumps({"outcome": "another run", "tables": {"splits": 1}}))
    code = "import json, dflib_nightly as dag; print(json.dumps(dag.read_summary('manual__2026+x')))"
    done = subprocess.run(
        [str(AIRFLOW), "-c", code], check=True, capture_output=True, text=True, cwd=HOME / "conf" / "airflow",
        env=scheduler.variables | {"DFLIB_SUMMARIES": str(tmp_path)},
    )  # fmt: skip
    found = json.loads(done.stdout.splitlines()[-1])
    assert found == {"outcome": "attempt 10", "tables": {"videos": 4, "faces": 2, "verdicts": 1, "metrics": 1}}


def test_wrong_parameters_fail_without_another_try(scheduler: Scheduler) -> None:
    found = scheduler.night("2026-01-03T02:00", chunks=["nowhere://x"])
    assert found["state"] == "failed"
    assert (found["tasks"]["new_chunks"], found["tries"]["new_chunks"]) == ("failed", 1)
    # It runs all the same, and is refused for the same reason.
    assert (found["tasks"]["night"], found["tries"]["night"]) == ("failed", 1)
