"""Run records: the whole configuration, and no secret that somebody put into a URI."""

import json
from pathlib import Path

from dflib import conf_files
from dflib.runs import Run
from dflib.storage import Storage

CONF = Path(__file__).parent.parent / "conf"


def test_the_record_holds_the_configuration_without_secrets(tmp_path: Path) -> None:
    told = conf_files.load(
        CONF,
        "local",
        [
            "sources.labels=s3://user:pass@w0rd@bucket/labels.csv",
            "sources.chunks=s3://bucket/part_?.zip,s3://bucket/a.zip?X-Amz-Signature=hidden&x=y",
        ],
    )
    run = Run("id", "ingest", told.digest(), "0", "2026-01-01", config=told.model_dump(mode="json"))
    run.error = "http://user:pass@minio:9000/x: refused"
    uri = run.write(Storage(), f"file://{tmp_path}")
    record = json.loads(Storage().read(uri))
    assert record["config"]["sources"].pop("labels") == "s3://***@bucket/labels.csv"
    assert record["config"]["sources"].pop("chunks") == ["s3://bucket/part_?.zip", "s3://bucket/a.zip?***"]
    expected = told.model_dump(mode="json", exclude={"sources": {"chunks", "labels"}})
    assert record["config"] == expected and record["config_digest"] == told.digest()
    assert record["error"] == "http://***@minio:9000/x: refused"
