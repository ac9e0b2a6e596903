"""Scores of faces, verdicts and metrics."""

import pyarrow as pa

from dflib.tables.schemas.table import TIME, Table, column

PREDICTIONS = Table(
    "predictions",
    "One score per face and model",
    ("face_id", "model_id"),
    pa.schema(
        [
            column("face_id", pa.string(), "as in faces", null=False),
            column("model_id", pa.string(), "as in models", null=False),
            column("video_id", pa.string(), "as in faces", null=False),
            column("extractor", pa.string(), "as in faces", null=False),
            column("frame_index", pa.int32(), "as in faces", null=False),
            column("track", pa.int32(), "as in faces"),
            column("p_fake", pa.float64(), "score of the face, 0 (real) to 1 (fake)", null=False),
            column("run_id", pa.string(), "run that scored it; null in rows of older versions"),
        ]
    ),
    constraints={
        "p_fake_is_a_probability": "p_fake >= 0 AND p_fake <= 1",
    },
)


VERDICTS = Table(
    "verdicts",
    "One verdict per video, extractor, model and pooling rule",
    ("video_id", "extractor", "model_id", "rule"),
    pa.schema(
        [
            column("video_id", pa.string(), "as in videos", null=False),
            column("extractor", pa.string(), "as in extractions", null=False),
            column("model_id", pa.string(), "as in models", null=False),
            column("rule", pa.string(), "pooling rule with its parameters and filters", null=False),
            column("p_fake", pa.float64(), "pooled score, 0 (real) to 1 (fake); null: UNDETERMINED"),
            column("verdict", pa.string(), "FAKE, REAL or UNDETERMINED", null=False),
            column("reason", pa.string(), "why the video is UNDETERMINED"),
            column("faces_used", pa.int64(), "number of faces that passed the filters", null=False),
            column("frames_used", pa.int64(), "number of frames with such a face", null=False),
            column("label", pa.string(), "label in videos when the verdict was written"),
            column("split", pa.string(), "split of the video in the model's training set; null: not in it"),
            column("judged_at", TIME, "when the verdict was written (UTC)", null=False),
            column("fingerprint", pa.string(), "version of the bytes that the faces come from, as in extractions"),
            column("extraction_run", pa.string(), "run that extracted the faces, as extractions.run_id"),
        ]
    ),
    volatile=("judged_at",),
    constraints={
        "p_fake_is_a_probability": "p_fake IS NULL OR (p_fake >= 0 AND p_fake <= 1)",
        "verdict_is_known": "verdict IN ('FAKE', 'REAL', 'UNDETERMINED')",
        "undetermined_has_no_score": "(verdict = 'UNDETERMINED') = (p_fake IS NULL)",
    },
)

HELD_VERDICTS = Table(
    "held_verdicts",
    "Verdicts of the champion that are held back until release; those in verdicts stay current",
    VERDICTS.key,
    pa.schema(
        [
            *VERDICTS.schema,
            column("headline", pa.bool_(), "whether its rule becomes the current one by release", null=False),
            column("leads", pa.bool_(), "whether its extractor becomes the leading one by release", null=False),
            column("run_id", pa.string(), "run that held it back", null=False),
        ]
    ),
    volatile=("judged_at", "run_id"),
)

PUBLICATIONS = Table(
    "publications",
    "Since when verdicts of a model by a rule count; a video's current verdict is that of the extractor that began to "
    "lead last, and there of the newest row, among those with a verdict of the video",
    ("extractor", "published_at"),
    pa.schema(
        [
            column("extractor", pa.string(), "as in extractions", null=False),
            column("published_at", TIME, "since when (UTC)", null=False),
            column("model_id", pa.string(), "as in models", null=False),
            column("rule", pa.string(), "as in verdicts", null=False),
            column("published_by", pa.string(), "the run, or who released it", null=False),
            column("reason", pa.string(), "why it was released"),
            column("leads_since", TIME, "since when the extractor leads, or led (UTC); null: it never has"),
        ]
    ),
)

CHANGES = Table(
    "changes",
    "Videos whose current verdict or label changed, or whose score moved by more than nightly.move",
    ("video_id", "extractor", "model_id", "rule", "current_since"),
    pa.schema(
        [
            column("video_id", pa.string(), "as in videos", null=False),
            column("extractor", pa.string(), "extractor of the new verdict", null=False),
            column("model_id", pa.string(), "model of the new verdict", null=False),
            column("rule", pa.string(), "rule of the new verdict", null=False),
            column("current_since", TIME, "since when the earlier verdict was the current one (UTC)", null=False),
            column(
                "cause",
                pa.string(),
                "the first that applies of MISSING_FILE, NEW_BYTES, NEW_EXTRACTOR, NEW_MODEL, NEW_RULE, NEW_FACES, "
                "NEW_LABEL and NEW_SCORES",
                null=False,
            ),
            column("flipped", pa.bool_(), "whether the verdict is another one", null=False),
            column(
                "held",
                pa.bool_(),
                "whether the new verdict is held back; if it is dropped instead of released, the row goes",
                null=False,
            ),
            column("from_extractor", pa.string(), "extractor of the earlier verdict", null=False),
            column("from_model_id", pa.string(), "model of the earlier verdict", null=False),
            column("from_rule", pa.string(), "rule of the earlier verdict", null=False),
            column("from_verdict", pa.string(), "the earlier verdict", null=False),
            column("from_p_fake", pa.float64(), "its score; null: UNDETERMINED"),
            column("from_label", pa.string(), "label in videos when it was written"),
            column("to_verdict", pa.string(), "the new verdict", null=False),
            column("to_p_fake", pa.float64(), "its score; null: UNDETERMINED"),
            column("to_reason", pa.string(), "why it is UNDETERMINED"),
            column("to_label", pa.string(), "label in videos when it was written"),
            column("run_id", pa.string(), "run that found the change", null=False),
            column("changed_at", TIME, "when it was found (UTC)", null=False),
        ]
    ),
    volatile=("run_id", "changed_at"),
)


METRICS = Table(
    "metrics",
    "Metrics of the newest verdicts with intervals; earlier ones are in earlier versions of the table",
    ("model_id", "extractor", "rule", "level", "slice", "name"),
    pa.schema(
        [
            column("model_id", pa.string(), "as in models", null=False),
            column("extractor", pa.string(), "as in extractions", null=False),
            column("rule", pa.string(), "as in verdicts", null=False),
            column("level", pa.string(), "what is counted: video or face", null=False),
            column("slice", pa.string(), "the videos that are counted: all, or column=value", null=False),
            column("name", pa.string(), "name of the metric", null=False),
            column("value", pa.float64(), "value; null: not defined on this slice"),
            column("low", pa.float64(), "lower end of the confidence interval; null: see interval_reason"),
            column("high", pa.float64(), "upper end of the confidence interval; null: see interval_reason"),
            column("count", pa.int64(), "number of videos or faces that it was computed from", null=False),
            column(
                "undetermined", pa.int64(), "number of labelled videos of the slice that are UNDETERMINED", null=False
            ),
            column(
                "includes_undetermined", pa.bool_(), "whether those are in the value, as wrong verdicts", null=False
            ),
            column("input_digest", pa.string(), "hash of the rows that it was computed from", null=False),
            column("predictions_version", pa.int64(), "version of predictions that was read", null=False),
            column("computed_at", TIME, "when it was computed (UTC)", null=False),
            column(
                "interval_reason",
                pa.string(),
                "why there is no interval: UNDEFINED, FEW_GROUPS, SPARSE or NO_SPREAD; null: there is one",
            ),
            column(
                "metric_version",
                pa.int32(),
                "version of the metric's definition; null in rows of earlier versions",
            ),
        ]
    ),
    volatile=("computed_at", "predictions_version"),
)
