"""One report on random rows, made once for many tests."""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from deltalake import DeltaTable
from pyspark.sql import SparkSession

from dflib.reporting.history import Made
from dflib.reporting.report import ReportResult, report
from dflib.runtime.progress import Progress
from dflib.storage import Storage
from dflib.tables.store import Tables
from tests.score_rows import GATE, SETTINGS, WHEN, ScoreRows, assign, train_on

SPLITS = {f"g{number}": ("train", "validation", "test")[number % 3] for number in range(29)}
MISJUDGED = "t/misjudged"
RUNS = ("20260102T030405000000-report-1", "20260103T030405000000-report-2", "20260104T030405000000-report-3")


@dataclass(frozen=True)
class Reported:
    """Rows, the tables that hold them, and the result of their report."""

    rows: ScoreRows
    tables: Tables
    folder: Path
    result: ReportResult

    def again(self) -> ReportResult:
        return run(self.tables, self.folder, run_id=RUNS[1])

    def table(self, name: str) -> pd.DataFrame:
        """A table as delta-rs reads it."""
        return DeltaTable(f"{self.tables.root.removeprefix('file://')}/{name}").to_pandas()

    @property
    def page(self) -> Path:
        (path,) = (self.folder / "reports").glob("*.html")
        return path


def run(
    tables: Tables,
    folder: Path,
    dry_run: bool = False,
    run_id: str = RUNS[0],
    failed_checks: tuple[str, ...] = (),
    **changes: Any,
) -> ReportResult:
    """A report into ``folder/reports``."""
    settings = SETTINGS.model_copy(update=changes)
    made = Made(run_id, "0.1.0+abc1234", WHEN)
    progress = Progress(io.StringIO())
    return report(
        *(tables, tables.storage, settings, GATE, f"file://{folder}/reports", progress, made, dry_run),
        failed_checks=failed_checks,
    )


def random_rows(seed: int, labels: tuple[str | None, ...] = ("REAL", "FAKE", "FAKE", None)) -> ScoreRows:
    """Thirty groups of four videos; scores in eighths; portraits, failures, faceless and unlabelled videos."""
    random = np.random.default_rng(seed)
    rows = ScoreRows()
    for number in range(120):
        label = labels[number % len(labels)]
        low, high = (2, 9) if label == "FAKE" else (0, 7)
        frames = [list(random.integers(low, high, random.integers(0, 3)) / 8) for _ in range(random.integers(1, 7))]
        rows.video(
            f"t/v{number:03}",
            [] if number % 17 == 3 else frames,
            label=label,
            group=f"g{number // 4}",
            chunk=f"part_{number // 60}",
            static=[(0, 0)] if number % 5 == 0 and frames[0] else [],
            failed="UNREADABLE" if number % 17 == 3 else None,
        )
    return rows


@pytest.fixture(scope="package")
def reported(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Reported:
    """A model trained here; one group is not in its training set, one video is not extracted, one is misjudged."""
    folder = tmp_path_factory.mktemp("reported")
    tables = Tables(spark, f"file://{folder}/tables", Storage())
    rows = random_rows(1)
    rows.video("t/later", label="FAKE", extracted=False)
    rows.video(MISJUDGED, [[1.0], [0.9], [0.95, 0.2], [1.0], [0.8]], label="REAL", group="g2")
    # Its score of .8 is not among the four farthest off, that of .9 is.
    next(face for face in rows.faces if face["face_id"].startswith(f"{MISJUDGED}/") and face["frame_index"] == 15)[
        "image"
    ] = b"not an image"
    train_on(tables, "set1", SPLITS)
    assign(tables, {f"g{number}": "train" for number in range(30)})  # of a later time; the training set counts
    rows.write(tables, training_set="set1")
    return Reported(rows, tables, folder, run(tables, folder))
