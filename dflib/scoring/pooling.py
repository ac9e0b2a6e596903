"""Scores of faces, pooled to one row per video.

Ties are decided alike for faces, frames and videos: a score is FAKE (or suspicious) only when it is **above** the
limit; a score equal to it is REAL.  A video without a usable score is UNDETERMINED with a reason, and has no score:
never a silent .5.
"""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from dflib import config
from dflib.errors import ConfigError
from dflib.scoring import rules
from dflib.tables import current, quality


def rule_names(settings: config.ReportConfig) -> dict[str, str]:
    """The configured rules in order, each with its full name as stored in ``verdicts.rule``.

    The full name holds the threshold, the parameters of the rule and the filters, such as
    ``share(t=0.5,share=0.5,static=out,min_faces=1)``.

    Raises:
        ConfigError: two rules have the same full name.
    """
    filters = f"{_faces_used(settings)},min_faces={settings.min_faces}"
    names: dict[str, str] = {}
    for text in settings.rules:
        rule = rules.load(text, settings.threshold)
        parameters = ",".join(filter(None, [f"t={settings.threshold:g}", rule.parameters, filters]))
        name = f"{text.partition(':')[0]}({parameters})"
        if name in names.values():
            raise ConfigError(f"report.rules: {text!r} repeats the pooling rule {name}; remove it")
        names[text] = name
    return names


def face_rule_name(settings: config.ReportConfig) -> str:
    """Name of the decision on single faces, in the style of :func:`rule_names`."""
    return f"face(t={settings.threshold:g},{_faces_used(settings)})"


def _faces_used(settings: config.ReportConfig) -> str:
    return ",".join([f"static={'out' if settings.exclude_static else 'in'}", *quality.limits(settings.quality)])


def usable(settings: config.ReportConfig) -> Column:
    """The condition that a row of ``faces`` takes part in a verdict; true or false, never null."""
    return _moving(settings) & quality.usable(settings.quality)


def _moving(settings: config.ReportConfig) -> Column:
    return quality.moving() if settings.exclude_static else F.lit(True)


def pool(
    predictions: DataFrame,
    faces: DataFrame,
    videos: DataFrame,
    extractions: DataFrame,
    splits: DataFrame,
    settings: config.ReportConfig,
) -> DataFrame:
    """One row per video of the extraction ledger, with all that verdicts and metrics need; faces are kept as arrays.

    Scores are in the order of their frames and sorted within a frame, so the same rows give the same bits.  Faces of a
    video whose file has changed since its extraction are counted but not used.

    Args:
        predictions: rows of one model and one extractor, as in PREDICTIONS.
        faces: rows of that extractor, as in FACES; images are not read.
        videos: as in VIDEOS.
        extractions: rows of that extractor, as in EXTRACTIONS: the videos that get a verdict.
        splits: ``video_id`` and ``split``, one row per video (:func:`dflib.datasets.video_splits.split_of_videos`).
        settings: threshold, rules and filters.

    Returns:
        ``video_id, source_group, chunk, label, split`` (of the videos), ``fingerprint, extraction_run`` (of the
        ledger), ``ledger_faces`` (number of faces in the ledger), ``face_rows`` (number of rows in ``faces``),
        ``faces_moving`` (those that ``report.exclude_static`` leaves), ``bad_scores`` (outside 0 to 1),
        ``faces_used``, ``frames_used``, ``faces_scored``, ``faces_fake`` (above the threshold), ``score_sum``,
        ``reason`` (null when decided), ``frames`` (array of frame_index, scores, top; usable faces only) and ``rules``
        (array of rule, p_fake, fake in the order of the settings; p_fake and fake are null when UNDETERMINED).
    """
    columns = {"moving": _moving(settings), "usable": usable(settings)}
    scored = (
        faces.select("face_id", "video_id", "frame_index", *[value.alias(name) for name, value in columns.items()])
        .join(predictions.select("face_id", "p_fake"), "face_id", "left")
        .withColumn("score", F.when(F.col("usable"), F.col("p_fake")))
    )
    by_frame = scored.groupBy("video_id", "frame_index").agg(
        F.count(F.lit(1)).alias("face_rows"),
        F.count_if("moving").alias("faces_moving"),
        F.count_if("usable").alias("faces_used"),
        F.count_if(F.col("p_fake").isNotNull() & ~F.col("p_fake").between(0.0, 1.0)).alias("bad_scores"),
        F.sort_array(F.collect_list("score")).alias("scores"),
        F.max("score").alias("top"),
    )
    frame = F.when(F.col("faces_used") > 0, F.struct("frame_index", "scores", "top"))
    by_video = by_frame.groupBy("video_id").agg(
        F.sum("face_rows").alias("face_rows"),
        F.sum("faces_moving").alias("faces_moving"),
        F.sum("faces_used").alias("faces_used"),
        F.sum("bad_scores").alias("bad_scores"),
        F.sort_array(F.collect_list(frame)).alias("frames"),
    )
    of_video = videos.select("video_id", "source_group", "chunk", "label").join(splits, "video_id", "left")
    ledger = current.ledger(extractions, videos).select(
        *("video_id", "outcome", "changed", "fingerprint"),
        F.col("run_id").alias("extraction_run"),
        F.col("reason").alias("ledger_reason"),
        F.col("faces").alias("ledger_faces"),
    )
    joined = ledger.join(of_video, "video_id", "left").join(by_video, "video_id", "left")
    # From here on, a video without faces, or without faces of its current file, has zeros and an empty array.
    filled_columns = {name: F.coalesce(name, F.lit(0)) for name in ("face_rows", "faces_moving", "bad_scores")}
    unused = {"faces_used": F.lit(0), "frames": F.array()}
    filled_columns |= {
        name: F.coalesce(F.when(~F.col("changed"), F.col(name)), empty) for name, empty in unused.items()
    }
    filled = joined.withColumns(filled_columns)
    filled = filled.withColumn("scores", F.flatten(F.transform("frames", lambda frame: frame["scores"])))
    counted = filled.withColumns(
        {
            "frames_used": F.size("frames").cast("long"),
            "faces_scored": F.size("scores").cast("long"),
            "faces_fake": F.size(F.filter("scores", lambda score: score > settings.threshold)).cast("long"),
            "score_sum": F.aggregate("scores", F.lit(0.0), lambda total, score: total + score),
        }
    )
    reasoned = counted.withColumn("reason", _reason(settings))
    decided = F.col("reason").isNull()
    pooled = []
    for text, name in rule_names(settings).items():
        rule = rules.load(text, settings.threshold)
        pooled.append(
            F.struct(
                F.lit(name).alias("rule"),
                F.when(decided, rule.p_fake()).alias("p_fake"),
                F.when(decided, rule.is_fake()).alias("fake"),
            )
        )
    return reasoned.withColumn("rules", F.array(*pooled)).drop("scores", "outcome", "changed", "ledger_reason")


def _reason(settings: config.ReportConfig) -> Column:
    """Why a video cannot be decided; null when it can."""
    return (
        F.when(F.col("changed"), "CHANGED")
        .when(F.col("outcome") != "DONE", F.coalesce("ledger_reason", F.lit("EXTRACTION_FAILED")))
        .when(F.col("face_rows") == 0, "NO_FACE")
        .when(F.col("faces_moving") == 0, "ONLY_STATIC_FACES")
        .when(F.col("faces_used") == 0, "ONLY_POOR_FACES")
        .when(F.col("faces_used") < settings.min_faces, "TOO_FEW_FACES")
        .when(F.col("faces_scored") < F.col("faces_used"), "NOT_SCORED")
    )
