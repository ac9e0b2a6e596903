"""The challenge's submission.csv, made from verdicts."""

from collections.abc import Callable

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from dflib import config
from dflib.errors import ConfigError, CountError, TableError
from dflib.models import aliases, registry
from dflib.tables import current
from dflib.tables.export import Rows
from dflib.tables.schemas import PUBLICATIONS, VERDICTS, VIDEOS
from dflib.tables.store import Tables

SUBMISSION = "submission"
"""Value of ``export.table`` that selects this file instead of a table."""
UNDETERMINED_LABEL = 0.5
"""The challenge's format requires a number for every video; dflib's own tables never hold .5 for "unknown"."""


def check(settings: config.ExportConfig) -> None:
    """Checks that the settings fit the challenge's format.

    Raises:
        ConfigError: Parquet or a version of the table is requested.
    """
    if settings.format != "csv" or settings.version is not None:
        raise ConfigError("export.table=submission: it is a CSV of the newest verdicts; leave out format and version")


def submission(tables: Tables, settings: config.ExportConfig, headline_rule: str) -> Rows:
    """``filename`` and ``label`` (= p_fake) of each video with a verdict.

    Args:
        tables: verdicts, videos and models are read.
        settings: model, extractor and rule.
        headline_rule: full name of the pooling rule that is used when ``export.rule`` is null.

    Raises:
        ModelError: no such model.
        TableError: the model has no verdicts; several extractors or rules match; two videos share a file name.
        CountError: a video with a verdict is not in ``videos``.
    """
    chosen = _current(tables, settings)
    of = "current verdicts"
    if chosen is None:
        chosen, of = _chosen(tables, settings, headline_rule)
    videos = tables.read(VIDEOS)
    # A single file has no member but its URI, and a video that is known by its label only has neither; the challenge
    # names its mp4 files.
    place = F.coalesce("member", F.when(F.col("packing") == "file", F.col("uri")))
    last = F.element_at(F.split(F.coalesce(place, F.concat("video_id", F.lit(".mp4"))), "/"), -1)
    rows = chosen.join(videos.select("video_id", last.alias("filename")), "video_id").select(
        "filename", F.coalesce("p_fake", F.lit(UNDETERMINED_LABEL)).alias("label"), "verdict"
    )
    counted = rows.agg(
        F.count(F.lit(1)).alias("rows"),
        F.countDistinct("filename").alias("names"),
        F.count_if(F.col("verdict") == "UNDETERMINED").alias("undetermined"),
    ).first()
    assert counted is not None
    judged, known = chosen.count(), videos.count()
    if counted["rows"] != judged:
        raise CountError(f"{judged - counted['rows']} videos with a verdict are not in videos; run ingest again")
    if counted["rows"] != counted["names"]:
        raise TableError(
            f"{counted['rows'] - counted['names']} of {counted['rows']} videos share a file name with another video, "
            "and a submission identifies videos by file name; export verdicts instead"
        )
    notes = [of]
    if counted["undetermined"]:
        notes.append(
            f"{counted['undetermined']:,} videos are UNDETERMINED and have the label {UNDETERMINED_LABEL}, because the "
            "challenge's format requires a number; it is not a score"
        )
    if known > judged:
        notes.append(f"{known - judged:,} videos have no verdict yet and are missing; run extract, score and report")
    return Rows(SUBMISSION, rows.select("filename", "label"), ("filename",), tuple(notes))


def _current(tables: Tables, settings: config.ExportConfig) -> DataFrame | None:
    """The current verdicts; None when there are none, or when the settings name others."""
    if settings.model != aliases.CHAMPION or settings.extractor is not None or settings.rule is not None:
        return None
    rows = current.verdicts(tables.read(VERDICTS), tables.read(PUBLICATIONS))
    return None if rows.isEmpty() else rows


def _chosen(tables: Tables, settings: config.ExportConfig, headline_rule: str) -> tuple[DataFrame, str]:
    """The verdicts of the one model, extractor and rule that the settings name, and what to say about them."""
    model = registry.find(tables, settings.model).model_id
    verdicts = tables.read(VERDICTS).where(F.col("model_id") == model)
    pairs = verdicts.select("extractor", "rule").distinct().collect()
    if not pairs:
        raise TableError(f"{tables.uri(VERDICTS)}: no verdicts of model {model}; run report with report.model={model}")
    extractor = _only({row["extractor"] for row in pairs}, settings.extractor, "export.extractor", str.__eq__)
    rules = {row["rule"] for row in pairs if row["extractor"] == extractor}
    rule = _only(
        rules,
        settings.rule or (headline_rule if headline_rule in rules else headline_rule.partition("(")[0]),
        "export.rule",
        lambda name, wanted: name == wanted or name.startswith(f"{wanted}("),
    )
    rows = verdicts.where((F.col("extractor") == extractor) & (F.col("rule") == rule))
    return rows, f"model {model}, extractor {extractor}, rule {rule}"


def _only(found: set[str], wanted: str | None, key: str, same: Callable[[str, str], bool]) -> str:
    """The one name in ``found`` that matches ``wanted``, or the only name when that is None."""
    matching = sorted(name for name in found if wanted is None or same(name, wanted))
    if len(matching) != 1:
        problem = "several match" if matching else f"there are no verdicts of {wanted!r}"
        raise TableError(f"{key}: {problem}; set {key} to one of: {', '.join(sorted(found))}")
    return matching[0]
