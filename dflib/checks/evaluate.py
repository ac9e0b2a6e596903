"""Measures the configured checks and keeps the results in the table ``checks``."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC

from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from pyspark.sql import functions as F

from dflib.checks import CheckPart
from dflib.config import ChecksConfig
from dflib.errors import DflibError
from dflib.parts import catalog
from dflib.tables.clock import later_than
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
        value: None: there was nothing to measure, or it can't be measured.
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
        value = "not measured" if self.value is None else f"{self.value:.4g}, at most {self.bound:g}"
        return f"{self.outcome:<10} {self.name}: {value}{f' ({self.detail})' if self.detail else ''}"


def evaluate(tables: Tables, settings: ChecksConfig) -> list[Result]:
    """Measures all configured checks, those of level fail first.  A check that can't be measured has not passed."""
    checks = [(text, "fail") for text in settings.fail] + [(text, "warn") for text in settings.warn]
    return [_evaluate(tables, text, level) for text, level in checks]


def write(tables: Tables, results: Sequence[Result], run_id: str) -> None:
    """Adds the results of a run to ``checks``."""
    newest = tables.read(CHECKS).agg(F.max("checked_at").alias("at")).first()
    now = later_than(newest["at"] if newest else None)
    rows = [vars(result) | {"run_id": run_id, "checked_at": now} for result in results]
    if rows:
        tables.insert_new(CHECKS, CHECKS.frame(tables.spark, rows))


def failures(tables: Tables, settings: ChecksConfig) -> list[str]:
    """What failed in the newest run of the checks, of those that hold verdicts when they fail; empty: nothing."""
    rows = tables.read(CHECKS)
    newest = rows.agg(F.max("checked_at").alias("at")).first()
    if newest is None or newest["at"] is None:
        return []
    # With its time zone: of a local time, Spark ignores which of the two hours it is when clocks are set back.
    at = F.lit(newest["at"].astimezone(UTC))
    failed = rows.where((F.col("checked_at") == at) & (F.col("outcome") == FAILED)).orderBy("name")
    return [row["name"] for row in failed.collect() if row["name"] in settings.fail]


def _evaluate(tables: Tables, text: str, level: str) -> Result:
    measure: CheckPart = catalog.CHECKS.load(text)
    bound = float(catalog.CHECKS.split(text)[1] or 0)
    wrong = FAILED if level == "fail" else WARNED
    try:
        found = measure(tables)
    except (DflibError, PySparkException, Py4JError) as error:
        return Result(
            text, level, wrong, None, bound, f"can't be measured: {' '.join(str(error).splitlines()[:2])[:500]}"
        )
    outcome = UNMEASURED if found.value is None else PASSED if found.value <= bound else wrong
    return Result(text, level, outcome, None if found.value is None else float(found.value), bound, found.detail)
