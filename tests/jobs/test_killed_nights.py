"""A night killed before each of its writes, and the night after it: the tables are those of a night without a kill.

A night in a process of its own takes a minute or two, and has some fifty writes. So a few nights are killed by signals.
At each write the driver is stopped in this process: from then on every write of it fails, as if it were dead.
"""

import shutil
import signal
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from pyspark.sql import SparkSession

from dflib.config.load import load
from dflib.runtime import runs
from dflib.steps.nightly import JOB
from dflib.steps.runner import Application, run_job
from dflib.storage import Storage
from dflib.tables.schemas import TABLES
from dflib.tables.write_locks import WriteLocks
from tests.jobs.places import HOME, Place, columns_of_runs

# With the other tests that kill; make test has no time for it.
pytestmark = pytest.mark.cluster

WRITES = [(WriteLocks, "commit"), *((Storage, name) for name in ("write", "write_if", "delete", "delete_folder"))]
"""Everything by which a driver changes what is stored."""
NIGHT = '''"""A night that is killed with all of its processes before one of its writes."""

import os
import signal

from dflib.cli.job import main_of
from dflib.runtime import runs
from dflib.steps.nightly import JOB
from tests.jobs.test_killed_nights import patched

runs.EVERY_SECONDS = 1e6  # a heartbeat would come at any time


def before(write, done=[]):
    done.append(write)
    if len(done) == {point}:
        os.killpg(os.getpgid(0), signal.SIGKILL)


if __name__ == "__main__":
    for owner, name, function in patched(before):
        setattr(owner, name, function)
    main_of(JOB)
'''
# A missing video would hold the verdicts of so few; one check and one rule write as many have.
SETTINGS = [
    *("tables.metastore=none", "nightly.max_flips=0.5", "sampling.frames=even:2"),
    "faces.detector=haar",  # the cheapest
    *("checks.fail=score_range", "checks.warn=[]", "report.rules=mean", "report.bootstrap=100"),
]
MEASURED = {"decode_seconds", "detect_seconds", "requests", "bytes_read", "predictions_version"}
PER_RUN = {"tasks", "checks"}
"""Tables with rows of each run, also of one that was killed."""


class Stopped(BaseException):
    """The driver is dead."""


def patched(before: Callable[[str], None]) -> list[tuple[Any, str, Any]]:
    """The writing methods, which call ``before`` with a description of the write: owner, name and function."""

    def telling(function: Any, name: str) -> Any:
        def write(self: Any, where: str, *arguments: Any, **more: Any) -> Any:
            before(f"{name} {where}")
            return function(self, where, *arguments, **more)

        return write

    return [(owner, name, telling(getattr(owner, name), name)) for owner, name in WRITES]


def night(place: Place, spark: SparkSession, point: int = 0) -> list[str]:
    """Runs a night in this process, stopped before its write number ``point`` (from 1); returns its writes."""
    command = place.command("nightly")
    config = load(HOME / "conf", place.env, command[command.index("--set") + 1 :])
    writes: list[str] = []

    def before(write: str) -> None:
        if not point or len(writes) < point:
            writes.append(write)
        if len(writes) == point:
            raise Stopped

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runs, "EVERY_SECONDS", 1e6)
        for owner, name, function in patched(before):
            patch.setattr(owner, name, function)
        try:
            code = run_job(JOB, Application(config=config, code_version="test", dry_run=False), spark)
        except Stopped:
            assert point, writes
            return writes
    assert not point and code in (0, 3), (point, code, writes)
    return writes


def contents(place: Place) -> dict[str, pd.DataFrame]:
    """The rows of each table, without what says when and by which run they were written."""
    found = {}
    for name, table in TABLES.items():
        if name not in PER_RUN and name in place.versions():
            rows = place.table(name)
            dropped = (columns_of_runs(table) | MEASURED) & set(rows.columns)
            rows = rows.drop(columns=list(dropped))
            keys = [key for key in table.key if key in rows]
            rows = rows.sort_values(keys, ignore_index=True)
            found[name] = rows.astype({column: str for column in rows if rows[column].dtype == object})
    return found


def change(source: Path, target: Path) -> None:
    """Copies a chunk: one member is gone, and the bytes of another are those of a third."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        videos = [entry for entry in old.infolist() if entry.filename.endswith(".mp4") and entry.file_size > 1000]
        gone, replaced, donor = videos[0], videos[1], videos[2]
        for entry in old.infolist():
            if entry is not gone:
                new.writestr(entry, old.read(donor if entry is replaced else entry))


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory, demo_data: Path, spark: SparkSession) -> Place:
    """The tables after a first night; then one chunk is changed, and another is new."""
    root = tmp_path_factory.mktemp("nights")
    first, second = sorted((demo_data / "chunks").iterdir())[:2]
    chunks = root / "chunks"
    chunks.mkdir()
    shutil.copy(first, chunks / first.name)
    place = Place(root / "first", chunks=f"{chunks}/*", settings=SETTINGS)
    place.root.mkdir()
    weights = root / "weights.h5"
    code = f"from dflib.models import networks; networks.build('meso4', 64).save_weights({str(weights)!r})"
    subprocess.run(
        [sys.executable, "-c", code], check=True, cwd=HOME, env=place.environment() | {"TF_USE_LEGACY_KERAS": "1"}
    )
    values = ("weights.network=meso4", "weights.name=m", "weights.positive=fake", "weights.view.size=64")
    place.submit("import_model", f"weights.path={weights}", *values)
    night(place, spark)
    change(first, chunks / f"{first.name}.new")
    (chunks / f"{first.name}.new").replace(chunks / first.name)
    shutil.copy(second, chunks / second.name)
    return place


@pytest.fixture(scope="module")
def whole(before: Place, spark: SparkSession) -> tuple[dict[str, pd.DataFrame], int]:
    """The tables after a night without a kill, and how many writes it has."""
    place = copied(before, "whole")
    writes = night(place, spark)
    for table in ("videos", "extractions", "faces", "predictions", "verdicts", "changes", "chunks", "tasks", "checks"):
        assert any(write.endswith(f" {table}") for write in writes), table
    wanted = contents(place)
    assert {"faces", "predictions", "verdicts", "changes", "publications"} <= set(wanted)
    return wanted, len(writes)


def copied(place: Place, name: str) -> Place:
    root = place.root.parent / name
    shutil.copytree(place.root, root)
    return Place(root, chunks=place.chunks, settings=place.settings)


def differences(place: Place, wanted: dict[str, pd.DataFrame]) -> str:
    found = contents(place)
    return ", ".join(name for name in wanted if name not in found or not found[name].equals(wanted[name]))


def test_a_night_stopped_before_any_write_is_made_up_for_by_the_next(
    before: Place, whole: tuple[dict[str, pd.DataFrame], int], spark: SparkSession
) -> None:
    wanted, number = whole
    assert number > 30
    wrong = []
    for point in range(1, number + 1):
        place = copied(before, "stopped")
        reached = night(place, spark, point)
        assert len(reached) == point, (point, reached[-3:])
        night(place, spark)
        tables = differences(place, wanted)
        print(f"stopped before write {point} of {number}, {reached[-1]}: {tables or 'equal'}", flush=True)
        if tables:
            wrong.append(f"before write {point} ({reached[-1]}): {tables}")
        shutil.rmtree(place.root)
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
def test_a_night_killed_by_a_signal_is_made_up_for_by_the_next(
    before: Place, whole: tuple[dict[str, pd.DataFrame], int], spark: SparkSession, share: float
) -> None:
    wanted, number = whole
    place = copied(before, f"killed-{share}")
    script = place.root / "night.py"
    script.write_text(NIGHT.format(point=round(share * number)))
    done = subprocess.run(
        [sys.executable, str(script), *place.command("nightly")[2:]],
        env={**place.environment(), "PYTHONPATH": str(HOME)}, cwd=place.root, start_new_session=True,
        capture_output=True, text=True, check=False, timeout=900,
    )  # fmt: skip
    assert done.returncode == -signal.SIGKILL, done.stdout + done.stderr
    night(place, spark)
    assert differences(place, wanted) == ""
