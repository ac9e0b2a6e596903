"""Chunks on an unreliable S3 server give the rows of those on disk, in few requests, and retries are counted."""

from pathlib import Path

import pandas as pd
import pytest

from tests.fault_proxy import Faults, fault_proxy
from tests.jobs.conftest import Bucket
from tests.jobs.places import Place

# With the other tests on servers; make test has no time for it.
pytestmark = pytest.mark.cluster


def test_s3_gives_what_disk_gives(bucket: Bucket, demo_data: Path, tmp_path: Path) -> None:
    for path in sorted((demo_data / "chunks").glob("*.zip")):
        bucket.upload(path)
    on_disk = Place(tmp_path / "disk", chunks=f"{demo_data}/chunks/*.zip", settings=["tables.metastore=none"])
    faults = Faults(errors=0.1, cuts=0.1, seed=4)
    with fault_proxy(bucket.endpoint, faults) as failing:
        on_s3 = Place(
            tmp_path / "s3",
            chunks="s3://dfdc/chunks/*.zip",
            settings=["tables.metastore=none", *Bucket(failing).settings],
        )
        for place in (on_disk, on_s3):
            place.root.mkdir()
            place.submit("ingest")
            place.submit("extract")

    columns = ["video_id", "chunk", "member", "offset", "length", "packing", "crc32", "size", "label", "original"]
    videos = [
        place.table("videos").sort_values("video_id")[columns].reset_index(drop=True) for place in (on_disk, on_s3)
    ]
    pd.testing.assert_frame_equal(*videos)
    faces = [place.table("faces").sort_values("face_id").reset_index(drop=True) for place in (on_disk, on_s3)]
    pd.testing.assert_frame_equal(*faces, rtol=1e-6)

    assert (on_s3.table("chunks")["requests"] <= 6).all()
    given = faults.counts["500"] + faults.counts["503"] + faults.counts["cut"]
    ingest, extract = (on_s3.runs(job)[-1]["counts"]["retries"] for job in ("ingest", "extract"))
    assert ingest + extract == given > 0 and on_s3.table("tasks")["retries"].sum() == extract > 0
    assert [on_disk.runs(job)[-1]["counts"]["retries"] for job in ("ingest", "extract")] == [0, 0]
    ledger = on_s3.table("extractions").set_index("video_id")
    with_bytes = on_s3.table("videos").set_index("video_id")["length"].fillna(0)
    readable = ledger[ledger["bytes_read"] > 0]
    assert len(readable) > 0
    assert (readable["requests"] == 1).all()
    assert (readable["bytes_read"] <= with_bytes[readable.index]).all()
