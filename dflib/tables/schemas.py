"""One Arrow schema per table; the Spark schemas are derived from them.

Every Arrow batch that is written to a table is built with its schema.  Key columns are NOT NULL.  Optional columns are
nullable from the start, since NOT NULL can't be added later.  Times are UTC.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pyarrow as pa
from pyspark.sql.pandas.types import from_arrow_schema
from pyspark.sql.types import StructType


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        name: its name and its folder below the root.
        comment: what a row is.
        key: columns that identify a row.
        schema: columns with types, nullability and comments.
        volatile: columns that record when or by which run a row was made; a difference in these alone is no change.
        former: earlier names of columns, by their present name.  A table that was written under an earlier name keeps
            that column beside the present one, and both are filled.
    """

    name: str
    comment: str
    key: tuple[str, ...]
    schema: pa.Schema
    volatile: tuple[str, ...] = ()
    former: Mapping[str, str] = field(default_factory=dict)

    def spark_schema(self) -> StructType:
        """The same schema for Spark, with nullability."""
        return from_arrow_schema(self.schema)

    @property
    def comments(self) -> dict[str, str]:
        """Comments by column name."""
        return {column.name: (column.metadata or {}).get(b"comment", b"").decode() for column in self.schema}


def _column(name: str, kind: pa.DataType, comment: str, null: bool = True) -> pa.Field:
    return pa.field(name, kind, nullable=null, metadata={"comment": comment})


_TEXTS = pa.list_(pa.string())
_TIME = pa.timestamp("us", tz="UTC")

CHUNKS = Table(
    "chunks",
    "Each archive or folder read by ingest, which reads it again only when it has changed",
    ("uri", "etag"),
    pa.schema(
        [
            _column("uri", pa.string(), "URI of the archive or folder", null=False),
            _column("etag", pa.string(), "version of its content, as storage reports it", null=False),
            _column("name", pa.string(), "name of the chunk, as in videos.chunk", null=False),
            _column("kind", pa.string(), "zip, folder or crops", null=False),
            _column("bytes", pa.int64(), "bytes of the archive, or of the files in the folder"),
            _column("members", pa.int64(), "number of files in it, metadata files included"),
            _column("videos", pa.int64(), "rows of videos that come from it"),
            _column("problems", _TEXTS, "defects of the chunk itself, each as CODE: text", null=False),
            _column("requests", pa.int64(), "storage requests made to read it"),
            _column("bytes_read", pa.int64(), "bytes read from storage"),
            _column("ingested_at", _TIME, "when it was read (UTC)", null=False),
        ]
    ),
    volatile=("ingested_at",),
)

VIDEOS = Table(
    "videos",
    "One row per clip: where its bytes are, its label, its source group, and its defects",
    ("video_id",),
    pa.schema(
        [
            _column(
                "video_id",
                pa.string(),
                "data set and path below its root, without the chunk folder, such as dfdc/abofeumbvv",
                null=False,
            ),
            _column("dataset", pa.string(), "name of the data set", null=False),
            _column("chunk", pa.string(), "name of the chunk that contains it", null=False),
            _column("uri", pa.string(), "URI of the archive or file with its bytes; null: there are none"),
            _column("member", pa.string(), "its name inside the archive or folder"),
            _column("offset", pa.int64(), "first byte of its range in uri; in a zip, that of the local header"),
            _column("length", pa.int64(), "bytes of its range; in a zip, up to the next header"),
            _column(
                "packing",
                pa.string(),
                "stored or deflated (in a zip), file, or crops (ready-cut crops without a video)",
            ),
            _column("crc32", pa.int64(), "CRC-32 of the video's bytes; null: the source has none"),
            _column("size", pa.int64(), "bytes of the video"),
            _column("fingerprint", pa.string(), "version of the bytes: CRC-32 and size, or etag"),
            _column("label", pa.string(), "REAL or FAKE; null: unknown or contradictory"),
            _column(
                "original", pa.string(), "video_id of the original of a fake, as the source names it; may not exist"
            ),
            _column(
                "source_group",
                pa.string(),
                "the original together with its fakes; a group is in one split as a whole",
                null=False,
            ),
            _column("given_split", pa.string(), "split in the metadata of the source"),
            _column("manipulation", pa.string(), "manipulation method; null: the layout does not name one"),
            _column("compression", pa.string(), "compression level; null: the layout does not name one"),
            _column("problems", _TEXTS, "defects found by ingest, each as CODE: text", null=False),
            _column("ingested_at", _TIME, "when the row was written (UTC)", null=False),
        ]
    ),
    volatile=("ingested_at",),
)

EXTRACTIONS = Table(
    "extractions",
    "Extraction ledger: one row per video and extractor, written after its frames and faces",
    ("video_id", "extractor"),
    pa.schema(
        [
            _column("video_id", pa.string(), "as in videos", null=False),
            _column(
                "extractor", pa.string(), "short name, and hash of every setting that changes the rows", null=False
            ),
            _column("fingerprint", pa.string(), "version of the bytes that were read, as in videos"),
            _column("outcome", pa.string(), "DONE or FAILED", null=False),
            _column(
                "reason", pa.string(), "upper-case code of the failure, or of a defect despite which rows were written"
            ),
            _column("detail", pa.string(), "the reason in words"),
            _column("attempts", pa.int32(), "attempts at extracting these bytes", null=False),
            _column("width", pa.int32(), "pixels, after rotation"),
            _column("height", pa.int32(), "pixels, after rotation"),
            _column("rotation", pa.int32(), "degrees by which decoded frames are rotated for display"),
            _column("fps", pa.float64(), "average frames per second"),
            _column("duration", pa.float64(), "seconds"),
            _column("video_frames", pa.int64(), "frames in the stream, counted by its packets"),
            _column("frames_wanted", pa.int32(), "frames chosen by the sampling"),
            _column("frames", pa.int32(), "rows in frames", null=False),
            _column("faces", pa.int32(), "rows in faces", null=False),
            _column("bytes_read", pa.int64(), "bytes read from storage", null=False),
            _column("requests", pa.int64(), "storage requests", null=False),
            _column("decode_seconds", pa.float64(), "CPU seconds of demuxing and decoding"),
            _column(
                "detect_seconds",
                pa.float64(),
                "CPU seconds of detection and cropping; null: not known for a task of several cores",
            ),
            _column("run_id", pa.string(), "run that wrote the row", null=False),
            _column("extracted_at", _TIME, "when the row was written (UTC)", null=False),
        ]
    ),
    volatile=("run_id", "extracted_at", "decode_seconds", "detect_seconds"),
    former={"attempts": "tries"},
)

FRAMES = Table(
    "frames",
    "One row per sampled frame",
    ("video_id", "extractor", "frame_index"),
    pa.schema(
        [
            _column("video_id", pa.string(), "as in videos", null=False),
            _column("extractor", pa.string(), "as in extractions", null=False),
            _column("frame_index", pa.int32(), "position in presentation order, from 0", null=False),
            _column(
                "wanted_time", pa.float64(), "presentation time chosen by the sampling, seconds from the first frame"
            ),
            _column("time", pa.float64(), "presentation time of the decoded frame, seconds from the first frame"),
            _column("width", pa.int32(), "pixels, after rotation"),
            _column("height", pa.int32(), "pixels, after rotation"),
            _column("scale", pa.float64(), "factor by which the frame was resized for the first detection"),
            _column("faces", pa.int32(), "rows in faces", null=False),
            _column("image", pa.binary(), "the frame as JPEG; null unless crops.keep_frames was set"),
        ]
    ),
)

FACES = Table(
    "faces",
    "One row per detected face, with a wide crop at native size",
    ("face_id",),
    pa.schema(
        [
            _column("face_id", pa.string(), "video_id, extractor, frame_index and face_index, joined", null=False),
            _column("video_id", pa.string(), "as in videos", null=False),
            _column("extractor", pa.string(), "as in extractions", null=False),
            _column("frame_index", pa.int32(), "as in frames", null=False),
            _column("face_index", pa.int32(), "number in the frame, from 0, most confident first", null=False),
            _column("time", pa.float64(), "presentation time of the frame, seconds from the first frame"),
            _column("track", pa.int32(), "track in the video, from 0"),
            _column("static", pa.bool_(), "the track never moves while another one does (a portrait on a wall)"),
            _column("short", pa.bool_(), "the track has fewer than faces.min_track_length faces"),
            _column("box_x", pa.float64(), "left edge of the box, frame pixels; null: a ready-cut crop"),
            _column("box_y", pa.float64(), "top edge of the box, frame pixels"),
            _column("box_w", pa.float64(), "width of the box, frame pixels"),
            _column("box_h", pa.float64(), "height of the box, frame pixels"),
            _column(
                "landmarks",
                pa.list_(pa.float64()),
                "x, y of left eye, right eye, nose, left and right mouth corner, as seen in the image, frame pixels",
            ),
            _column("confidence", pa.float64(), "confidence of the detector, 0 to 1"),
            _column(
                "crop_x",
                pa.float64(),
                "left edge of the crop, frame pixels; x in the crop is (x in the frame - crop_x) * crop_scale",
            ),
            _column("crop_y", pa.float64(), "top edge of the crop, frame pixels"),
            _column("crop_scale", pa.float64(), "crop pixels per frame pixel"),
            _column("crop_w", pa.int32(), "width of the crop, crop pixels"),
            _column("crop_h", pa.int32(), "height of the crop, crop pixels"),
            _column("format", pa.string(), "encoding of image: jpeg or png", null=False),
            _column("image", pa.binary(), "the crop, encoded", null=False),
            _column(
                "sharpness",
                pa.float64(),
                "variance of the Laplacian of the grey face box at 128x128 pixels; low when blurred",
            ),
            _column("brightness", pa.float64(), "mean grey level of the face box, 0 to 255"),
            _column("frontal", pa.float64(), "1: frontal, 0: turned by 45 degrees or more; null: no landmarks"),
            _column(
                "roll", pa.float64(), "clockwise rotation of the line through the eyes, degrees; null: no landmarks"
            ),
        ]
    ),
    former={"sharpness": "blur"},
)

TRAINING_SET = Table(
    "training_set",
    "One training set, as Petastorm reads it; never changed after it was written",
    ("face_id",),
    pa.schema(
        [
            _column("face_id", pa.string(), "as in faces", null=False),
            _column("video_id", pa.string(), "as in faces", null=False),
            _column("source_group", pa.string(), "as in videos", null=False),
            _column("split", pa.string(), "train, validation or test", null=False),
            _column("label", pa.int32(), "1: fake, 0: real", null=False),
            _column("weight", pa.float32(), "weight of the sample in the loss", null=False),
            _column("image", pa.binary(), "the wide crop, encoded", null=False),
            _column("box", pa.list_(pa.float64()), "x, y, w, h in crop pixels; NaN for a ready-cut crop", null=False),
            _column(
                "landmarks",
                pa.list_(pa.float64()),
                "x, y of the five landmarks as in faces, crop pixels; NaN: unknown",
                null=False,
            ),
        ]
    ),
)

MODELS = Table(
    "models",
    "One row per model that can score",
    ("model_id",),
    pa.schema(
        [
            _column("model_id", pa.string(), "name of the model: chosen, or network and hash", null=False),
            _column("network", pa.string(), "architecture", null=False),
            _column(
                "uri",
                pa.string(),
                "folder of the SavedModel, which takes uint8 RGB images of the view and returns p_fake",
                null=False,
            ),
            _column("sha256", pa.string(), "SHA-256 of the SavedModel's files with their paths", null=False),
            _column(
                "imported_sha256",
                pa.string(),
                "SHA-256 of the imported weights file; null for trained models and in rows of earlier versions",
            ),
            _column(
                "variables_sha256",
                pa.string(),
                "SHA-256 of the weights by their place in the network, equal for equal models; null in rows of earlier "
                "versions",
            ),
            _column("flavour", pa.string(), "framework and version that wrote it", null=False),
            _column("view", pa.string(), "how its input is cut from a face, JSON", null=False),
            _column("origin", pa.string(), "trained, or the URI of the imported weights", null=False),
            _column("positive", pa.string(), "class for which the network's own output is 1: real or fake", null=False),
            _column("extractor", pa.string(), "extractor of the faces that it was trained on"),
            _column("training_set", pa.string(), "set_id of its training set"),
            _column("settings", pa.string(), "settings of its training, JSON"),
            _column("metrics", pa.map_(pa.string(), pa.float64()), "metrics of its training, by name"),
            _column("created_at", _TIME, "when it was registered (UTC)", null=False),
        ]
    ),
    volatile=("created_at",),
)

PREDICTIONS = Table(
    "predictions",
    "One score per face and model",
    ("face_id", "model_id"),
    pa.schema(
        [
            _column("face_id", pa.string(), "as in faces", null=False),
            _column("model_id", pa.string(), "as in models", null=False),
            _column("video_id", pa.string(), "as in faces", null=False),
            _column("extractor", pa.string(), "as in faces", null=False),
            _column("frame_index", pa.int32(), "as in faces", null=False),
            _column("track", pa.int32(), "as in faces"),
            _column("p_fake", pa.float64(), "score of the face, 0 (real) to 1 (fake)", null=False),
        ]
    ),
)

VERDICTS = Table(
    "verdicts",
    "One verdict per video, extractor, model and pooling rule",
    ("video_id", "extractor", "model_id", "rule"),
    pa.schema(
        [
            _column("video_id", pa.string(), "as in videos", null=False),
            _column("extractor", pa.string(), "as in extractions", null=False),
            _column("model_id", pa.string(), "as in models", null=False),
            _column("rule", pa.string(), "pooling rule with its parameters and filters", null=False),
            _column("p_fake", pa.float64(), "pooled score, 0 (real) to 1 (fake); null: UNDETERMINED"),
            _column("verdict", pa.string(), "FAKE, REAL or UNDETERMINED", null=False),
            _column("reason", pa.string(), "why the video is UNDETERMINED"),
            _column("faces_used", pa.int64(), "number of faces that passed the filters", null=False),
            _column("frames_used", pa.int64(), "number of frames with such a face", null=False),
            _column("label", pa.string(), "label in videos when the verdict was written"),
            _column("split", pa.string(), "split of the video in the model's training set; null: not in it"),
            _column("judged_at", _TIME, "when the verdict was written (UTC)", null=False),
        ]
    ),
    volatile=("judged_at",),
)

METRICS = Table(
    "metrics",
    "Metrics of the newest verdicts with intervals; earlier ones are in earlier versions of the table",
    ("model_id", "extractor", "rule", "level", "slice", "name"),
    pa.schema(
        [
            _column("model_id", pa.string(), "as in models", null=False),
            _column("extractor", pa.string(), "as in extractions", null=False),
            _column("rule", pa.string(), "as in verdicts", null=False),
            _column("level", pa.string(), "what is counted: video or face", null=False),
            _column("slice", pa.string(), "the videos that are counted: all, or column=value", null=False),
            _column("name", pa.string(), "name of the metric", null=False),
            _column("value", pa.float64(), "value; null: not defined on this slice"),
            _column("low", pa.float64(), "lower end of the confidence interval; null: see interval_reason"),
            _column("high", pa.float64(), "upper end of the confidence interval; null: see interval_reason"),
            _column("count", pa.int64(), "number of videos or faces that it was computed from", null=False),
            _column(
                "undetermined", pa.int64(), "number of labelled videos of the slice that are UNDETERMINED", null=False
            ),
            _column(
                "includes_undetermined", pa.bool_(), "whether those are in the value, as wrong verdicts", null=False
            ),
            _column("input_digest", pa.string(), "hash of the rows that it was computed from", null=False),
            _column("predictions_version", pa.int64(), "version of predictions that was read", null=False),
            _column("computed_at", _TIME, "when it was computed (UTC)", null=False),
            _column(
                "interval_reason",
                pa.string(),
                "why there is no interval: UNDEFINED, FEW_GROUPS, SPARSE or NO_SPREAD; null: there is one",
            ),
            _column(
                "metric_version",
                pa.int32(),
                "version of the metric's definition; null in rows of earlier versions",
            ),
        ]
    ),
    volatile=("computed_at", "predictions_version"),
)

SPLITS = Table(
    "splits",
    "Split of each source group; assigned once and never changed",
    ("source_group",),
    pa.schema(
        [
            _column("source_group", pa.string(), "as in videos", null=False),
            _column("split", pa.string(), "train, validation or test", null=False),
            _column(
                "split_by",
                pa.string(),
                "how it was assigned: by original, by chunk, or as given by the source",
                null=False,
            ),
            _column("assigned_at", _TIME, "when it was assigned (UTC)", null=False),
        ]
    ),
    volatile=("assigned_at",),
)

TASKS = Table(
    "tasks",
    "Each task of extract, train and score: machine, device, duration and work done",
    ("run_id", "job", "wave", "task", "attempt"),
    pa.schema(
        [
            _column("run_id", pa.string(), "as in runs", null=False),
            _column("job", pa.string(), "extract, train or score", null=False),
            _column("wave", pa.int32(), "wave of extract, or start of the workers of train, from 0", null=False),
            _column("task", pa.int32(), "number of the partition, from 0", null=False),
            _column("attempt", pa.int32(), "attempt of Spark at the task, from 0", null=False),
            _column("host", pa.string(), "name of the machine", null=False),
            _column(
                "executor", pa.int64(), "process id of the daemon from which the executor forks its Python workers"
            ),
            _column("worker", pa.int64(), "process id of the Python worker"),
            _column("gpu", pa.string(), "address of the GPU that Spark assigned; null: none"),
            _column("device", pa.string(), "TensorFlow's name of the device that was used", null=False),
            _column("note", pa.string(), "why no GPU was used"),
            _column("started_at", _TIME, "when it started (UTC)", null=False),
            _column("seconds", pa.float64(), "wall-clock seconds", null=False),
            _column("cpu_seconds", pa.float64(), "CPU seconds of the Python worker", null=False),
            _column("peak_bytes", pa.int64(), "peak resident memory of the worker since it started, bytes"),
            _column("videos", pa.int64(), "videos extracted, or whose faces were scored; 0 for train", null=False),
            _column("faces", pa.int64(), "faces found, trained on or scored", null=False),
            _column("bytes_read", pa.int64(), "bytes of videos read from storage; extract only"),
            _column("requests", pa.int64(), "storage requests; extract only"),
            _column(
                "retries",
                pa.int64(),
                "retries of storage requests made by Python; those of the JVM (S3A) are not counted",
            ),
            _column("decode_seconds", pa.float64(), "CPU seconds of demuxing and decoding; extract only"),
            _column("detect_seconds", pa.float64(), "CPU seconds of detection and cropping; extract only"),
            _column(
                "loaded", pa.bool_(), "whether the task loaded the model, instead of reusing the worker's; score only"
            ),
        ]
    ),
)

TABLES: dict[str, Table] = {
    table.name: table
    for table in (CHUNKS, VIDEOS, EXTRACTIONS, FRAMES, FACES, MODELS, PREDICTIONS, VERDICTS, METRICS, SPLITS, TASKS)
}
"""Tables in ``<tables.root>/<name>``, by name.  Training sets are in ``training_sets/<set_id>``."""
