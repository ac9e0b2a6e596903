"""Measures the configured checks and keeps the results in the table ``checks``."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import pyarrow as pa
from pyspark.sql import functions as F

from dflib.checks import CheckPart
from dflib.config import ChecksConfig
from dflib.parts import catalog
from dflib.tables.schemas import CHECKS
from dflib.tables.store import Tables

PASSED, WARNED, FAILED, UNMEASURED = "PASSED", "WARNED", "FAILED", "UNMEASURED"


@dataclass(frozen=True)
class Result:
    """The result of one check, as in ``checks``.

    Attributes:
        name: as configured, such as ``faceless_share:0.5``.
        level: warn or fail.
        outcome: PASSED, UNMEASURED, or what the level makes of a value above the bound: WARNED or FAILED.
        value: None: there was nothing to measure.
        bound: largest value that passes.
        detail: what the value is about.
    """

    name: str
    level: str
    outcome: str
    value: float | None
    bound: float
    detail: str

    @property
    def line(self) -> str:
        """The result in one line."""
        value = "nothing to measure" if self.value is None else f"{self.value:.4g}, at most {self.bound:g}"
        return f"{self.outcome:<10} {self.name}: {value}{f' ({self.detail})' if self.detail else ''}"


def evaluate(tables: Tables, settings: ChecksConfig) -> list[Result]:
    """Measures all configured checks, those of level fail first."""
    checks = [(text, "fail") for text in settings.fail] + [(text, "warn") for text in settings.warn]
    return [_evaluate(tables, text, level) for text, level in checks]


def write(tables: Tables, results: Sequence[Result], run_id: str) -> None:
    """Adds the results of a run to ``checks``."""
    now = datetime.now(UTC)
    rows = [vars(result) | {"run_id": run_id, "checked_at": now} for result in results]
    if rows:
        frame = pa.Table.from_pylist(rows, CHECKS.schema)
        tables.insert_new(CHECKS, tables.spark.createDataFrame(frame, CHECKS.spark_schema()))


def failures(tables: Tables) -> list[str]:
    """What failed in the newest run of the checks; empty when nothing did, or none was run."""
    rows = tables.read(CHECKS)
    newest = rows.agg(F.max("run_id").alias("run_id")).first()
    if newest is None or newest["run_id"] is None:
        return []
    failed = rows.where((F.col("run_id") == newest["run_id"]) & (F.col("outcome") == FAILED)).orderBy("name")
    return [row["name"] for row in failed.collect()]


def _evaluate(tables: Tables, text: str, level: str) -> Result:
    measure: CheckPart = catalog.CHECKS.load(text)
    bound = float(catalog.CHECKS.split(text)[1] or 0)
    found = measure(tables)
    outcome = UNMEASURED
    if found.value is not None:
        outcome = PASSED if found.value <= bound else FAILED if level == "fail" else WARNED
    return Result(text, level, outcome, None if found.value is None else float(found.value), bound, found.detail)
