"""Which videos extract has to process, in which waves and tasks."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from dflib.tables import current

TASKS_PER_SLOT = 3
"""Target number of tasks per slot, so that few slots idle while the last tasks of a wave run."""

UNREADABLE_PROBLEMS = ("MISSING_FILE", "EMPTY_FILE", "BAD_RANGE", "UNSUPPORTED_PACKING")
"""Problems found by ingest with which a video cannot be read."""

STORAGE_ERROR = "STORAGE_ERROR"
"""Reason of a video that storage failed to deliver."""

DAMAGED = ("BAD_RANGE", "CRC_MISMATCH", "UNSUPPORTED_PACKING")
"""Reasons that a repaired archive removes although CRC and size in its directory stay the same."""


@dataclass(frozen=True)
class PendingVideo:
    """One video to extract.

    Attributes:
        video_id, uri, offset, length, packing, crc32, size, fingerprint: as in the table ``videos``.
        attempts: earlier attempts to extract it.
        changed: whether other bytes of it were extracted before.
        problem: reason and detail if it is not to be read at all.
        ingested_at: when its archive was ingested last (UTC); None: it is in none.
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
    ingested_at: datetime | None = None

    @property
    def bytes(self) -> int:
        """Bytes to read."""
        return 0 if self.problem else self.length or self.size or 0


def pending(videos: DataFrame, ledger: DataFrame, chunks: DataFrame, extractor: str, max_attempts: int) -> DataFrame:
    """Videos that this extractor still has to process, with ``attempts``, ``changed`` and ``chunk_ingested_at``.

    These are videos without a row in the ledger, videos whose bytes changed since they were read (``changed``),
    videos that could not be read from storage in fewer than ``max_attempts`` attempts, videos with damaged bytes in an
    archive that was ingested again since, and failed videos for which ``retry`` asked.  Ready-cut crops are not videos.

    Args:
        videos, ledger, chunks: the tables ``videos``, ``extractions`` and ``chunks``.
        extractor: identifier of the extractor.
        max_attempts: as ``extract.max_attempts``.
    """
    own = ledger.where(F.col("extractor") == extractor).select(
        "video_id",
        F.col("fingerprint").alias("read_fingerprint"),
        F.col("reason").alias("ledger_reason"),
        F.col("outcome").alias("ledger_outcome"),
        F.col("attempts").alias("ledger_attempts"),
        F.col("extracted_at"),
        F.col("retry_at").isNotNull().alias("retry_requested"),
        F.lit(True).alias("present"),
    )
    ingested = chunks.groupBy("uri").agg(F.max("ingested_at").alias("chunk_ingested_at"))
    changed = F.col("present").isNotNull() & ~F.col("fingerprint").eqNullSafe(F.col("read_fingerprint"))
    retried = (F.col("ledger_reason") == STORAGE_ERROR) & (F.col("ledger_attempts") < max_attempts)
    # Whoever writes one of these times makes it later than all of the other that it has seen.
    repaired = F.col("ledger_reason").isin(*DAMAGED) & (F.col("chunk_ingested_at") > F.col("extracted_at"))
    again = (F.col("ledger_outcome") == "FAILED") & (retried | repaired | F.col("retry_requested"))
    return (
        videos.where(current.is_video())
        .join(own, "video_id", "left")
        .join(ingested, "uri", "left")
        .withColumn("changed", changed)
        .where(F.col("present").isNull() | F.col("changed") | again)
        .withColumn("attempts", F.when(F.col("changed"), 0).otherwise(F.coalesce("ledger_attempts", F.lit(0))))
    )


def is_retried(reason: str | None, attempts: int, max_attempts: int) -> bool:
    """Whether a failed video is tried again although its bytes are the same, as :func:`pending` decides."""
    return reason == STORAGE_ERROR and attempts < max_attempts


def collect(rows: DataFrame) -> list[PendingVideo]:
    """The pending videos ordered by archive and offset, so that neighbours share an archive."""
    columns = ["video_id", "uri", "offset", "length", "packing", "crc32", "size", "fingerprint", "attempts", "changed"]
    found = []
    for row in rows.select(*columns, "problems", F.col("chunk_ingested_at").alias("ingested_at")).collect():
        fields = row.asDict()
        if fields["ingested_at"] is not None:
            # Executors may be in another time zone.
            fields["ingested_at"] = fields["ingested_at"].astimezone(UTC)
        problems = fields.pop("problems") or []
        found.append(PendingVideo(**fields, problem=_unreadable(problems, fields["uri"])))
    return sorted(found, key=lambda video: (video.uri or "", video.offset or 0, video.video_id))


def _unreadable(problems: Sequence[str], uri: str | None) -> tuple[str, str] | None:
    for problem in problems:
        code, _, text = problem.partition(": ")
        if code in UNREADABLE_PROBLEMS:
            return code, text
    return None if uri else ("MISSING_FILE", "no file of it was found")


def waves(videos: Sequence[PendingVideo], size: int) -> list[list[PendingVideo]]:
    """Splits the videos into waves of ``size``."""
    return [list(videos[start : start + size]) for start in range(0, len(videos), size)]


def tasks(wave: Sequence[PendingVideo], task_bytes: int, slots: int) -> list[list[PendingVideo]]:
    """Splits a wave into tasks of neighbouring videos with about ``task_bytes``, or less so that every slot gets some.

    Detection has a cost of its own, so each video counts for at least the wave's mean size.

    Args:
        wave: ordered videos.
        task_bytes: as ``extract.task_bytes``.
        slots: tasks that can run at the same time.
    """
    mean = sum(video.bytes for video in wave) / max(len(wave), 1)
    weights = [max(float(video.bytes), mean, 1.0) for video in wave]
    target = min(float(task_bytes), sum(weights) / (slots * TASKS_PER_SLOT))
    cut: list[list[PendingVideo]] = []
    filled = target
    for video, weight in zip(wave, weights, strict=True):
        if filled + weight / 2 > target:
            cut.append([])
            filled = 0.0
        cut[-1].append(video)
        filled += weight
    return cut
