"""Another attempt at failed videos, when somebody asks for it."""

from typing import Any

import pytest
from pyspark.sql import functions as F

from dflib.errors import TableError
from dflib.extraction import retry, schedule
from dflib.tables.schemas import CHUNKS, EXTRACTIONS, VIDEOS
from dflib.tables.store import Tables
from tests.score_rows import EXTRACTOR, WHEN, ScoreRows
from tests.table_rows import add

pytestmark = pytest.mark.spark


@pytest.fixture
def failed(tables: Tables) -> Tables:
    """Two unreadable videos, one without frames, one done; another extractor failed at all of them."""
    rows = ScoreRows()
    for name, reason in (("a", "UNREADABLE"), ("b", "UNREADABLE"), ("c", "NO_FRAMES"), ("d", None)):
        rows.video(f"t/{name}", [] if reason else [[0.5]], failed=reason)
    others = [row | {"extractor": "other", "outcome": "FAILED", "reason": "TOO_LONG"} for row in rows.extractions]
    rows.extractions = [row | {"attempts": 3} for row in rows.extractions] + others
    rows.write(tables)
    return tables


def pending(tables: Tables) -> dict[str, int]:
    """Attempts of the pending videos."""
    found = schedule.pending(tables.read(VIDEOS), tables.read(EXTRACTIONS), tables.read(CHUNKS), EXTRACTOR, 3)
    return {row["video_id"]: row["attempts"] for row in found.collect()}


def test_request_makes_failed_videos_pending_until_they_are_extracted(failed: Tables) -> None:
    assert pending(failed) == {}
    version = failed.version(EXTRACTIONS)
    assert retry.request(failed, EXTRACTOR, "UNREADABLE", dry_run=True).videos == 2
    assert failed.version(EXTRACTIONS) == version
    assert retry.request(failed, EXTRACTOR, "UNREADABLE") == retry.Retries(EXTRACTOR, {"UNREADABLE": 2})
    assert pending(failed) == {"t/a": 3, "t/b": 3}
    version = failed.version(EXTRACTIONS)
    retry.request(failed, EXTRACTOR, "UNREADABLE")
    assert failed.version(EXTRACTIONS) == version, "asking twice changes nothing"

    ledger: dict[str, Any] = {"extractor": EXTRACTOR, "run_id": "r2", "extracted_at": WHEN, "bytes_read": 1}
    ledger |= {"frames": 1, "faces": 0, "requests": 1, "attempts": 4}
    outcomes = [("t/a", "DONE", None), ("t/b", "FAILED", "UNREADABLE")]
    rows = [ledger | {"video_id": name, "outcome": outcome, "reason": reason} for name, outcome, reason in outcomes]
    failed.upsert(EXTRACTIONS, EXTRACTIONS.frame(failed.spark, rows))
    assert pending(failed) == {}
    assert failed.read(EXTRACTIONS).where(F.col("retry_at").isNotNull()).count() == 0


def test_request_of_named_videos_and_of_any_reason(failed: Tables) -> None:
    done = retry.request(failed, EXTRACTOR, None, ["t/b", "t/c", "t/d"])
    assert done.reasons == {"NO_FRAMES": 1, "UNREADABLE": 1}
    assert set(pending(failed)) == {"t/b", "t/c"}


def test_request_that_matches_nothing_lists_the_reasons(failed: Tables) -> None:
    for reason, videos in (("TOO_LONG", ()), (None, ("t/d",)), ("UNREADABLE", ("t/c",))):
        with pytest.raises(TableError, match=f"failures of {EXTRACTOR} by reason: NO_FRAMES 1, UNREADABLE 2"):
            retry.request(failed, EXTRACTOR, reason, videos)
    with pytest.raises(TableError, match="by reason: none"):
        retry.request(failed, "unknown", None)


def test_request_works_on_a_ledger_of_an_older_version(tables: Tables) -> None:
    row = {"video_id": "a", "extractor": EXTRACTOR, "outcome": "FAILED", "reason": "UNREADABLE", "attempts": 1}
    row |= {"frames": 0, "faces": 0, "bytes_read": 0, "requests": 0, "run_id": "r", "extracted_at": WHEN}
    add(tables, EXTRACTIONS, [row])
    old = tables.read(EXTRACTIONS).drop("retry_at")
    old.write.format("delta").mode("overwrite").option("overwriteSchema", "true").save(tables.uri(EXTRACTIONS))
    assert retry.request(tables, EXTRACTOR, "UNREADABLE").videos == 1
    assert tables.read(EXTRACTIONS).where("retry_at IS NOT NULL").count() == 1
