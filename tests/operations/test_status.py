"""The report of status, from tables and run records."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from dflib import uris
from dflib.config import load as conf_files
from dflib.config.identity import extractor_id
from dflib.operations import status
from dflib.storage import Storage
from dflib.tables.schemas import EXTRACTIONS, VIDEOS
from dflib.tables.store import Tables
from tests import extract_rows
from tests.table_rows import add

CONF = Path(__file__).parents[2] / "conf"
BEGUN = datetime(2026, 1, 2, 3, 0, tzinfo=UTC)


def record(storage: Storage, root: str, run_id: str, **more: Any) -> None:
    found = {"run_id": run_id, "job": "extract", "started_at": BEGUN.isoformat(), "outcome": "RUNNING", **more}
    storage.write(uris.join(root, "runs", f"{run_id}.json"), json.dumps(found).encode())


@pytest.mark.spark
def test_text_reports_tables_and_runs(spark: SparkSession, tmp_path: Path) -> None:
    storage, root = Storage(), f"file://{tmp_path}/tables"
    tables = Tables(spark, root, storage)
    config = conf_files.load(CONF, "local", [f"tables.root={tmp_path}/tables"])
    add(tables, VIDEOS, extract_rows.videos([9] * 30, BEGUN))
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
    add(tables, EXTRACTIONS, ledger)
    progress = {"what": "videos", "done": 11.0, "total": 30, "rate": 0.4}
    record(storage, root, "now", seen_at=(BEGUN + timedelta(seconds=36)).isoformat(), progress=progress)
    record(storage, root, "before", outcome="FAILED", seconds=7.0, error="a: reason\nmore")

    text = status.text(tables, storage, config, now=BEGUN + timedelta(seconds=40))
    assert text.splitlines() == [
        "videos     30",
        f"extracted  7 by {extractor_id(config)}, 1 failed (NO_FRAMES 1), 22 to do",
        # 36 s, and 19 videos at 0.4 a second.
        "running    now: since 2026-01-02 03:00:00 UTC; 11 of 30 videos, 0.4 a second; estimated end "
        "2026-01-02 03:01 UTC",
        "ended      before: FAILED after 7 s: a: reason",
    ]


SEEN = {"seen_at": (BEGUN + timedelta(minutes=10)).isoformat()}


def seen(what: str, done: float, total: int, rate: float | None) -> dict[str, Any]:
    """A record that was written ten minutes after its run began."""
    return {**SEEN, "progress": {"what": what, "done": done, "total": total, "rate": rate}}


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({}, ""),
        (SEEN, ""),
        (
            seen("faces", 0, 40000, None),
            "; 0 of 40,000 faces",
        ),
        (
            seen("faces", 12300.2, 40000, 2.0),
            # 27,700 faces: 3 hours, 50 minutes and 50 seconds.
            "; 12,300 of 40,000 faces, 2 a second; estimated end 2026-01-02 07:00 UTC",
        ),
        (
            seen("training steps", 1, 9, 0.0037),
            "; 1 of 9 training steps, 0.0037 a second; estimated end 2026-01-02 03:46 UTC",
        ),
        (seen("faces", 9, 9, 1234.5), "; 9 of 9 faces"),
        (seen("chunks", 0, 0, None), "; 0 of 0 chunks"),
    ],
)
def test_text_of_run_shows_known_progress(fields: dict[str, Any], text: str) -> None:
    now = BEGUN + timedelta(minutes=4 if not fields else 14)
    record = {"started_at": BEGUN.isoformat(), **fields}
    assert status.text_of_run(record, now) == f"since 2026-01-02 03:00:00 UTC{text}"


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({}, "; no heartbeat since 2026-01-02 03:00:00 UTC, probably killed"),
        (
            seen("faces", 20, 40, 0.01),
            "; 20 of 40 faces, 0.01 a second; no heartbeat since 2026-01-02 03:10:00 UTC, probably killed",
        ),
    ],
)
def test_text_of_run_estimates_no_end_without_a_heartbeat(fields: dict[str, Any], text: str) -> None:
    record = {"started_at": BEGUN.isoformat(), **fields}
    assert status.text_of_run(record, BEGUN + timedelta(minutes=16)) == f"since 2026-01-02 03:00:00 UTC{text}"
