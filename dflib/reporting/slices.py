"""Metrics by slice: all, by label, by split and by chunk, as rows of METRICS.

Works on one small row a video, brought to the driver: 119,154 of them for the whole challenge.
"""

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import pandas as pd

from dflib import config
from dflib.reporting import metrics
from dflib.reporting.metrics import Bootstrap, FaceCounts, Metric, Scored
from dflib.scoring import pooling, rules

NO_SPLIT = "none"
"""Slice of the videos that are in no split: the model's training set does not know them, or they join two."""


@dataclass(frozen=True)
class MetricRow:
    """One row of METRICS without the ids of model and extractor."""

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

    @property
    def reason(self) -> str | None:
        """Why there is no interval; None where there is one."""
        return "too few source groups bear on it" if math.isnan(self.low) else None

    @property
    def includes_undetermined(self) -> bool:
        """Whether UNDETERMINED videos are in the value."""
        return self.level == "video" and self.name in metrics.COUNTS_UNDETERMINED


def slices(videos: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Name and rows of each slice of the videos (columns label, split, chunk)."""
    yield "all", videos
    for column in ("label", "split", "chunk"):
        for value, rows in videos.groupby(videos[column].fillna(NO_SPLIT), sort=True):
            yield f"{column}={value}", rows


def metric_rows(videos: pd.DataFrame, settings: config.ReportConfig) -> list[MetricRow]:
    """Metrics of all rules, slices and both levels; none without labelled videos.

    Args:
        videos: one row a video, sorted by video_id: video_id, source_group, chunk, label, split, faces_scored,
            faces_fake, score_sum and, a rule, ``<rule>_p`` (NaN: UNDETERMINED) and ``<rule>_fake`` (bool).
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
            int(counts.faces.sum()),
            0,
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
                len(part),
                int(np.isnan(score).sum()),
                _digest(part, [f"{rule}_p", f"{rule}_fake"], settings),
            )
    return rows


def table_rows(rows: list[MetricRow], model_id: str, extractor: str, version: int) -> list[tuple[object, ...]]:
    """The same as tuples in the order of METRICS."""
    now = datetime.now(UTC)
    return [
        (
            *(model_id, extractor, row.rule, row.level, row.slice, row.name),
            *(None if math.isnan(value) else value for value in (row.value, row.low, row.high)),
            *(row.count, row.undetermined, row.includes_undetermined, row.input_digest, version, now),
        )
        for row in rows
    ]


def _rows(
    found: dict[str, Metric], rule: str, level: str, slice_name: str, of: int, undetermined: int, digest: str
) -> list[MetricRow]:
    return [
        MetricRow(
            *(rule, level, slice_name, name, metric.value, metric.low, metric.high),
            of if name in metrics.COUNTS_UNDETERMINED else of - undetermined,
            undetermined,
            digest,
        )
        for name, metric in found.items()
    ]


def _digest(part: pd.DataFrame, columns: list[str], settings: config.ReportConfig) -> str:
    """Hash of the rows that go into a metric and of the settings of its interval."""
    read = part[["video_id", "source_group", "label", *columns]]
    content = hashlib.sha256(pd.util.hash_pandas_object(read, index=False).to_numpy().tobytes())
    content.update(f"{settings.bootstrap} {settings.confidence} {settings.seed}".encode())
    return content.hexdigest()[:16]
