"""Which verdicts count: those of the champion, unless too many would change at once.

Verdicts that would become current are compared with the current ones first.  When more would change than
``nightly.max_flips`` allows, or a data check failed and any are new or would change, they are written to
``held_verdicts``; what is current stays so until :func:`release`.  Other verdicts are written to ``verdicts``.

A champion may have scored the faces of several extractors.  One of each kind (videos, ready-cut crops) leads: its
verdicts count wherever it has some, and those of another extractor for videos that it has not extracted yet.

The order of writes lets a run repeat what a killed one began: a change has the same key again, and held rows are
deleted last.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum

import pandas as pd
import pyarrow as pa
from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F

from dflib.config import NightlyConfig
from dflib.errors import TableError
from dflib.scoring import changes
from dflib.scoring.verdicts import Judged
from dflib.tables import current
from dflib.tables.clock import later_than
from dflib.tables.schemas import CHANGES, HELD_VERDICTS, PUBLICATIONS, VERDICTS
from dflib.tables.store import Tables

_NEVER = datetime(1970, 1, 1, tzinfo=UTC)


class Role(Enum):
    """What the verdicts of a model on the faces of an extractor may become."""

    LEADING = "current for all videos of the extractor: of the champion, and the extractor leads"
    FOLLOWING = "current for videos that no extractor before it has: of the champion, on another extractor"
    OTHER = "not current, unless they have been published: of another model"


@dataclass(frozen=True)
class Published:
    """What became of the verdicts of a model on the faces of an extractor.

    Attributes:
        written: rows of ``verdicts`` that were added or changed.
        held: rows that are held back; 0 when they are not.
        compared: videos whose current verdict would be replaced.
        flipped: number of those whose verdict is another one now.
        causes: number of changed videos by cause.
        new: videos that had no current verdict.
    """

    written: int
    held: int = 0
    compared: int = 0
    flipped: int = 0
    causes: tuple[tuple[str, int], ...] = ()
    new: int = 0


@dataclass(frozen=True)
class Released:
    """What became current by a release: models with extractors, rows of ``verdicts``, videos."""

    pairs: tuple[tuple[str, str], ...]
    rows: int
    videos: int


def publish(
    tables: Tables,
    judged: Judged,
    settings: NightlyConfig,
    run_id: str,
    failed_checks: Sequence[str] = (),
    role: Role = Role.LEADING,
) -> Published:
    """Writes the verdicts of a model on the faces of one extractor, or holds them.

    Args:
        tables: reads ``verdicts`` and ``publications``; writes ``verdicts``, ``held_verdicts``, ``publications`` and
            ``changes``.
        judged: the verdicts.
        settings: what counts as a change, and how many are allowed.
        run_id: this run.
        failed_checks: data checks that failed; verdicts that are new or differ from the current ones are then held.
        role: what they may become.
    """
    publications = tables.read(PUBLICATIONS).orderBy("published_at").collect()
    rule = judged.rule if role is not Role.OTHER else _published_rule(publications, judged)
    if rule is None:
        written = tables.upsert(VERDICTS, judged.rows)
        _drop_held(tables, judged, role, None)
        return Published(written)
    current_ones, after = current_verdicts(tables), judged.of_rule(rule)
    before = current_ones[_replaceable(current_ones, publications, judged, rule, role)]
    compared = len(before[["video_id"]].merge(after[["video_id"]]))
    new = len(after) - len(current_ones[["video_id"]].merge(after[["video_id"]]))
    found = changes.compare(before, after, settings.move)
    flipped = int(found["flipped"].sum())
    hold = changes.exceeds(flipped, compared, settings.max_flips)
    hold = hold or bool(failed_checks and (new or changes.differ(before, after)))
    changed = _write_changes(tables, found.assign(held=hold, run_id=run_id, changed_at=datetime.now(UTC)))
    written, held = 0, 0
    if hold:
        becomes = F.lit(role is not Role.OTHER) & (F.col("rule") == rule)
        marks = {"headline": becomes, "leads": F.lit(role is Role.LEADING), "run_id": F.lit(run_id)}
        rows = judged.rows.withColumns(marks)
        tables.upsert(HELD_VERDICTS, rows)
        held = judged.rows.count()
        _drop_held(tables, judged, role, judged.rows, changed)
    else:
        written = tables.upsert(VERDICTS, judged.rows)
        if role is not Role.OTHER:
            _point(tables, judged.extractor, judged.model_id, rule, role is Role.LEADING, run_id, None)
        _drop_held(tables, judged, role, None)
    causes = tuple(sorted((str(cause), count) for cause, count in found["cause"].value_counts().items()))
    return Published(written, held, compared, flipped, causes, new)


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
    marks = [F.max(F.when(F.col("headline"), F.col("rule"))).alias("rule"), F.bool_or("leads").alias("leads")]
    pairs = held.groupBy("model_id", "extractor").agg(*marks).orderBy("leads", "extractor").collect()
    if not pairs:
        raise TableError(f"{tables.uri(HELD_VERDICTS)}: nothing is held, so there is nothing to release")
    counted = held.agg(F.count(F.lit(1)).alias("rows"), F.countDistinct("video_id").alias("videos")).first()
    assert counted is not None
    result = Released(tuple((row["model_id"], row["extractor"]) for row in pairs), counted["rows"], counted["videos"])
    if dry_run:
        return result
    released = held.select("video_id", "extractor", "model_id", "rule")
    found = tables.read(CHANGES).where("held").join(released, released.columns, "left_semi")
    # A killed report may have left an earlier change of a video.
    newest = found.groupBy("video_id").agg(F.max("current_since").alias("current_since"))
    tables.upsert(CHANGES, found.join(newest, newest.columns, "left_semi").withColumn("held", F.lit(False)))
    tables.upsert(VERDICTS, held.drop("headline", "leads", "run_id"))
    for row in pairs:
        if row["rule"] is not None:
            _point(tables, row["extractor"], row["model_id"], row["rule"], row["leads"], released_by, reason)
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


def leader(publications: Sequence[Row], kind: str) -> str | None:
    """The extractor of a kind (:func:`dflib.tables.current.kind`) that leads; None when none has led yet."""
    led = {name: since for name, since in _led(publications).items() if current.kind(name) == kind}
    return max(led, key=led.__getitem__, default=None)


def _published_rule(publications: Sequence[Row], judged: Judged) -> str | None:
    """The rule by which verdicts of the model on the faces of the extractor were published last, if it is judged."""
    pair = (judged.model_id, judged.extractor)
    of_pair = [row["rule"] for row in publications if (row["model_id"], row["extractor"]) == pair]
    return of_pair[-1] if of_pair and of_pair[-1] in judged.rules.values() else None


def _replaceable(
    current_ones: pd.DataFrame, publications: Sequence[Row], judged: Judged, rule: str, role: Role
) -> pd.Series:
    """Which current verdicts would be replaced: those of no extractor that comes before; of another model its own.

    An extractor that begins to lead comes before all others, those of the other kind included.
    """
    if role is Role.OTHER:
        own = {"extractor": judged.extractor, "model_id": judged.model_id, "rule": rule}
        return (current_ones[list(own)] == pd.Series(own)).all(axis=1)
    if role is Role.LEADING and leader(publications, current.kind(judged.extractor)) != judged.extractor:
        return pd.Series(True, index=current_ones.index)
    led = _led(publications)
    ranks = current_ones["extractor"].map(lambda name: led.get(name, _NEVER)).astype("datetime64[us, UTC]")
    return ranks <= led.get(judged.extractor, _NEVER)


def _led(publications: Sequence[Row]) -> dict[str, datetime]:
    """When each extractor began to lead the last time; those that never did are left out."""
    led: dict[str, datetime] = {}
    for row in publications:
        if row["leads_since"] is not None:
            since = row["leads_since"].astimezone(UTC)
            led[row["extractor"]] = max(since, led.get(row["extractor"], since))
    return led


def _point(
    tables: Tables, extractor: str, model_id: str, rule: str, leads: bool, published_by: str, reason: str | None
) -> None:
    """Makes the verdicts of a model by a rule count for an extractor, unless they do already."""
    rows = tables.read(PUBLICATIONS).orderBy("published_at").collect()
    own = [row for row in rows if row["extractor"] == extractor]
    newest = own[-1] if own else None
    times = (row[name] for row in rows for name in ("published_at", "leads_since") if row[name] is not None)
    now = later_than(max(times, default=None))
    begins = leads and leader(rows, current.kind(extractor)) != extractor
    if newest is not None and (newest["model_id"], newest["rule"]) == (model_id, rule) and not begins:
        return
    row = {
        "extractor": extractor,
        "published_at": now,
        "model_id": model_id,
        "rule": rule,
        "published_by": published_by,
        "reason": reason,
        "leads_since": now if begins else _led(rows).get(extractor),
    }
    tables.insert_new(PUBLICATIONS, PUBLICATIONS.frame(tables.spark, [row]))


def _drop_held(
    tables: Tables, judged: Judged, role: Role, kept: DataFrame | None, changed: DataFrame | None = None
) -> None:
    """Deletes what an earlier run held of the same model and extractor, and of an earlier champion.

    Args:
        kept: rows that stay held; None: none do.
        changed: rows of ``changes`` that stay; None: none that are held do.
    """
    held = tables.read(HELD_VERDICTS)
    drop = (F.col("extractor") == judged.extractor) & (F.col("model_id") == judged.model_id)
    if role is Role.LEADING:
        pairs = held.where("headline").select("model_id", "extractor").distinct().collect()
        for row in pairs:
            if row["model_id"] != judged.model_id and current.kind(row["extractor"]) == current.kind(judged.extractor):
                drop |= (F.col("extractor") == row["extractor"]) & (F.col("model_id") == row["model_id"])
    keys = held.where(drop).select(list(HELD_VERDICTS.key))
    tables.delete_matching(HELD_VERDICTS, keys if kept is None else keys.join(kept, keys.columns, "left_anti"))
    # Changes that never came true; if they are held again, they are new.
    gone = tables.read(CHANGES).where(F.col("held") & drop).select(list(CHANGES.key))
    tables.delete_matching(CHANGES, gone if changed is None else gone.join(changed, gone.columns, "left_anti"))


def _write_changes(tables: Tables, found: pd.DataFrame) -> DataFrame:
    """Writes the rows and returns them."""
    rows = pa.Table.from_pandas(found, CHANGES.schema, preserve_index=False)
    frame = tables.spark.createDataFrame(rows, CHANGES.spark_schema())
    if len(found):
        tables.upsert(CHANGES, frame)
    return frame
