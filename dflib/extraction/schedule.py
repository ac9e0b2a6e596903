"""What is to be extracted, in which waves, and by which tasks."""

from collections.abc import Sequence
from dataclasses import dataclass

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

TASKS_A_SLOT = 3
"""Tasks aimed at for each slot, where there are videos enough: the last ones to end then keep few slots waiting."""

UNREADABLE_PROBLEMS = ("MISSING_FILE", "EMPTY_FILE", "BAD_RANGE", "UNSUPPORTED_PACKING")
"""Problems found by ingest that leave nothing to read."""

DAMAGED = ("BAD_RANGE", "CRC_MISMATCH", "UNSUPPORTED_PACKING")
"""Reasons that a repaired archive takes away, although the directory's CRC and size stay what they were."""


@dataclass(frozen=True)
class Planned:
    """One video to be extracted: where its bytes lie as ``videos`` says, and what is known of it.

    Attributes:
        attempts: times that it has been tried before.
        changed: whether other bytes of it have been extracted before.
        problem: reason and detail for which it is not read at all.
    """

    video_id: str
    uri: str | None
    offset: int | None
    length: int | None
    packing: str | None
    crc32: int | None
    size: int | None
    fingerprint: str | None
    attempts: int = 0
    changed: bool = False
    problem: tuple[str, str] | None = None

    @property
    def bytes(self) -> int:
        """Bytes that reading it takes."""
        return 0 if self.problem else self.length or self.size or 0


def pending(videos: DataFrame, ledger: DataFrame, chunks: DataFrame, extractor: str, max_attempts: int) -> DataFrame:
    """Videos that the ledger lacks for this extractor, with the columns ``attempts`` and ``changed``.

    Lacking are those without a row, those whose bytes are no longer the ones that were read (``changed``), those
    that could not be read from storage, as long as they were tried less than ``max_attempts`` times, and those whose
    bytes were damaged in an archive that has been ingested anew since.
    Ready-cut crops are no videos.
    """
    own = ledger.where(F.col("extractor") == extractor).select(
        "video_id",
        F.col("fingerprint").alias("read_fingerprint"),
        F.col("reason").alias("ledger_reason"),
        F.col("outcome").alias("ledger_outcome"),
        F.col("attempts").alias("ledger_attempts"),
        F.col("extracted_at"),
        F.lit(True).alias("present"),
    )
    ingested = chunks.groupBy("uri").agg(F.max("ingested_at").alias("chunk_ingested_at"))
    changed = F.col("present").isNotNull() & ~F.col("fingerprint").eqNullSafe(F.col("read_fingerprint"))
    passing = (F.col("ledger_reason") == "STORAGE_ERROR") & (F.col("ledger_attempts") < max_attempts)
    mended = F.col("ledger_reason").isin(*DAMAGED) & (F.col("chunk_ingested_at") > F.col("extracted_at"))
    again = (F.col("ledger_outcome") == "FAILED") & (passing | mended)
    return (
        videos.where(F.col("packing").isNull() | (F.col("packing") != "crops"))
        .join(own, "video_id", "left")
        .join(ingested, "uri", "left")
        .withColumn("changed", changed)
        .where(F.col("present").isNull() | F.col("changed") | again)
        .withColumn("attempts", F.when(F.col("changed"), 0).otherwise(F.coalesce("ledger_attempts", F.lit(0))))
    )


def collect(rows: DataFrame) -> list[Planned]:
    """The pending videos in the order of their bytes, so that neighbours share an archive."""
    columns = ["video_id", "uri", "offset", "length", "packing", "crc32", "size", "fingerprint", "attempts", "changed"]
    found = []
    for row in rows.select(*columns, "problems").collect():
        fields = row.asDict()
        problems = fields.pop("problems") or []
        found.append(Planned(**fields, problem=_unreadable(problems, fields["uri"])))
    return sorted(found, key=lambda video: (video.uri or "", video.offset or 0, video.video_id))


def _unreadable(problems: Sequence[str], uri: str | None) -> tuple[str, str] | None:
    for problem in problems:
        code, _, text = problem.partition(": ")
        if code in UNREADABLE_PROBLEMS:
            return code, text
    return None if uri else ("MISSING_FILE", "has no bytes anywhere")


def waves(videos: Sequence[Planned], size: int) -> list[list[Planned]]:
    """Cuts the videos into waves of ``size``."""
    return [list(videos[start : start + size]) for start in range(0, len(videos), size)]


def tasks(wave: Sequence[Planned], task_bytes: int, slots: int) -> list[list[Planned]]:
    """Cuts a wave into runs of neighbours of about ``task_bytes``, or fewer so that every slot gets some.

    A video costs its detection besides its bytes, so each counts for the wave's mean at least.
    """
    mean = sum(video.bytes for video in wave) / max(len(wave), 1)
    weights = [max(float(video.bytes), mean, 1.0) for video in wave]
    target = min(float(task_bytes), sum(weights) / (slots * TASKS_A_SLOT))
    cut: list[list[Planned]] = []
    filled = target
    for video, weight in zip(wave, weights, strict=True):
        if filled + weight / 2 > target:
            cut.append([])
            filled = 0.0
        cut[-1].append(video)
        filled += weight
    return cut
