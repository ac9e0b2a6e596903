"""Metrics by slice: all videos, and by label, split and chunk; written as rows of METRICS.

Works on one small row per video on the driver: 119,154 of them for the whole challenge.
"""

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
from delta import DeltaTable
from pyspark.sql import Window
from pyspark.sql import functions as F

from dflib import config
from dflib.reporting import metrics
from dflib.reporting.bootstrap import REASONS
from dflib.reporting.metrics import Bootstrap, Estimate, FaceCounts, Scored
from dflib.scoring import pooling, rules
from dflib.storage import for_jvm
from dflib.tables.schemas import METRICS
from dflib.tables.store import Tables

NO_SPLIT = "none"
"""Slice of the videos in no split: not in the model's training set, or joining source groups of two splits."""


@dataclass(frozen=True)
class MetricRow:
    """One row of METRICS without the ids of model and extractor.

    Attributes:
        rule: full name of the pooling rule, or that of the decision on single faces.
        level: ``video`` or ``face``.
        slice: ``all``, or ``column=value``.
        name: a metric of the catalog.
        value: NaN where the metric is not defined on the slice.
        low: lower end of the interval; NaN without one.
        high: upper end of the interval; NaN without one.
        count: videos or faces that the value was computed on.
        undetermined: UNDETERMINED labelled videos of the slice.
        input_digest: hash of the rows that the value was computed from.
        interval_reason: why there is no interval, a key of :data:`dflib.reporting.bootstrap.REASONS`; None where there
            is one.
    """

    rule: str
    level: str
    slice: str
    name: str
    value: float
    low: float
    high: float
    count: int
    undetermined: int
    input_digest: str
    interval_reason: str | None

    @property
    def includes_undetermined(self) -> bool:
        """Whether UNDETERMINED videos are in the value."""
        return metrics.all_metrics()[self.name].counts_undetermined

    @property
    def reason(self) -> str | None:
        """Why there is no interval, in words; None where there is one."""
        return None if self.interval_reason is None else REASONS[self.interval_reason]

    @property
    def metric_version(self) -> int:
        """Version of the metric's meaning."""
        return metrics.all_metrics()[self.name].version


def slices(videos: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Name and rows of each slice of the videos (columns label, split, chunk)."""
    yield "all", videos
    for column in ("label", "split", "chunk"):
        for value, rows in videos.groupby(videos[column].fillna(NO_SPLIT), sort=True):
            yield f"{column}={value}", rows


def metric_rows(videos: pd.DataFrame, settings: config.ReportConfig) -> list[MetricRow]:
    """Metrics of all rules, slices and both levels; none without labelled videos.

    Args:
        videos: one row per video, sorted by video_id: video_id, source_group, chunk, label, split, faces_scored,
            faces_fake, score_sum and for each rule, as written in the settings, ``<rule>_p`` (NaN: UNDETERMINED) and
            ``<rule>_fake`` (bool).
        settings: rules, and how intervals are made.
    """
    labelled = videos[videos["label"].notna()]
    group = pd.Series(pd.factorize(labelled["source_group"], sort=True)[0], index=labelled.index)
    bootstrap = Bootstrap(settings.bootstrap, settings.confidence, settings.seed)
    rows: list[MetricRow] = []
    for name, part in slices(labelled):
        if part.empty:
            continue
        fake = (part["label"] == "FAKE").to_numpy()
        groups = group[part.index].to_numpy(np.int64)
        counts = FaceCounts(
            fake,
            part["faces_scored"].to_numpy(np.float64),
            part["faces_fake"].to_numpy(np.float64),
            part["score_sum"].to_numpy(np.float64),
            groups,
        )
        rows += _rows(
            metrics.face_metrics(counts, bootstrap),
            pooling.face_rule_name(settings),
            "face",
            name,
            (int(counts.faces.sum()), 0),
            _digest(part, ["faces_scored", "faces_fake", "score_sum"], settings),
        )
        for rule, rule_name in pooling.rule_names(settings).items():
            score = part[f"{rule}_p"].to_numpy(np.float64)
            scored = Scored(
                fake,
                score,
                part[f"{rule}_fake"].to_numpy(np.bool_),
                groups,
                rules.load(rule, settings.threshold).is_probability,
            )
            rows += _rows(
                metrics.video_metrics(scored, bootstrap),
                rule_name,
                "video",
                name,
                (len(part), int(np.isnan(score).sum())),
                _digest(part, [f"{rule}_p", f"{rule}_fake"], settings),
            )
    return rows


def write(tables: Tables, rows: list[MetricRow], model_id: str, extractor: str, version: int) -> int:
    """Writes ``metrics`` and returns how many rows are new or changed; rows that differ in nothing stay as they are.

    The table has one row per model, extractor, rule, level, slice and metric.  A stored row is replaced when its
    verdicts (``input_digest``), the version of its metric, or a figure has changed.  Rows of slices and rules that are
    not in ``rows`` stay.

    Args:
        tables: where ``metrics`` is.
        rows: of one model and extractor.
        model_id: name of the model.
        extractor: name of the extractor.
        version: version of ``predictions`` that was read.
    """
    if not rows:
        return 0
    _delete_superseded(tables)
    values = _table_rows(rows, model_id, extractor, version)
    return tables.upsert(METRICS, METRICS.frame(tables.spark, values))


def _delete_superseded(tables: Tables) -> None:
    """Deletes all but the newest row of each key.

    Earlier versions of dflib kept a row for each ``input_digest``, which is no longer in the key.
    """
    place = Window.partitionBy(*METRICS.key).orderBy(F.desc("computed_at"), "input_digest")
    by = [*METRICS.key, "input_digest"]
    rows = tables.read(METRICS).withColumn("place", F.row_number().over(place)).where("place > 1").select(by)
    if rows.isEmpty():
        return
    target = DeltaTable.forPath(tables.spark, for_jvm(tables.uri(METRICS)))
    with tables.stage(rows, "superseded") as old:
        same = " AND ".join(f"t.{name} = s.{name}" for name in by)
        merge = target.alias("t").merge(old.alias("s"), same).whenMatchedDelete()
        tables.commit(METRICS, None, merge.execute)


def _table_rows(rows: list[MetricRow], model_id: str, extractor: str, version: int) -> list[dict[str, Any]]:
    """The rows as in METRICS."""
    now = datetime.now(UTC)
    values = (
        (
            *(model_id, extractor, row.rule, row.level, row.slice, row.name),
            *(None if math.isnan(value) else value for value in (row.value, row.low, row.high)),
            *(row.count, row.undetermined, row.includes_undetermined, row.input_digest, version, now),
            *(row.interval_reason, row.metric_version),
        )
        for row in rows
    )
    return [dict(zip(METRICS.schema.names, of_row, strict=True)) for of_row in values]


def _rows(
    found: dict[str, Estimate], rule: str, level: str, slice_name: str, size: tuple[int, int], digest: str
) -> list[MetricRow]:
    """Rows of one rule and slice; ``size``: its videos or faces, and how many of them are UNDETERMINED."""
    total, undetermined = size
    return [
        MetricRow(
            *(rule, level, slice_name, name, estimate.value, estimate.low, estimate.high),
            total if metrics.all_metrics()[name].counts_undetermined else total - undetermined,
            undetermined,
            digest,
            estimate.interval_reason,
        )
        for name, estimate in found.items()
    ]


def _digest(part: pd.DataFrame, columns: list[str], settings: config.ReportConfig) -> str:
    """Hash of the rows that go into a metric and of the settings of its interval."""
    read = part[["video_id", "source_group", "label", *columns]]
    content = hashlib.sha256(pd.util.hash_pandas_object(read, index=False).to_numpy().tobytes())
    content.update(f"{settings.bootstrap} {settings.confidence} {settings.seed}".encode())
    return content.hexdigest()[:16]
