"""The estimate on a made-up run, whose measurements are known."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from dflib import uris
from dflib.config import load as conf_files
from dflib.config.identity import extractor_id
from dflib.errors import TableError
from dflib.operations import estimate
from dflib.storage import Storage
from dflib.tables.schemas import EXTRACTIONS, TASKS, VIDEOS
from dflib.tables.store import Tables
from tests import extract_rows
from tests.table_rows import add

pytestmark = pytest.mark.spark
CONF = Path(__file__).parents[2] / "conf"
BEGUN = datetime(2026, 1, 2, 3, 0, tzinfo=UTC)
A, K, STRETCH, START, WARM_UP, WRITING = 0.5, 2e-7, 1.25, 9.0, 4.0, 6.0
"""Measurements of the made-up run: seconds a video and a byte, and so on; writing in total."""
TOTAL, MEASURED_RUN, PER_TASK, SLOTS = 500, 60, 5, 2


def test_size_recovers_the_measurements_of_a_made_up_run(spark: SparkSession, tmp_path: Path) -> None:
    storage, root = Storage(), f"file://{tmp_path}/tables"
    tables = Tables(spark, root, storage)
    config = conf_files.load(
        CONF,
        "local",
        [f"tables.root={tmp_path}/tables", "estimate.cores=2", "estimate.gpus=2", "estimate.gpu_hour=3.6"],
    )
    extractor = extractor_id(config)
    with pytest.raises(TableError, match="run extract on some of the chunks first"):
        estimate.estimate(tables, storage, config)

    sizes = [1_000_000 + 40_000 * (number * 7 % 50) for number in range(TOTAL)]
    add(tables, VIDEOS, extract_rows.videos(sizes, BEGUN))
    ledger = [
        extract_rows.extraction(
            number,
            extractor,
            "r",
            BEGUN,
            bytes_read=sizes[number],
            decode_seconds=0.6 * (A + K * sizes[number]),
            detect_seconds=0.4 * (A + K * sizes[number]),
        )
        for number in range(MEASURED_RUN)
    ]
    add(tables, EXTRACTIONS, ledger)
    free = [BEGUN + timedelta(seconds=START)] * SLOTS
    rows = []
    for task in range(MEASURED_RUN // PER_TASK):
        own = sizes[task * PER_TASK : (task + 1) * PER_TASK]
        slot = task % SLOTS
        seconds = STRETCH * (A * PER_TASK + K * sum(own)) + (WARM_UP if task < SLOTS else 0)
        rows.append(
            extract_rows.row(
                TASKS,
                run_id="r", job="extract", wave=0, task=task, attempt=0, host="h", executor=1, worker=slot,
                device="CPU:0", started_at=free[slot], seconds=seconds, cpu_seconds=seconds, peak_bytes=1,
                videos=PER_TASK, faces=20 * PER_TASK, bytes_read=sum(own),
            )
        )  # fmt: skip
        free[slot] += timedelta(seconds=seconds)
    add(tables, TASKS, rows)
    took = (max(free) - BEGUN).total_seconds() + WRITING
    done = {"run_id": "r", "job": "extract", "started_at": BEGUN.isoformat(), "outcome": "DONE", "seconds": took}
    storage.write(uris.join(root, "runs", "r.json"), json.dumps(done).encode())

    found = estimate.estimate(tables, storage, config)
    measured = found.measured
    assert (measured.videos, measured.tasks, measured.workers, measured.faces) == (MEASURED_RUN, 12, 2, 20)
    assert (measured.a, measured.k, measured.stretch) == pytest.approx((A, K, STRETCH), rel=1e-6)
    assert (measured.start, measured.warm_up) == pytest.approx((START, WARM_UP), abs=1e-3)
    assert measured.writing == pytest.approx(WRITING, abs=1e-3) and measured.error < 1e-6
    rest = TOTAL - MEASURED_RUN
    work = STRETCH * (A * rest + K * sum(sizes[MEASURED_RUN:]))
    assert (found.videos, found.bytes, found.faces) == (rest, sum(sizes[MEASURED_RUN:]), 20 * rest)
    assert found.work == pytest.approx(work, rel=1e-6) and found.fixed == pytest.approx(START + WARM_UP, abs=1e-3)
    idle = work / found.tasks / 2
    wall = START + WARM_UP + work / SLOTS + idle + WRITING
    assert found.wall == pytest.approx(wall, rel=1e-5)
    assert found.core_hours == pytest.approx(2 * wall / 3600) and found.cost == pytest.approx(2 * wall / 1000)
    assert "12 tasks of 2 workers" in estimate.text(found) and "cost" in estimate.text(found)

    # A task takes a share of a GPU; where there are fewer of those, cores are idle.
    two = "estimate.gpus=1 cluster.tasks_per_gpu=2 cluster.gpu_memory_mib=4000"
    for settings, slots in (("estimate.gpus=1", 1), (two, 2), ("estimate.gpus=0", 2)):
        overrides = [f"tables.root={tmp_path}/tables", "estimate.cores=2", *settings.split()]
        assert estimate.estimate(tables, storage, conf_files.load(CONF, "local", overrides)).slots == slots
