"""Asks for another attempt at videos that could not be extracted, after their cause was fixed."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from pyspark.sql import functions as F

from dflib.errors import TableError
from dflib.tables.schemas import EXTRACTIONS
from dflib.tables.store import Tables


@dataclass(frozen=True)
class Retries:
    """Videos that the next extract tries again, by the reason of their failure."""

    extractor: str
    reasons: dict[str, int]

    @property
    def videos(self) -> int:
        return sum(self.reasons.values())


def request(
    tables: Tables, extractor: str, reason: str | None, videos: Sequence[str] = (), dry_run: bool = False
) -> Retries:
    """Marks failed videos, so that the next extract tries them again; their number of attempts goes on.

    Args:
        tables: holds ``extractions``.
        extractor: whose failures.
        reason: only failures with this reason, as in ``extractions.reason``; None: of any.
        videos: only these; none: all.
        dry_run: marks nothing.

    Raises:
        TableError: no failed video matches; the message lists the reasons that there are.
    """
    failed = tables.read(EXTRACTIONS).where((F.col("extractor") == extractor) & (F.col("outcome") == "FAILED"))
    wanted = failed
    if reason is not None:
        wanted = wanted.where(F.col("reason") == reason)
    if videos:
        wanted = wanted.where(F.col("video_id").isin(list(videos)))
    reasons = Counter({row["reason"]: row["count"] for row in wanted.groupBy("reason").count().collect()})
    if not reasons:
        present = {row["reason"]: row["count"] for row in failed.groupBy("reason").count().orderBy("reason").collect()}
        known = ", ".join(f"{name} {count:,}" for name, count in present.items()) or "none"
        raise TableError(
            f"{tables.uri(EXTRACTIONS)}: no failed video matches; failures of {extractor} by reason: {known}"
        )
    if not dry_run:
        tables.upsert(EXTRACTIONS, wanted.withColumn("retry_at", F.coalesce("retry_at", F.current_timestamp())))
    return Retries(extractor, dict(sorted(reasons.items())))
