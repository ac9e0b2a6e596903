"""The page of a night: counted by hand on small tables."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from dflib.reporting import night
from dflib.reporting.night import Failure
from dflib.storage import Storage
from dflib.tables.schemas import CHANGES, CHECKS, TASKS
from dflib.tables.store import Tables
from tests.score_rows import EXTRACTOR, SETTINGS, WHEN, ScoreRows
from tests.table_rows import add

pytestmark = pytest.mark.spark
RUN = "20260102T030405000000-nightly-7"
STEPS = {name: f"20260102T030406000000-{name}-7" for name in ("ingest", "extract", "score", "checks", "report")}


def changed(
    video: str, before: str, after: str, scores: tuple[float, float | None], cause: str, **more: Any
) -> dict[str, Any]:
    side = {"extractor": EXTRACTOR, "model_id": "m", "rule": "mean"}
    return {
        "video_id": video, **side, "current_since": WHEN, "cause": cause, "flipped": before != after, "held": False,
        **{f"from_{name}": value for name, value in side.items()}, "from_verdict": before, "from_p_fake": scores[0],
        "from_label": "REAL", "to_verdict": after, "to_p_fake": scores[1], "to_label": "REAL",
        "run_id": STEPS["report"], "changed_at": WHEN, **more,
    }  # fmt: skip


def summary(**steps: Any) -> dict[str, Any]:
    found = {
        name: {"outcome": "DONE", "run_id": run_id, "error": None, "line": f"{name} line", "counts": {}}
        for name, run_id in STEPS.items()
    }
    return {"outcome": "ATTENTION", "attention": ["look here"], "held_videos": 2, "steps": found | steps}


@pytest.fixture
def tables(spark: SparkSession, storage: Storage, tmp_path: Path) -> Tables:
    """Below a folder that has the name of a night in its own."""
    return Tables(spark, f"file://{tmp_path}/our-nightly-1/tables", storage)


@pytest.fixture
def collected(tables: Tables, storage: Storage) -> night.Night:
    rows = ScoreRows()
    rows.video("t/moved", [[0.1], [0.2]], "REAL")
    rows.video("t/<b>flipped</b>", [[0.7], [0.9]], "REAL")
    rows.video("t/earlier", [[0.7]], "FAKE")
    rows.video("t/new-failure", failed="UNREADABLE")
    rows.video("t/old-failure", failed="UNREADABLE")
    rows.video("t/again", failed="STORAGE_ERROR")
    rows.videos[0]["ingested_at"] = WHEN + timedelta(days=1)
    rows.videos[1]["ingested_at"] = WHEN + timedelta(days=1)
    rows.videos[2]["ingested_at"] = WHEN - timedelta(days=1)
    for row in rows.videos[3:]:
        row["ingested_at"] = WHEN - timedelta(days=1)
    ledger = {row["video_id"]: row for row in rows.extractions}
    ledger["t/new-failure"]["run_id"] = STEPS["extract"]
    ledger["t/again"] |= {"run_id": STEPS["extract"], "attempts": 2}
    rows.write(tables)
    add(tables, CHANGES, [
        changed("t/moved", "REAL", "REAL", (0.4, 0.15), "NEW_SCORES"),
        changed("t/<b>flipped</b>", "REAL", "FAKE", (0.4, 0.8), "NEW_MODEL", held=True),
        changed("t/earlier", "REAL", "FAKE", (0.4, 0.8), "NEW_MODEL", run_id="another"),
        changed("t/again", "REAL", "UNDETERMINED", (0.4, None), "NEW_FACES", run_id="another", held=True),
    ])  # fmt: skip
    check = {"level": "warn", "bound": 0.5, "checked_at": WHEN, "detail": "x"}
    add(tables, CHECKS, [
        {"run_id": STEPS["checks"], "name": "fake_share", "outcome": "WARNED", "value": 0.75, **check},
        {"run_id": "another", "name": "fake_share", "outcome": "PASSED", "value": 0.1, **check},
    ])  # fmt: skip
    task = {
        "wave": 0,
        "attempt": 0,
        "host": "h",
        "device": "d",
        "started_at": WHEN,
        "seconds": 1.0,
        "videos": 1,
        "faces": 1,
    }
    add(tables, TASKS, [
        task | {"run_id": STEPS["extract"], "job": "extract", "task": number, "cpu_seconds": 2.5, "bytes_read": 10**6}
        for number in range(2)
    ])  # fmt: skip
    for day, record in {
        1: {
            "outcome": "DONE",
            "counts": {"steps": {"report": {"counts": {"changes": {"NEW_MODEL": 3, "NEW_LABEL": 1}}}}},
        },
        2: {"outcome": "FAILED", "counts": {}},
    }.items():
        run_id = f"2026010{day}T000000000000-nightly-1"
        record |= {"run_id": run_id, "seconds": 60.0 * day}
        storage.write(f"{tables.root}/runs/{run_id}.json", json.dumps(record).encode())
    storage.write(f"{tables.root}/runs/20260102T000000000001-nightly-1.json", b"{")
    storage.write(f"{tables.root}/runs/20260102T000000000002-report-1.json", json.dumps(record).encode())
    return night.collect(tables, storage, SETTINGS, summary(), RUN, "1+x", WHEN)


def test_changes_failures_checks_and_cost_are_those_of_this_night(collected: night.Night) -> None:
    assert {cause.name: (cause.videos, cause.flipped, cause.held) for cause in collected.causes} == {
        "NEW_FACES": (1, 1, 1),  # held since an earlier night
        "NEW_MODEL": (1, 1, 1),
        "NEW_SCORES": (1, 0, 0),
    }
    assert [row["video_id"] for row in collected.changed] == ["t/<b>flipped</b>", "t/again", "t/moved"]
    assert {video: len(faces) for video, faces in collected.crops.items()} == {"t/<b>flipped</b>": 2, "t/moved": 2}
    assert collected.new_videos == {"REAL": 2}
    assert collected.failures == [
        Failure("UNREADABLE", 1, 1, ["t/new-failure"]),
        Failure("STORAGE_ERROR", 0, 1, ["t/again"]),
    ]
    assert [(check["name"], check["outcome"]) for check in collected.checks] == [("fake_share", "WARNED")]
    used = {step.name: (step.cpu_seconds, step.bytes_read) for step in collected.steps}
    assert used["extract"] == (5.0, 2 * 10**6) and used["score"] == (None, None)
    # The damaged record is left out.
    assert [(other.outcome, other.seconds, other.changed) for other in collected.before] == [
        ("FAILED", 120.0, None),
        ("DONE", 60.0, 4),
    ]


def test_page_begins_with_the_changes_and_keeps_names_as_text(collected: night.Night) -> None:
    html = night.render(collected)
    assert "<b>flipped</b>" not in html and "t/&lt;b&gt;flipped&lt;/b&gt;" in html
    places = [html.index(f'id="{name}"') for name in ("changes", "new", "failures", "checks", "steps", "before")]
    assert places == sorted(places)
    assert "another model is the champion" in html and "look here" in html
    assert html.index("The new verdicts of 2 videos are held") < html.index('id="new"')
    assert html.count("data:image/jpeg;base64,") == 4


def test_publish_keeps_the_pages_of_other_nights(collected: night.Night, storage: Storage, tables: Tables) -> None:
    root = f"{tables.root}/../reports"
    assert night.publish(storage, root, collected) == f"{root}/nightly.html"
    page = storage.read(f"{root}/nightly.html")
    assert page == storage.read(f"{root}/nightly/{RUN}.html") and b"Night of" in page


def test_start_of_a_run_is_in_its_id() -> None:
    assert night.started_at(RUN) == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
