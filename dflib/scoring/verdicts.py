"""Faces of a video to one verdict.

There is one tie rule, for faces, frames and videos alike: a score is FAKE (or suspicious) only when it is
**above** the limit; a score equal to it is REAL.  A video without a usable score is UNDETERMINED with a
reason, and has no score: never a silent .5.

Rules:

``mean``
    p_fake is the mean over the usable faces; FAKE when it is above ``report.threshold``.
``share``
    a frame is suspicious when its most suspicious face is above the threshold; p_fake is the share of
    suspicious frames; FAKE when it is above ``report.share``.
``run``
    FAKE when ``report.run_length`` sampled frames in a row are suspicious; p_fake is the longest run over
    the frames used.  Frames without a usable face are passed over: they neither count nor break a run.

Only ``mean`` gives a probability.  The scores of ``share`` and ``run`` put videos in order and no more, so log
loss, Brier score and reliability are not made of them.
"""

import difflib

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from dflib import config
from dflib.errors import ConfigError
from dflib.tables import current, quality
from dflib.tables.schemas import VERDICTS

RULES = ("mean", "share", "run")
PROBABILITY_RULES = ("mean",)
"""Rules whose score may be read as a probability."""


def rule_names(settings: config.ReportConfig) -> dict[str, str]:
    """The configured rules in their order, each with its full name, parameters and filters included.

    Raises:
        ConfigError: no rule, or an unknown one.
    """
    if not settings.rules:
        raise ConfigError(f"report.rules: no rule; give one or more of {', '.join(RULES)}")
    filters = ",".join([_faces_used(settings), f"min_faces={settings.min_faces}"])
    threshold = f"t={settings.threshold:g}"
    parameters = {
        "mean": threshold,
        "share": f"{threshold},share={settings.share:g}",
        "run": f"{threshold},length={settings.run_length}",
    }
    names = {}
    for rule in settings.rules:
        if rule not in parameters:
            nearest = difflib.get_close_matches(rule, RULES, n=1, cutoff=0.0)[0]
            raise ConfigError(f"report.rules: unknown rule {rule!r}; did you mean {nearest}? Known: {', '.join(RULES)}")
        names[rule] = f"{rule}({parameters[rule]},{filters})"
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
    """One row a video of the ledger, with all that verdicts and metrics need; faces stay inside as arrays.

    The scores of a video are sorted before they are summed, so the same rows give the same bits.  Faces of a video
    whose file has changed since are counted but not used.

    Args:
        predictions: rows of one model and one extractor, as in PREDICTIONS.
        faces: rows of that extractor, as in FACES; images are not read.
        videos: as in VIDEOS.
        extractions: rows of that extractor, as in EXTRACTIONS: the videos to be judged.
        splits: ``video_id`` and ``split``, one row a video (:func:`dflib.datasets.video_splits.split_of_videos`).
        settings: threshold, rules and filters.

    Returns:
        ``video_id, source_group, chunk, label, split`` (of the videos), ``ledger_faces`` (promised by the
        ledger), ``face_rows`` (found), ``bad_scores`` (outside 0 to 1), ``faces_used``, ``frames_used``,
        ``faces_scored``, ``faces_fake`` (above the threshold), ``score_sum``, ``reason`` (null: decided),
        ``frames`` (array of frame_index, scores, top; usable faces only) and, a rule, a struct of its name with
        ``p_fake`` and ``fake``, both null when UNDETERMINED.
    """
    columns = {"moving": _moving(settings), "usable": usable(settings)}
    scored = (
        faces.select("face_id", "video_id", "frame_index", *[value.alias(name) for name, value in columns.items()])
        .join(predictions.select("face_id", "p_fake"), "face_id", "left")
        .withColumn("score", F.when(F.col("usable"), F.col("p_fake")))
    )
    by_frame = scored.groupBy("video_id", "frame_index").agg(
        F.count(F.lit(1)).alias("face_rows"),
        F.count_if("moving").alias("moving"),
        F.count_if("usable").alias("faces_used"),
        F.count_if(F.col("p_fake").isNotNull() & ~F.col("p_fake").between(0.0, 1.0)).alias("bad_scores"),
        F.sort_array(F.collect_list("score")).alias("scores"),
        F.max("score").alias("top"),
    )
    frame = F.when(F.col("faces_used") > 0, F.struct("frame_index", "scores", "top"))
    by_video = by_frame.groupBy("video_id").agg(
        F.sum("face_rows").alias("face_rows"),
        F.sum("moving").alias("moving"),
        F.sum("faces_used").alias("faces_used"),
        F.sum("bad_scores").alias("bad_scores"),
        F.sort_array(F.collect_list(frame)).alias("frames"),
    )
    of_video = videos.select("video_id", "source_group", "chunk", "label").join(splits, "video_id", "left")
    ledger = current.ledger(extractions, videos).select(
        "video_id", "outcome", "changed", F.col("reason").alias("ledger_reason"), F.col("faces").alias("ledger_faces")
    )
    joined = ledger.join(of_video, "video_id", "left").join(by_video, "video_id", "left")
    # A video without any face, or none of the bytes that it has now, has zeros and an empty array from here on.
    empty = {name: F.coalesce(name, F.lit(0)) for name in ("face_rows", "bad_scores")}
    unused = {"faces_used": F.lit(0), "frames": F.array()}
    empty |= {name: F.coalesce(F.when(~F.col("changed"), F.col(name)), nothing) for name, nothing in unused.items()}
    filled = joined.withColumns(empty)
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
    rules = {
        rule: F.struct(*[F.when(decided, value).alias(name) for name, value in _judge(rule, settings).items()])
        for rule in rule_names(settings)
    }
    return reasoned.withColumns(rules).drop("scores", "outcome", "changed", "moving", "ledger_reason")


def verdicts(pooled: DataFrame, settings: config.ReportConfig, model_id: str, extractor: str) -> DataFrame:
    """The rows of :func:`pool` as rows of VERDICTS, one a video and rule."""
    each = [
        F.struct(
            F.lit(name).alias("rule"), F.col(f"{rule}.p_fake").alias("p_fake"), F.col(f"{rule}.fake").alias("fake")
        )
        for rule, name in rule_names(settings).items()
    ]
    verdict = F.when(F.col("fake"), "FAKE").when(~F.col("fake"), "REAL").otherwise("UNDETERMINED")
    return (
        pooled.select("*", F.explode(F.array(*each)).alias("one"))
        .select("*", "one.rule", "one.p_fake", "one.fake")
        .withColumns(
            {
                "model_id": F.lit(model_id),
                "extractor": F.lit(extractor),
                "verdict": verdict,
                "judged_at": F.current_timestamp(),
            }
        )
        .select(VERDICTS.schema.names)
    )


def _reason(settings: config.ReportConfig) -> Column:
    """Why a video can't be decided; null when it can."""
    return (
        F.when(F.col("changed"), "CHANGED")
        .when(F.col("outcome") != "DONE", F.coalesce("ledger_reason", F.lit("EXTRACTION_FAILED")))
        .when(F.col("face_rows") == 0, "NO_FACE")
        .when(F.col("moving") == 0, "ONLY_STATIC_FACES")
        .when(F.col("faces_used") == 0, "ONLY_POOR_FACES")
        .when(F.col("faces_used") < settings.min_faces, "TOO_FEW_FACES")
        .when(F.col("faces_scored") < F.col("faces_used"), "NOT_SCORED")
    )


def _judge(rule: str, settings: config.ReportConfig) -> dict[str, Column]:
    """Score and decision of a rule, for a video with at least one usable face, all of them scored."""
    if rule == "mean":
        p_fake = F.col("score_sum") / F.nullif(F.col("faces_scored"), F.lit(0))
        return {"p_fake": p_fake, "fake": p_fake > settings.threshold}
    frames = F.nullif(F.col("frames_used"), F.lit(0))
    if rule == "share":
        suspicious = F.size(F.filter("frames", lambda frame: frame["top"] > settings.threshold))
        return {"p_fake": suspicious / frames, "fake": suspicious / frames > settings.share}
    longest = F.aggregate(
        "frames",
        F.struct(F.lit(0).alias("now"), F.lit(0).alias("best")),
        lambda so_far, frame: _run_on(so_far, frame["top"] > settings.threshold),
        lambda so_far: so_far["best"],
    )
    return {"p_fake": longest / frames, "fake": longest >= settings.run_length}


def _run_on(so_far: Column, suspicious: Column) -> Column:
    now = F.when(suspicious, so_far["now"] + 1).otherwise(0)
    return F.struct(now.alias("now"), F.greatest(so_far["best"], now).alias("best"))
