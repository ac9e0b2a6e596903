"""A whole job in which some videos end, stop or starve their process."""

import os
import time
from pathlib import Path

import pytest

from tests.extraction.conftest import numbered
from tests.hostile import bombs
from tests.jobs.places import Place
from tools.demo.clips import encode_bytes

pytestmark = pytest.mark.hostile

MARKED = Path(__file__).parents[1] / "extraction" / "marked"
CPU_SECONDS = 3


def test_three_of_twenty_videos_fail_and_the_others_are_done(tmp_path: Path) -> None:
    folder = tmp_path / "videos"
    folder.mkdir()
    clip = encode_bytes(numbered(20), audio=False)[0]
    for number in range(20):
        (folder / f"{number:02}.mp4").write_bytes(clip + bytes([0, 0, 0, 9]) + b"free" + bytes([number]))
    bad = {"03": clip + _box(b"test-mark:SEGV"), "09": clip + _box(b"test-mark:hang"), "15": bombs.index_bomb()}
    for name, content in bad.items():
        (folder / f"{name}.mp4").write_bytes(content)
    (folder / "labels.csv").write_text("video,label\n" + "".join(f"{n:02}.mp4,REAL\n" for n in range(20)))
    place = Place(
        tmp_path,
        chunks=str(folder),
        env="local",
        settings=[
            "tables.metastore=none",
            f"extract.max_cpu_seconds={CPU_SECONDS}",
            "extract.max_index_entries=10000000000",  # would refuse the file before it takes memory
        ],
        variables={"PYTHONPATH": os.pathsep.join([str(MARKED), os.environ.get("PYTHONPATH", "")])},
    )
    place.submit("ingest")
    before = time.monotonic()
    text = place.submit("extract").stdout
    seconds = time.monotonic() - before

    rows = place.table("extractions").set_index("video_id")
    failed = rows[rows["outcome"] == "FAILED"]
    reasons = {Path(name).stem: row["reason"] for name, row in failed.iterrows()}
    assert reasons == {"03": "CRASHED", "09": "TIMEOUT", "15": "TOO_LARGE"}
    details = {Path(name).stem: row["detail"] for name, row in failed.iterrows()}
    assert "SIGSEGV" in details["03"] and f"extract.max_cpu_seconds={CPU_SECONDS}" in details["09"]
    assert "extract.max_video_memory" in details["15"]
    assert (rows["outcome"] == "DONE").sum() == 17 and (rows["sha256"].notna()).all()
    assert "17 done" in text and "3 failed (CRASHED 1, TIMEOUT 1, TOO_LARGE 1)" in text
    tasks = place.table("tasks")
    peak = tasks["peak_bytes"].max()
    print(f"{seconds:.0f} s, {tasks['cpu_seconds'].sum():.1f} CPU s, peak of a worker {peak / 1e6:.0f} MB\n{text}")
    print(failed[["reason", "detail"]].to_string())
    assert peak < 2.5e9 and seconds < 300

    versions = place.versions()
    assert "nothing to do" in place.submit("extract").stdout
    assert place.versions() == versions


def _box(text: bytes) -> bytes:
    return (8 + len(text)).to_bytes(4, "big") + b"free" + text
