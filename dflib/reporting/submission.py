"""The challenge's submission.csv, made of verdicts."""

from collections.abc import Callable

from pyspark.sql import functions as F

from dflib import config
from dflib.errors import ConfigError, CountError, TableError
from dflib.models import registry
from dflib.tables.export import Rows
from dflib.tables.schemas import VERDICTS, VIDEOS
from dflib.tables.store import Tables

SUBMISSION = "submission"
"""Value of ``export.table`` that means this file and no table."""
UNDETERMINED_LABEL = 0.5
"""The challenge's file wants a number for every video; dflib's own tables never hold this one for "unknown"."""


def check(settings: config.ExportConfig) -> None:
    """Refuses another form than the challenge's.

    Raises:
        ConfigError: Parquet or a version is asked for.
    """
    if settings.format != "csv" or settings.version is not None:
        raise ConfigError("export.table=submission: it is a CSV of the newest verdicts; leave format and version out")


def submission(tables: Tables, settings: config.ExportConfig, headline_rule: str) -> Rows:
    """``filename`` and ``label`` (= p_fake) of each video with a verdict.

    Args:
        tables: verdicts, videos and models are read.
        settings: model, extractor and rule.
        headline_rule: full name of the rule when ``export.rule`` names none.

    Raises:
        ModelError: no such model.
        TableError: no verdicts of it; several extractors or rules where one is meant; a file name twice.
    """
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
    chosen = verdicts.where((F.col("extractor") == extractor) & (F.col("rule") == rule))
    videos = tables.read(VIDEOS)
    # A video known only by its label has no member; the challenge's names are those of its mp4 files.
    last = F.element_at(F.split(F.coalesce("member", F.concat("video_id", F.lit(".mp4"))), "/"), -1)
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
            f"{counted['rows'] - counted['names']} of {counted['rows']} videos share a file name with another, which "
            "a submission can't tell apart; export verdicts instead"
        )
    notes = [f"model {model}, extractor {extractor}, rule {rule}"]
    if counted["undetermined"]:
        notes.append(
            f"{counted['undetermined']:,} videos are UNDETERMINED and stand as {UNDETERMINED_LABEL}, because the "
            "challenge's format has no other way; no score was made for them"
        )
    if known > judged:
        notes.append(f"{known - judged:,} videos have no verdict yet and are missing; run extract, score and report")
    return Rows(SUBMISSION, rows.select("filename", "label"), ("filename",), tuple(notes))


def _only(found: set[str], wanted: str | None, key: str, same: Callable[[str, str], bool]) -> str:
    fitting = sorted(name for name in found if wanted is None or same(name, wanted))
    if len(fitting) != 1:
        problem = "there are several" if fitting else f"there are no verdicts of {wanted!r}"
        raise TableError(f"{key}: {problem}; set {key} to one of: {', '.join(sorted(found))}")
    return fitting[0]
