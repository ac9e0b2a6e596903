"""A run killed or stopped in the middle of extract, and the run after it."""

import os
import shutil
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

from dflib.operations import status
from dflib.tables.schemas import TABLES
from tests.jobs.places import HOME, Place, columns_of_runs

# With the other tests that kill; make test has no time for it.
pytestmark = pytest.mark.cluster
WAVE = 12
OFTEN = """
from dflib.runtime import runs
from dflib.cli.job import main
from dflib.steps.extract import STEP

runs.EVERY_SECONDS = 0.3
main(STEP)
"""
"""extract with heartbeats so often that one falls between the first wave and the kill."""


def rows(place: Place, table: str, key: list[str]) -> pd.DataFrame:
    apart = columns_of_runs(TABLES[table]) | {"requests"}
    return place.table(table).drop(columns=list(apart), errors="ignore").sort_values(key).reset_index(drop=True)


def test_extract_after_a_kill_reads_only_uncommitted_videos(demo_data: Path, tmp_path: Path) -> None:
    settings = [f"extract.wave_videos={WAVE}", "tables.metastore=none"]
    whole = Place(tmp_path / "whole", chunks=f"{demo_data}/chunks/*", settings=settings)
    killed = Place(tmp_path / "killed", chunks=f"{demo_data}/chunks/*", settings=settings)
    whole.root.mkdir()
    whole.submit("ingest")
    shutil.copytree(whole.root, killed.root)
    whole.submit("extract")

    script = tmp_path / "extract.py"
    script.write_text(OFTEN)
    process = subprocess.Popen(
        [sys.executable, str(script), *killed.command("extract")[2:]],
        env={**killed.environment(), "PYTHONPATH": str(HOME)}, cwd=killed.root, start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    ledger = killed.root / "tables" / "extractions" / "_delta_log"
    deadline = time.monotonic() + 300
    # Version 0 makes the table, 1 is the first wave; the kill falls into the second.
    while not (ledger / f"{1:020d}.json").is_file():
        assert process.poll() is None, "extract ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.05)
    time.sleep(1.0)
    os.killpg(process.pid, signal.SIGSTOP)
    try:
        beside = killed.submit("extract", code=1)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    (record, refused) = killed.runs("extract")
    assert f"another run of extract is active ({record['run_id']} on " in beside.stdout
    assert refused["outcome"] == "FAILED" and refused["error"] in beside.stdout
    record = killed.runs("extract")[0]
    assert record["outcome"] == "RUNNING"
    assert record["progress"]["what"] == "videos"
    assert WAVE <= record["progress"]["done"] <= record["progress"]["total"]
    assert datetime.fromisoformat(record["seen_at"]) > datetime.fromisoformat(record["started_at"])
    line = status.text_of_run(record, datetime.now(UTC) + timedelta(minutes=6))
    assert " videos" in line and line.endswith("probably killed")
    done = set(killed.table("extractions")["video_id"])
    videos = set(whole.table("videos")["video_id"])
    assert done < videos, "nothing was left to do: make the waves smaller"

    killed.submit("extract")
    again = killed.runs("extract")[-1]["counts"]
    assert again["videos"] == len(videos - done)
    whole_bytes = whole.table("extractions").set_index("video_id")["bytes_read"]
    assert again["bytes_read"] == whole_bytes[sorted(videos - done)].sum()
    pd.testing.assert_frame_equal(rows(killed, "faces", ["face_id"]), rows(whole, "faces", ["face_id"]), rtol=1e-6)
    for table, key in (("frames", ["video_id", "frame_index"]), ("extractions", ["video_id"])):
        pd.testing.assert_frame_equal(rows(killed, table, key), rows(whole, table, key))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_extract_in_order(demo_data: Path, tmp_path: Path, number: signal.Signals) -> None:
    chunk = min((demo_data / "chunks").iterdir())
    place = Place(tmp_path / "place", chunks=str(chunk), settings=["tables.metastore=none"])
    place.root.mkdir()
    place.submit("ingest")
    temporary = tmp_path / "local"
    temporary.mkdir()
    process = subprocess.Popen(
        place.command("extract"), env={**place.environment(), "SPARK_LOCAL_DIRS": str(temporary)}, cwd=place.root,
        start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    deadline = time.monotonic() + 300
    while not (place.root / "tables" / "_leases" / "run-extract.lock").is_file():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    time.sleep(4.0)
    # As Ctrl-C reaches the whole group, and a scheduler its process only.
    (os.killpg if number == signal.SIGINT else os.kill)(process.pid, number)
    out, _ = process.communicate(timeout=120)
    assert process.returncode == 128 + number
    line = f"extract: stopped by {number.name}; run it again to go on from there"
    assert [each for each in out.splitlines() if not each.startswith("INFO ")] == [line]
    (record,) = place.runs("extract")
    assert (record["outcome"], record["error"]) == ("INTERRUPTED", f"stopped by {number.name}")
    assert list(temporary.iterdir()) == []
    place.submit("extract")
    assert len(place.table("extractions")) == len(place.table("videos"))
