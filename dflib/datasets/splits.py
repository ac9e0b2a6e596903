"""Assignment of source groups to train, validation and test. It is permanent.

A source group is an original with its fakes. On DFDC, keeping groups whole separates clips, not people; splitting by
chunk keeps more related clips on one side.
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
"""Split by its name in the metadata of sources, in lower case."""


def assign(tables: Tables, videos: DataFrame, splits: config.SplitsConfig, dry_run: bool = False) -> DataFrame:
    """Assigns a split to every source group of labelled videos that has none yet.

    Args:
        tables: holds ``splits``.
        videos: rows of ``videos``; those without a label are ignored.
        splits: method, fractions and seed.
        dry_run: writes nothing; the result is the rows that would exist.

    Returns:
        All rows of ``splits``, old and new.

    Raises:
        TrainingError: ``splits.by`` is ``given`` and the metadata assign no split, an unknown one, or two to a group.
    """
    present = tables.read(SPLITS)
    known = {row["source_group"]: row["split"] for row in present.select("source_group", "split").collect()}
    labelled = videos.where(F.col("label").isNotNull())
    groups = labelled.groupBy("source_group").agg(
        F.min_by("chunk", "video_id").alias("chunk"), F.collect_set("given_split").alias("given"),
        F.count_if(F.col("given_split").isNull()).alias("without_split"),
    ).orderBy("source_group").collect()  # fmt: skip
    chunks = {row["source_group"]: row["chunk"] for row in groups}
    by = _method(splits, len(set(chunks.values())))
    new = sorted(set(chunks) - set(known))
    if by == "given":
        given = {row["source_group"]: (row["given"], row["without_split"]) for row in groups}
        added = {group: _given(group, *given[group]) for group in new}
    elif by == "chunk":
        added = _by_chunk(new, chunks, known, splits)
    else:
        added = _fill(dict.fromkeys(new, 1), Counter(known.values()), splits)
    now = datetime.now(UTC)
    assigned = [
        {"source_group": group, "split": split, "split_by": by, "assigned_at": now} for group, split in added.items()
    ]
    rows = SPLITS.frame(tables.spark, assigned)
    if dry_run:
        return present.unionByName(rows)
    if added:
        tables.insert_new(SPLITS, rows)
    return tables.read(SPLITS)


def with_splits(videos: DataFrame, groups: DataFrame) -> DataFrame:
    """Videos with the split of their source group, and whether they belong to groups of different splits.

    A clip belongs to its source group, to the original that it names, and to its own fakes. These are different groups
    when metadata arrived in parts or have changed since the splits were assigned.

    Args:
        videos: rows of ``videos``.
        groups: ``source_group`` and ``split``, one row per group.

    Returns:
        The columns of ``videos``, ``split`` (null where the group has none) and the boolean ``crosses_splits``.
    """
    joined = videos.join(groups.select("source_group", "split"), "source_group", "left")
    for place in ("video_id", "original"):
        other = groups.select(F.col("source_group").alias(place), F.col("split").alias(f"_{place}_split"))
        joined = joined.join(other, place, "left")
    by_id, by_original = (
        F.coalesce(F.col(f"_{place}_split") != F.col("split"), F.lit(False)) for place in ("video_id", "original")
    )
    return joined.withColumn("crosses_splits", by_id | by_original).drop("_video_id_split", "_original_split")


def _method(splits: config.SplitsConfig, chunks: int) -> Literal["original", "chunk", "given"]:
    if splits.by == "auto":
        return "chunk" if chunks >= splits.min_chunks else "original"
    return splits.by


def _given(group: str, names: list[str], without_split: int) -> str:
    fix = "correct the metadata of the source, or set splits.by to original or chunk"
    if without_split:
        raise TrainingError(
            f"source group {group}: its metadata assign no split to {without_split} of its videos; {fix}"
        )
    unknown = sorted(name for name in names if name.strip().lower() not in GIVEN)
    if unknown:
        raise TrainingError(f"source group {group}: its metadata contain the unknown split {unknown[0]!r}; {fix}")
    found = {GIVEN[name.strip().lower()] for name in names}
    if len(found) > 1:
        raise TrainingError(f"source group {group}: its metadata assign both {' and '.join(sorted(found))}; {fix}")
    return found.pop()


def _by_chunk(
    new: list[str], chunks: Mapping[str, str], known: Mapping[str, str], splits: config.SplitsConfig
) -> dict[str, str]:
    """One split for all groups of a chunk; a chunk with assigned groups follows the majority of them."""
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
    """Assigns each unit, in the order of its hash, to the split that is furthest below its fraction.

    With few units this is closer to the fractions than independent draws, and each split with a fraction above 0
    gets at least one.
    """
    total = sum(units.values()) + sum(have.values())
    share = {"validation": splits.validation, "test": splits.test}
    wanted: dict[str, float] = {name: max(share[name] * total, 1.0) if share[name] else 0.0 for name in share}
    wanted["train"] = max(total - sum(wanted.values()), 1.0)
    remaining = {name: wanted[name] - have.get(name, 0) for name in NAMES}
    placed: dict[str, str] = {}
    for unit in sorted(units, key=lambda unit: _hash(splits.seed, unit)):
        split = max(NAMES, key=lambda name: remaining[name])
        placed[unit] = split
        remaining[split] -= units[unit]
    return placed


def _hash(seed: int, unit: Hashable) -> str:
    return hashlib.sha256(f"{seed}/{unit}".encode()).hexdigest()
