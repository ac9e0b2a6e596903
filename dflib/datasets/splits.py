"""Train, validation or test: given to each source group once and for ever.

A source group is an original with its fakes.  On DFDC keeping groups whole separates clips, not people; splitting
by chunk keeps more of what belongs together on one side.
"""

import hashlib
import logging
from collections import Counter, defaultdict
from collections.abc import Hashable, Mapping
from datetime import UTC, datetime
from typing import Literal

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from dflib import config
from dflib.errors import TrainingError
from dflib.tables.schemas import SPLITS
from dflib.tables.store import Tables

log = logging.getLogger(__name__)

NAMES = ("train", "validation", "test")
GIVEN = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
    "testing": "test",
}
"""How sources write the names of splits, in lower case."""


def assign(tables: Tables, videos: DataFrame, splits: config.SplitsConfig, dry_run: bool = False) -> DataFrame:
    """Gives every source group of labelled videos a split; one that has a split keeps it.

    Args:
        tables: where ``splits`` lies.
        videos: rows of ``videos``; those without a label are passed over.
        splits: how to split, the shares asked for, the seed.
        dry_run: nothing is written; the frame is what would be there.

    Returns:
        The rows of ``splits``, old and new.

    Raises:
        TrainingError: ``split.by`` is ``given`` and a group has no split of its own, one that is unknown, or two.
    """
    present = tables.read(SPLITS)
    known = {row["source_group"]: row["split"] for row in present.select("source_group", "split").collect()}
    labelled = videos.where(F.col("label").isNotNull())
    groups = labelled.groupBy("source_group").agg(
        F.min_by("chunk", "video_id").alias("chunk"), F.collect_set("given_split").alias("given"),
        F.count_if(F.col("given_split").isNull()).alias("silent"),
    ).orderBy("source_group").collect()  # fmt: skip
    chunks = {row["source_group"]: row["chunk"] for row in groups}
    by = _way(splits, len(set(chunks.values())))
    new = sorted(set(chunks) - set(known))
    if by == "given":
        given = {row["source_group"]: (row["given"], row["silent"]) for row in groups}
        added = {group: _given(group, *given[group]) for group in new}
    elif by == "chunk":
        added = _by_chunk(new, chunks, known, splits)
    else:
        added = _fill(dict.fromkeys(new, 1), Counter(known.values()), splits)
    now = datetime.now(UTC)
    rows = tables.spark.createDataFrame(
        [(group, split, by, now) for group, split in added.items()], SPLITS.spark_schema()
    )
    if dry_run:
        return present.unionByName(rows)
    if added:
        tables.insert_new(SPLITS, rows)
    return tables.read(SPLITS)


def of_clips(videos: DataFrame, groups: DataFrame) -> DataFrame:
    """Videos with the split of their source group, and whether they join groups of different splits.

    A clip belongs to its source group, to the original that it names, and to its own fakes: these are other groups
    when metadata came in parts or have changed since the splits were given.

    Args:
        videos: rows of ``videos``.
        groups: ``source_group`` and ``split``, one row a group.

    Returns:
        The columns of ``videos``, ``split`` (null where the group has none) and ``joins``.
    """
    joined = videos.join(groups.select("source_group", "split"), "source_group", "left")
    for place in ("video_id", "original"):
        other = groups.select(F.col("source_group").alias(place), F.col("split").alias(f"_{place}_split"))
        joined = joined.join(other, place, "left")
    joins = [F.coalesce(F.col(f"_{place}_split") != F.col("split"), F.lit(False)) for place in ("video_id", "original")]
    return joined.withColumn("joins", joins[0] | joins[1]).drop("_video_id_split", "_original_split")


def _way(splits: config.SplitsConfig, chunks: int) -> Literal["original", "chunk", "given"]:
    if splits.by == "auto":
        return "chunk" if chunks >= splits.min_chunks else "original"
    return splits.by


def _given(group: str, names: list[str], silent: int) -> str:
    mend = "mend the source's metadata, or set splits.by to original or chunk"
    if silent:
        raise TrainingError(f"source group {group}: {silent} of its videos name no split of their own; {mend}")
    unknown = sorted(name for name in names if name.strip().lower() not in GIVEN)
    if unknown:
        raise TrainingError(f"source group {group}: its source names the unknown split {unknown[0]!r}; {mend}")
    meant = {GIVEN[name.strip().lower()] for name in names}
    if len(meant) > 1:
        raise TrainingError(f"source group {group}: its source puts it into {' and '.join(sorted(meant))}; {mend}")
    return meant.pop()


def _by_chunk(
    new: list[str], chunks: Mapping[str, str], known: Mapping[str, str], splits: config.SplitsConfig
) -> dict[str, str]:
    """All groups of a chunk together; a chunk that has split groups already goes where most of them are."""
    settled: dict[str, Counter[str]] = defaultdict(Counter)
    for group, split in known.items():
        if group in chunks:
            settled[chunks[group]][split] += 1
    fresh = Counter(chunks[group] for group in new if chunks[group] not in settled)
    placed = {chunk: found.most_common(1)[0][0] for chunk, found in settled.items()}
    joining = Counter(placed[chunks[group]] for group in new if chunks[group] in placed)
    placed |= _fill(fresh, Counter(known.values()) + joining, splits)
    return {group: placed[chunks[group]] for group in new}


def _fill(units: Mapping[str, int], have: Mapping[str, int], splits: config.SplitsConfig) -> dict[str, str]:
    """Gives each unit, in the order of its hash, to the split that is furthest below its share.

    With few units this comes nearer to the shares than an independent draw for each, and every split that
    is asked for gets at least one.
    """
    total = sum(units.values()) + sum(have.values())
    share = {"validation": splits.validation, "test": splits.test}
    wanted: dict[str, float] = {name: max(share[name] * total, 1.0) if share[name] else 0.0 for name in share}
    wanted["train"] = max(total - sum(wanted.values()), 1.0)
    left = {name: wanted[name] - have.get(name, 0) for name in NAMES}
    placed: dict[str, str] = {}
    for unit in sorted(units, key=lambda unit: _hash(splits.seed, unit)):
        split = max(NAMES, key=lambda name: left[name])
        placed[unit] = split
        left[split] -= units[unit]
    return placed


def _hash(seed: int, unit: Hashable) -> str:
    return hashlib.sha256(f"{seed}/{unit}".encode()).hexdigest()
