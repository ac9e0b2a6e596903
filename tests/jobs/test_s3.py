"""Chunks on an S3 server give the same rows as on disk, in few requests."""

from collections.abc import Iterator
from pathlib import Path

import boto3
import pandas as pd
import pytest
from moto.server import ThreadedMotoServer

from tests.jobs.places import Place

pytestmark = pytest.mark.e2e


@pytest.fixture
def s3(demo_data: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The endpoint of an S3 server that holds the demo chunks in the bucket ``dfdc``."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    client = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1")
    client.create_bucket(Bucket="dfdc")
    for path in sorted((demo_data / "chunks").glob("*.zip")):
        client.upload_file(str(path), "dfdc", f"chunks/{path.name}")
    yield endpoint
    server.stop()


def test_s3_gives_what_disk_gives(s3: str, demo_data: Path, tmp_path: Path) -> None:
    on_disk = Place(tmp_path / "disk", chunks=f"{demo_data}/chunks/*.zip", settings=["tables.metastore=none"])
    on_s3 = Place(
        tmp_path / "s3",
        chunks="s3://dfdc/chunks/*.zip",
        settings=["tables.metastore=none", f"s3.endpoint={s3}", "s3.region=us-east-1", "s3.path_style=true"],
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
    ledger = on_s3.table("extractions").set_index("video_id")
    with_bytes = on_s3.table("videos").set_index("video_id")["length"].fillna(0)
    readable = ledger[ledger["bytes_read"] > 0]
    assert len(readable) > 0
    assert (readable["requests"] == 1).all()
    assert (readable["bytes_read"] <= with_bytes[readable.index]).all()
