"""Which verdicts count: those of the champion, unless too many would change at once.

Verdicts of the champion are compared with the current ones first.  When more would change than ``nightly.max_flips``
allows, or a data check failed and any would change, they are written to ``held_verdicts``; what is current stays so
until :func:`release`.  Verdicts of other models are written to ``verdicts`` and never current.

The order of writes lets a run repeat what a killed one began: a change has the same key again, and held rows are
deleted last.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pandas as pd
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from dflib.config import NightlyConfig
from dflib.errors import TableError
from dflib.scoring import changes
from dflib.scoring.verdicts import Judged
from dflib.tables import current
from dflib.tables.schemas import CHANGES, HELD_VERDICTS, PUBLICATIONS, VERDICTS
from dflib.tables.store import Tables


@dataclass(frozen=True)
class Published:
    """What became of the verdicts of a model on the faces of an extractor.

    Attributes:
        written: rows of ``verdicts`` that were added or changed.
        held: rows that are held back; 0 when the verdicts are current.
        compared: videos that had a current verdict.
        flipped: number of those whose verdict is another one now.
        causes: number of changed videos by cause.
    """

    written: int
    held: int = 0
    compared: int = 0
    flipped: int = 0
    causes: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True)
class Released:
    """What became current by a release: models with extractors, rows of ``verdicts``, videos."""

    pairs: tuple[tuple[str, str], ...]
    rows: int
    videos: int


def publish(
    tables: Tables, judged: Judged, settings: NightlyConfig, run_id: str, failed_checks: Sequence[str] = ()
) -> Published:
    """Makes the verdicts of the champion current, or holds them.

    Args:
        tables: reads ``verdicts`` and ``publications``; writes ``verdicts``, ``held_verdicts``, ``publications`` and
            ``changes``.
        judged: the verdicts of the champion on the faces of one extractor.
        settings: what counts as a change, and how many are allowed.
        run_id: this run.
        failed_checks: data checks that failed; verdicts that differ from the current ones are then held.
    """
    before = current_verdicts(tables)
    after = judged.of_headline()
    compared = len(before[["video_id"]].merge(after[["video_id"]]))
    found = changes.compare(before, after, settings.move)
    flipped = int(found["flipped"].sum())
    hold = changes.exceeds(flipped, compared, settings.max_flips) or bool(failed_checks and len(found))
    _write_changes(tables, found.assign(held=hold, run_id=run_id, changed_at=datetime.now(UTC)))
    written, held = 0, 0
    if hold:
        rows = judged.rows.withColumns({"headline": F.col("rule") == judged.rule, "run_id": F.lit(run_id)})
        tables.upsert(HELD_VERDICTS, rows)
        held = judged.rows.count()
        # Held by an earlier run: of videos that have no verdict any more, by other rules, or of an earlier champion.
        earlier = _held_keys(tables, judged.extractor)
        tables.delete_matching(HELD_VERDICTS, earlier.join(judged.rows, earlier.columns, "left_anti"))
    else:
        written = tables.upsert(VERDICTS, judged.rows)
        _point(tables, judged.extractor, judged.model_id, judged.rule, run_id, None)
        tables.delete_matching(HELD_VERDICTS, _held_keys(tables, judged.extractor))
    causes = tuple(sorted((str(cause), count) for cause, count in found["cause"].value_counts().items()))
    return Published(written, held, compared, flipped, causes)


def release(tables: Tables, released_by: str, reason: str | None, dry_run: bool = False) -> Released:
    """Makes the held verdicts current.

    Args:
        tables: moves rows from ``held_verdicts`` to ``verdicts``; writes ``publications`` and ``changes``.
        released_by, reason: who and why, for ``publications``.
        dry_run: changes nothing.

    Raises:
        TableError: nothing is held.
    """
    held = tables.read(HELD_VERDICTS)
    pairs = held.where("headline").select("model_id", "extractor", "rule").distinct().orderBy("extractor").collect()
    if not pairs:
        raise TableError(f"{tables.uri(HELD_VERDICTS)}: nothing is held, so there is nothing to release")
    counted = held.agg(F.count(F.lit(1)).alias("rows"), F.countDistinct("video_id").alias("videos")).first()
    assert counted is not None
    result = Released(tuple((row["model_id"], row["extractor"]) for row in pairs), counted["rows"], counted["videos"])
    if dry_run:
        return result
    tables.upsert(VERDICTS, held.drop("headline", "run_id"))
    for row in pairs:
        _point(tables, row["extractor"], row["model_id"], row["rule"], released_by, reason)
    released = held.select("video_id", "extractor", "model_id", "rule").where("headline")
    now_current = tables.read(CHANGES).where("held").join(released, list(released.columns), "left_semi")
    tables.upsert(CHANGES, now_current.withColumn("held", F.lit(False)))
    tables.delete_matching(HELD_VERDICTS, held.select(list(HELD_VERDICTS.key)))
    return result


def held_videos(tables: Tables) -> int:
    """Number of videos with held verdicts."""
    return tables.read(HELD_VERDICTS).select("video_id").distinct().count() if tables.exists(HELD_VERDICTS) else 0


def current_verdicts(tables: Tables) -> pd.DataFrame:
    """The current verdict of each video: ``video_id``, the columns that are compared, and ``current_since`` (UTC)."""
    rows = current.verdicts(tables.read(VERDICTS), tables.read(PUBLICATIONS))
    since = F.greatest("published_at", "judged_at").alias("current_since")
    frame: pd.DataFrame = rows.select("video_id", *changes.COMPARED, since).toArrow().to_pandas()
    return frame


def _point(tables: Tables, extractor: str, model_id: str, rule: str, published_by: str, reason: str | None) -> None:
    """Makes the verdicts of a model by a rule count for an extractor, unless they do already."""
    rows = tables.read(PUBLICATIONS).where(F.col("extractor") == extractor)
    newest = rows.orderBy(F.desc("published_at")).first()
    if newest is not None and (newest["model_id"], newest["rule"]) == (model_id, rule):
        return
    now = datetime.now(UTC)
    if newest is not None:
        # The newest row counts, also when the clock has been set back.
        now = max(now, newest["published_at"].astimezone(UTC) + timedelta(microseconds=1))
    row = {
        "extractor": extractor,
        "published_at": now,
        "model_id": model_id,
        "rule": rule,
        "published_by": published_by,
        "reason": reason,
    }
    tables.insert_new(PUBLICATIONS, tables.spark.createDataFrame([row], PUBLICATIONS.spark_schema()))


def _write_changes(tables: Tables, found: pd.DataFrame) -> None:
    if len(found):
        rows = pa.Table.from_pandas(found, CHANGES.schema, preserve_index=False)
        tables.upsert(CHANGES, tables.spark.createDataFrame(rows, CHANGES.spark_schema()))


def _held_keys(tables: Tables, extractor: str) -> DataFrame:
    return tables.read(HELD_VERDICTS).where(F.col("extractor") == extractor).select(list(HELD_VERDICTS.key))
