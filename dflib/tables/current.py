"""Which rows count: faces of a finished extraction, read from the bytes that their video has now, and the verdicts of
the newest publication.

Faces without a DONE row in the ledger are leftovers of a killed run.  Faces of other bytes than ``videos`` names belong
to a file that has been replaced since; they count again after the next extract.
"""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

CROPS = "crops-"
"""Prefix of the extractors of ready-cut crops; those of videos begin with their sampling."""
CROPS_PACKING = "crops"
"""``videos.packing`` of ready-cut crops without a video."""
NOT_CURRENT = "file changed or extraction cut short: run extract"
"""Why faces do not count, and what to do, for summaries."""


def kind(extractor: str) -> str:
    """``crops`` for an extractor of ready-cut crops, ``videos`` for another one."""
    return "crops" if extractor.startswith(CROPS) else "videos"


def is_video(packing: str = "packing") -> Column:
    """Whether a row of VIDEOS is a video and not just a place of ready-cut crops; never null."""
    return ~F.col(packing).eqNullSafe(CROPS_PACKING)


def changed(ledger: str, videos: str) -> str:
    """Whether a video has other bytes than its ledger row was made from, as an SQL condition; never null.

    Ready-cut crops may lie beside the video that they were cut from.  ``videos`` then holds the fingerprint of the
    video, which says nothing about the crops; ingest keeps those up to date by itself.

    Args:
        ledger: alias of EXTRACTIONS in the query; a row must be there.
        videos: alias of VIDEOS; where it has no row the video has changed.
    """
    return (
        f"(NOT ({ledger}.fingerprint <=> {videos}.fingerprint) AND NOT "
        f"(startswith({ledger}.extractor, '{CROPS}') AND NOT ({videos}.packing <=> '{CROPS_PACKING}')))"
    )


def ledger(extractions: DataFrame, videos: DataFrame) -> DataFrame:
    """The rows of the ledger with the column ``changed``, see :func:`changed`.

    Args:
        extractions: as in EXTRACTIONS.
        videos: as in VIDEOS.
    """
    now = videos.select("video_id", "fingerprint", "packing").alias("v")
    joined = extractions.alias("e").join(now, F.col("e.video_id") == F.col("v.video_id"), "left")
    return joined.select("e.*", F.expr(changed("e", "v")).alias("changed"))


CURRENT_VERDICTS = """
  SELECT * EXCEPT (place) FROM (
    SELECT t.*, p.published_at,
      row_number() OVER (
        PARTITION BY t.video_id ORDER BY p.leads_since DESC NULLS LAST, p.published_at DESC, t.extractor
      ) AS place
    FROM {verdicts} t JOIN (
      SELECT extractor, model_id, rule, max(published_at) AS published_at,
        max(max(leads_since)) OVER (PARTITION BY extractor) AS leads_since
      FROM {publications} GROUP BY extractor, model_id, rule
    ) p ON t.extractor = p.extractor AND t.model_id = p.model_id AND t.rule = p.rule
  ) WHERE place = 1"""
"""The current verdict of each video, with ``published_at``: of the extractor that began to lead last, and there of the
newest publication, among those that have one."""


def verdicts(rows: DataFrame, publications: DataFrame) -> DataFrame:
    """The current ones among ``rows`` (as in VERDICTS), see :data:`CURRENT_VERDICTS`.

    Args:
        rows: as in VERDICTS.
        publications: as in PUBLICATIONS.
    """
    return rows.sparkSession.sql(CURRENT_VERDICTS, verdicts=rows, publications=publications)


def faces(rows: DataFrame, extractions: DataFrame, videos: DataFrame) -> DataFrame:
    """The rows that count among ``rows`` (as in FACES).  Ids are broadcast to the images; images are never shuffled."""
    counting = ledger(extractions, videos).where((F.col("outcome") == "DONE") & ~F.col("changed"))
    return rows.join(F.broadcast(counting.select("video_id", "extractor")), ["video_id", "extractor"], "left_semi")
