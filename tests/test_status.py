"""What status says of tables and run records."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from dflib import conf_files, status, uris
from dflib.extraction.extractor import extractor_id
from dflib.storage import Storage
from dflib.tables.schemas import EXTRACTIONS, VIDEOS
from dflib.tables.store import Tables
from tests import extract_rows

pytestmark = pytest.mark.spark
CONF = Path(__file__).parent.parent / "conf"
BEGUN = datetime(2026, 1, 2, 3, 0, tzinfo=UTC)


def record(storage: Storage, root: str, run_id: str, **more: Any) -> None:
    found = {"run_id": run_id, "job": "extract", "started_at": BEGUN.isoformat(), "outcome": "RUNNING", **more}
    storage.write(uris.join(root, "runs", f"{run_id}.json"), json.dumps(found).encode())


def test_what_runs_what_is_done_what_failed_and_when_it_is_over(spark: SparkSession, tmp_path: Path) -> None:
    storage, root = Storage(), f"file://{tmp_path}/tables"
    tables = Tables(spark, root, storage)
    config = conf_files.load(CONF, "local", [f"tables.root={tmp_path}/tables"])
    tables.insert_new(VIDEOS, spark.createDataFrame(extract_rows.videos([9] * 30, BEGUN), VIDEOS.spark_schema()))
    ledger = [
        extract_rows.extraction(
            number,
            extractor_id(config),
            "now",
            BEGUN + timedelta(seconds=10 * (1 + number // 4)),
            **({"outcome": "FAILED", "reason": "NO_FRAMES"} if number == 3 else {}),
        )
        for number in range(8)
    ]
    tables.upsert(EXTRACTIONS, spark.createDataFrame(ledger, EXTRACTIONS.spark_schema()))
    record(storage, root, "now")
    record(storage, root, "before", outcome="FAILED", seconds=7.0, error="a: reason\nmore")

    text = status.text(tables, storage, config, now=BEGUN + timedelta(seconds=40))
    # 8 videos in the 20 s to the last commit, 22 to do: 55 s more.
    over = BEGUN + timedelta(seconds=20 + 22 / (8 / 20))
    assert text.splitlines() == [
        "videos     30",
        f"extracted  7 by {extractor_id(config)}, 1 failed (NO_FRAMES 1), 22 to do",
        "running    now: since 2026-01-02 03:00:00 UTC (or it was killed); 8 videos, 0.4 a second; over at about "
        f"{over:%Y-%m-%d %H:%M} UTC",
        "ended      before: FAILED after 7 s: a: reason",
    ]
    text = status.text(tables, storage, config, now=BEGUN + timedelta(days=9))
    assert "0.4 a second; should have been over at 2026-01-02 03:01 UTC" in text
