"""All jobs on real clips, with published weights."""

import zipfile
from pathlib import Path

import pytest

from tests import published_weights
from tests.jobs.conftest import Bucket
from tests.jobs.places import Place

pytestmark = pytest.mark.shared


@pytest.mark.cluster  # with the other tests on S3 servers
def test_five_clips_get_five_verdicts(sample_data: Path, tmp_path: Path, bucket: Bucket) -> None:
    """From a chunk zip on S3 to a report."""
    archive = tmp_path / "dfdc_train_part_00.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as chunk:
        for path in sorted((sample_data / "dfdc" / "dfdc_train_part_0").iterdir()):
            chunk.write(path, f"dfdc_train_part_0/{path.name}")
    bucket.upload(archive)
    place = Place(
        tmp_path,
        chunks="s3://dfdc/chunks/*.zip",
        settings=["tables.metastore=none", "sampling.frames=even:20", *bucket.settings],
    )
    place.chain("ingest", "extract")
    chunk_row = place.table("chunks").iloc[0]
    assert chunk_row["requests"] <= 6
    assert chunk_row["bytes_read"] < 0.01 * archive.stat().st_size

    faces = place.table("faces").merge(place.table("frames")[["video_id", "frame_index", "width", "height"]])
    ledger = place.table("extractions")
    assert (ledger["frames"] == 20).all() and (ledger["requests"] == 1).all()
    frames_with_person = faces[faces["static"] != True].groupby("video_id")["frame_index"].nunique()  # noqa: E712
    for video, frames in frames_with_person.items():
        assert frames >= 19, video
    assert len(frames_with_person) == 5
    assert (faces[faces["static"] != True].groupby("video_id")["track"].nunique() == 1).all()  # noqa: E712
    marked = faces[faces["static"] == True]  # noqa: E712
    assert set(marked["video_id"]) == {"dfdc/yhffcuhhjy"}
    # The portraits hang small on the wall; the person is several times as wide.
    assert marked["box_w"].max() < 80

    text = place.chain(
        "import_model", "score", "report", settings=published_weights.settings(sample_data, "Meso4_DF")
    ).stdout
    verdicts = place.table("verdicts")
    for _, of_rule in verdicts.groupby("rule"):
        assert len(of_rule) == 5
        assert set(of_rule["verdict"]) <= {"FAKE", "REAL"}
    assert "FAKE" in text
