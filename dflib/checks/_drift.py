"""The scores of the newest scoring run of each model beside those of its runs before."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pyspark.sql import functions as F

from dflib.checks import Measured
from dflib.tables.schemas import PREDICTIONS
from dflib.tables.store import Tables

EARLIER_RUNS = 30
"""Scoring runs that the newest one is compared with."""
BINS = 20
"""Bins of equal width from 0 to 1."""
SMALLEST = 200
"""Scores below which a run is not compared: so few give a large distance by chance."""

Counts = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Drift:
    """Histograms of the scores of one model: of the newest run, and of the runs before; int64, shape (BINS,)."""

    model_id: str
    newest: Counts
    earlier: Counts


def drifts(tables: Tables) -> list[Drift]:
    """One entry per model with enough scores in its newest run and in those before."""
    number = F.least(F.floor(F.col("p_fake") * BINS), F.lit(BINS - 1)).cast("int")
    rows = tables.read(PREDICTIONS).where(F.col("run_id").isNotNull())
    counted = rows.groupBy("model_id", "run_id", number.alias("bin")).count().collect()
    found = []
    for model_id in sorted({row["model_id"] for row in counted}):
        by_run: dict[str, Counts] = {}
        for row in counted:
            if row["model_id"] == model_id:
                by_run.setdefault(row["run_id"], np.zeros(BINS, np.int64))[row["bin"]] = row["count"]
        newest, *before = sorted(by_run, reverse=True)[: EARLIER_RUNS + 1]
        earlier = sum((by_run[run_id] for run_id in before), np.zeros(BINS, np.int64))
        if by_run[newest].sum() >= SMALLEST and earlier.sum() >= SMALLEST:
            found.append(Drift(model_id, by_run[newest], earlier))
    return found


def largest(tables: Tables, distance: Callable[[Counts, Counts], float]) -> Measured:
    """The largest distance of the newest scores of a model from its earlier ones, by a function of two histograms."""
    found = {drift.model_id: distance(drift.newest, drift.earlier) for drift in drifts(tables)}
    if not found:
        return Measured(None, "no model has enough scores in two runs")
    model_id = max(found, key=lambda name: found[name])
    return Measured(found[model_id], f"model {model_id}")
