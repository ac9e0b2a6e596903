"""A night killed before each of its writes, and the night after it: the tables are those of a night without a kill."""

import shutil
import signal
import subprocess
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd
import pytest

from dflib.tables.schemas import TABLES
from tests.jobs.places import HOME, Place

# With the other tests that kill; make test has no time for it.
pytestmark = pytest.mark.cluster

NIGHT = '''"""A night that writes down each write of its driver, and is killed with all of its processes before one."""

import os
import signal
from pathlib import Path

from dflib.cli.job import main_of
from dflib.runtime import runs
from dflib.steps.nightly import JOB
from dflib.storage import Storage
from dflib.tables.write_locks import WriteLocks

POINT, LOG = {point}, Path({log!r})
runs.EVERY_SECONDS = 1e6  # a heartbeat would come at any time


def counted(function, name):
    def write(self, where, *arguments, **more):
        with LOG.open("a") as file:
            file.write(f"{{name}} {{where}}\\n")
        if len(LOG.read_text().splitlines()) == POINT:
            os.killpg(os.getpgid(0), signal.SIGKILL)
        return function(self, where, *arguments, **more)

    return write


WriteLocks.commit = counted(WriteLocks.commit, "commit")
for name in ("write", "write_if", "delete", "delete_folder"):
    setattr(Storage, name, counted(getattr(Storage, name), name))

if __name__ == "__main__":
    main_of(JOB)
'''
VOLATILE = {"run_id", "extraction_run", "published_by", "published_at", "current_since"}
"""Beside those of the schemas: which run wrote a row, and when."""
MEASURED = {"decode_seconds", "detect_seconds", "requests", "bytes_read", "predictions_version"}
PER_RUN = {"tasks", "checks"}
"""Tables with rows of each run, also of one that was killed."""


def night(place: Place, point: int = 0) -> tuple[int, list[str]]:
    """Runs a night, killed before its write number ``point`` (from 1); returns its exit code and its writes."""
    log = place.root / f"writes-{point}.txt"
    log.unlink(missing_ok=True)
    script = place.root / f"night-{point}.py"
    script.write_text(NIGHT.format(point=point, log=str(log)))
    done = subprocess.run(
        [sys.executable, str(script), *place.command("nightly")[2:]],
        env={**place.environment(), "PYTHONPATH": str(HOME)}, cwd=place.root, start_new_session=True,
        capture_output=True, text=True, check=False, timeout=900,
    )  # fmt: skip
    assert done.returncode in (0, 3, -signal.SIGKILL), done.stdout + done.stderr
    return done.returncode, log.read_text().splitlines()


def contents(place: Place) -> dict[str, pd.DataFrame]:
    """The rows of each table, without what says when and by which run they were written."""
    found = {}
    for name, table in TABLES.items():
        if name not in PER_RUN and name in place.versions():
            rows = place.table(name)
            dropped = (VOLATILE | MEASURED | set(table.volatile)) & set(rows.columns)
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
def before(tmp_path_factory: pytest.TempPathFactory, demo_data: Path) -> Place:
    """The tables after a first night; then one chunk is changed, and another is new."""
    root = tmp_path_factory.mktemp("nights")
    first, second = sorted((demo_data / "chunks").iterdir())[:2]
    chunks = root / "chunks"
    chunks.mkdir()
    shutil.copy(first, chunks / first.name)
    place = Place(root / "first", chunks=f"{chunks}/*", settings=["tables.metastore=none"])
    place.root.mkdir()
    weights = root / "weights.h5"
    code = f"from dflib.models import networks; networks.build('meso4', 64).save_weights({str(weights)!r})"
    subprocess.run(
        [sys.executable, "-c", code], check=True, cwd=HOME, env=place.environment() | {"TF_USE_LEGACY_KERAS": "1"}
    )
    values = ("weights.network=meso4", "weights.name=m", "weights.positive=fake", "weights.view.size=64")
    place.submit("import_model", f"weights.path={weights}", *values)
    assert night(place)[0] in (0, 3)
    change(first, chunks / f"{first.name}.new")
    (chunks / f"{first.name}.new").replace(chunks / first.name)
    shutil.copy(second, chunks / second.name)
    return place


def copied(place: Place, name: str) -> Place:
    root = place.root.parent / name
    shutil.copytree(place.root, root)
    return Place(root, chunks=place.chunks, settings=place.settings)


def test_a_night_killed_before_any_write_is_made_up_for_by_the_next(before: Place) -> None:
    whole = copied(before, "whole")
    code, writes = night(whole)
    assert code in (0, 3) and len(writes) > 30
    for table in ("videos", "extractions", "faces", "predictions", "verdicts", "changes", "chunks", "tasks", "checks"):
        assert any(write.endswith(f" {table}") for write in writes), table
    wanted = contents(whole)
    assert {"faces", "predictions", "verdicts", "changes", "publications"} <= set(wanted)

    def killed(point: int) -> str:
        place = copied(before, f"killed-{point}")
        code, reached = night(place, point)
        assert code == -signal.SIGKILL and len(reached) == point, (point, code, reached[-3:])
        assert night(place)[0] in (0, 3)
        found = contents(place)
        wrong = [name for name in wanted if name not in found or not found[name].equals(wanted[name])]
        shutil.rmtree(place.root)
        return f"before write {point} ({reached[-1]}): {', '.join(wrong)}" if wrong else ""

    with ThreadPoolExecutor(2) as pool:
        differences = [text for text in pool.map(killed, range(1, len(writes) + 1)) if text]
    assert not differences, "\n".join(differences)
    print(f"killed before each of {len(writes)} writes")
