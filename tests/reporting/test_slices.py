"""Rows of metrics: replaced when the verdicts or the metric change, and only then; rows of older versions."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from delta.exceptions.captured import ConcurrentAppendException
from delta.tables import DeltaMergeBuilder
from deltalake import DeltaTable, write_deltalake

from dflib.reporting import metrics, slices
from dflib.reporting.metrics import Metric
from dflib.tables.schemas import METRICS
from dflib.tables.store import Tables
from tests.score_rows import EXTRACTOR, SETTINGS, WHEN

ONE_RULE = SETTINGS.model_copy(update={"rules": ("mean",)})
MEAN = "mean(t=0.5,static=out,min_faces=1)"
NEW_COLUMNS = ("interval_reason", "metric_version")


def pooled(seed: int = 0, videos: int = 90) -> pd.DataFrame:
    """Pooled videos in thirty source groups, as :func:`dflib.reporting.slices.metric_rows` takes them."""
    random = np.random.default_rng(seed)
    fake = np.arange(videos) % 3 > 0
    score = np.where(fake, random.uniform(0.3, 1, videos), random.uniform(0, 0.7, videos))
    return pd.DataFrame(
        {
            "video_id": [f"t/v{number:03}" for number in range(videos)],
            "source_group": [f"g{number // 3}" for number in range(videos)],
            "chunk": "part_0",
            "label": np.where(fake, "FAKE", "REAL"),
            "split": "test",
            "faces_scored": 4,
            "faces_fake": np.where(score > 0.5, 4, 0),
            "score_sum": 4 * score,
            "mean_p": score,
            "mean_fake": score > 0.5,
        }
    )


def write(tables: Tables, videos: pd.DataFrame, model_id: str = "m") -> int:
    return slices.write(tables, slices.metric_rows(videos, ONE_RULE), model_id, EXTRACTOR, 3)


def stored(tables: Tables) -> pd.DataFrame:
    """The table as delta-rs reads it, by model, slice, level and name."""
    rows = DeltaTable(tables.uri(METRICS).removeprefix("file://")).to_pandas()
    return rows.set_index(["model_id", "slice", "level", "name"]).sort_index()


def test_metric_rows_hold_reason_and_version() -> None:
    rows = {(row.slice, row.level, row.name): row for row in slices.metric_rows(pooled(), ONE_RULE)}
    auc, of_real = rows["all", "video", "auc"], rows["label=REAL", "video", "auc"]
    assert auc.low < auc.value < auc.high and auc.interval_reason is None and auc.reason is None
    assert (of_real.interval_reason, of_real.reason) == ("UNDEFINED", "it is not defined on these videos")
    assert {row.metric_version for row in rows.values()} == {1}
    few = {row.name: row for row in slices.metric_rows(pooled(videos=12), ONE_RULE) if row.slice == "all"}
    assert few["auc"].interval_reason == "FEW_GROUPS" and "fewer than 10 source groups" in str(few["auc"].reason)


@pytest.mark.spark
def test_write_replaces_what_changed_and_nothing_else(tables: Tables, monkeypatch: pytest.MonkeyPatch) -> None:
    videos = pooled()
    count = len(slices.metric_rows(videos, ONE_RULE))
    assert write(tables, videos) == count
    first, version = stored(tables), tables.version(METRICS)
    assert first.index.is_unique and len(first) == count
    assert first.loc[("m", "label=REAL", "video", "auc"), ["value", "low", "high"]].isna().all()
    assert first.loc[("m", "label=REAL", "video", "auc"), "interval_reason"] == "UNDEFINED"

    # The same again: no new version.
    assert write(tables, videos) == 0 and tables.version(METRICS) == version

    # A corrected metric replaces its rows, whose verdicts are the same as before.
    known = metrics.all_metrics()

    def corrected(resamples: Any) -> Any:
        return known["auc"].value(resamples) / 2

    auc: Metric = replace(known["auc"], value=corrected, version=2)
    monkeypatch.setattr(metrics, "all_metrics", lambda: {**known, "auc": auc})
    of_auc = [key for key in first.index if key[3] == "auc"]
    assert write(tables, videos) == len(of_auc) > 3
    second = stored(tables)
    all_auc = ("m", "all", "video", "auc")
    assert second.loc[all_auc, "value"] == pytest.approx(first.loc[all_auc, "value"] / 2)
    assert second.loc[all_auc, "metric_version"] == 2 and len(second) == count
    unchanged = [key for key in first.index if key[3] != "auc"]
    pd.testing.assert_frame_equal(second.loc[unchanged], first.loc[unchanged])

    # New verdicts replace the rows that rest on them; those of other models stay.
    monkeypatch.undo()
    assert write(tables, videos, "other") == count
    flipped = videos.assign(mean_p=1 - videos["mean_p"], mean_fake=~videos["mean_fake"])
    assert write(tables, flipped) > 0
    third = stored(tables)
    assert third.loc[all_auc, "value"] == pytest.approx(1 - first.loc[all_auc, "value"])
    assert third.loc[("other", *all_auc[1:]), "value"] == first.loc[all_auc, "value"]
    assert len(third) == 2 * count and third.index.is_unique


@pytest.mark.spark
def test_write_reads_and_replaces_rows_of_older_versions(tables: Tables, monkeypatch: pytest.MonkeyPatch) -> None:
    """Older versions had neither reason nor metric version, and kept a row for each digest of the verdicts."""
    old_schema = pa.schema([field for field in METRICS.schema if field.name not in NEW_COLUMNS])
    row = {
        "model_id": "m", "extractor": EXTRACTOR, "rule": MEAN, "level": "video", "slice": "all", "name": "auc",
        "low": 0.0, "high": 0.0, "count": 5, "undetermined": 0, "includes_undetermined": False,
        "predictions_version": 1,
    }  # fmt: skip
    rows = [
        {**row, "value": 0.25, "input_digest": "b", "computed_at": WHEN},
        {**row, "value": 0.5, "input_digest": "a", "computed_at": WHEN + timedelta(days=1)},
        {**row, "value": 0.75, "input_digest": "c", "computed_at": WHEN, "model_id": "other"},
        {**row, "value": 1.0, "input_digest": "d", "computed_at": WHEN + timedelta(days=1), "model_id": "other"},
    ]
    write_deltalake(tables.uri(METRICS).removeprefix("file://"), pa.Table.from_pylist(rows, schema=old_schema))
    read = tables.read(METRICS).toPandas()
    assert len(read) == 4 and read[list(NEW_COLUMNS)].isna().all(axis=None)

    expected = slices.metric_rows(pooled(), ONE_RULE)
    execute, calls = DeltaMergeBuilder.execute, []

    def meets_another_once(merge: DeltaMergeBuilder) -> Any:
        calls.append(merge)
        if len(calls) == 1:
            raise ConcurrentAppendException.__new__(ConcurrentAppendException)
        return execute(merge)

    monkeypatch.setattr(DeltaMergeBuilder, "execute", meets_another_once)
    assert write(tables, pooled()) == len(expected)
    assert len(calls) == 3
    found = stored(tables)
    assert found.index.is_unique and len(found) == len(expected) + 1
    auc = found.loc[("m", "all", "video", "auc")]
    assert auc["value"] == next(row.value for row in expected if (row.slice, row.name) == ("all", "auc"))
    assert auc["metric_version"] == 1
    # Of another model, which was not reported, the newest row is left as it was.
    other = found.loc[("other", "all", "video", "auc")]
    assert other["value"] == 1.0 and pd.isna(other["metric_version"])
    assert write(tables, pooled()) == 0
