"""One Arrow schema a table; the Spark schemas are derived from them.

Every Arrow batch that reaches a table is built through its schema here.  Key columns are NOT NULL,
optional columns are nullable from the start (NOT NULL can't be added later).
"""

from dataclasses import dataclass

import pyarrow as pa
from pyspark.sql.pandas.types import from_arrow_schema
from pyspark.sql.types import StructType


@dataclass(frozen=True)
class Table:
    """A table's name, its Arrow schema, the columns that identify a row, and what it holds."""

    name: str
    comment: str
    key: tuple[str, ...]
    schema: pa.Schema
    volatile: tuple[str, ...] = ()
    """Columns that say when or by which run a row was made: a difference in these alone is no change."""

    def spark_schema(self) -> StructType:
        """The same schema for Spark, nullability included."""
        return from_arrow_schema(self.schema)

    @property
    def comments(self) -> dict[str, str]:
        """What each column holds."""
        return {field.name: (field.metadata or {}).get(b"comment", b"").decode() for field in self.schema}


def _column(name: str, kind: pa.DataType, comment: str, null: bool = True) -> pa.Field:
    return pa.field(name, kind, nullable=null, metadata={"comment": comment})


_TEXTS = pa.list_(pa.string())
_TIME = pa.timestamp("us", tz="UTC")

CHUNKS = Table(
    "chunks",
    "Each archive or folder seen by ingest; what makes ingest incremental",
    ("uri", "etag"),
    pa.schema(
        [
            _column("uri", pa.string(), "the archive or folder", null=False),
            _column("etag", pa.string(), "what changes when its content does", null=False),
            _column("name", pa.string(), "chunk name, as in videos.chunk", null=False),
            _column("kind", pa.string(), "zip, folder or crops", null=False),
            _column("bytes", pa.int64(), "size of the archive, or of the folder's files"),
            _column("members", pa.int64(), "files in it, metadata included"),
            _column("videos", pa.int64(), "rows that it gave to videos"),
            _column("problems", _TEXTS, "CODE: text, of the chunk itself", null=False),
            _column("requests", pa.int64(), "storage requests that reading it took"),
            _column("bytes_read", pa.int64(), "bytes that reading it took"),
            _column("ingested_at", _TIME, "when it was read (UTC)", null=False),
        ]
    ),
    volatile=("ingested_at",),
)

VIDEOS = Table(
    "videos",
    "One row a clip: where its bytes are, its label, its source group",
    ("video_id",),
    pa.schema(
        [
            _column("video_id", pa.string(), "data set, then the path below its root without chunk folder", null=False),
            _column("dataset", pa.string(), "data set", null=False),
            _column("chunk", pa.string(), "name of the chunk that it came in", null=False),
            _column("uri", pa.string(), "archive or file that holds its bytes; null when there are none"),
            _column("member", pa.string(), "name inside the archive or folder"),
            _column("offset", pa.int64(), "first byte of its range in uri (local header, in a zip)"),
            _column("length", pa.int64(), "bytes of that range (up to the next header, in a zip)"),
            _column("packing", pa.string(), "stored, deflated, file, or crops (no video: ready-cut crops)"),
            _column("crc32", pa.int64(), "CRC-32 of the video bytes, where the archive gives it"),
            _column("size", pa.int64(), "bytes of the video itself"),
            _column("fingerprint", pa.string(), "tells a changed file: CRC and size, or etag"),
            _column("label", pa.string(), "REAL, FAKE, or null when unknown or contradictory"),
            _column("original", pa.string(), "video_id of the original that a fake was made from, as named"),
            _column("source_group", pa.string(), "the original with its fakes; never crosses a split", null=False),
            _column("given_split", pa.string(), "split named by the source's own metadata"),
            _column("manipulation", pa.string(), "manipulation method, where the layout says so"),
            _column("compression", pa.string(), "compression level, where the layout says so"),
            _column("problems", _TEXTS, "CODE: text, one a defect found by ingest", null=False),
            _column("ingested_at", _TIME, "when the row was made (UTC)", null=False),
        ]
    ),
    volatile=("ingested_at",),
)

EXTRACTIONS = Table(
    "extractions",
    "The ledger of extract, written last: a video with a row here is done for this extractor",
    ("video_id", "extractor"),
    pa.schema(
        [
            _column("video_id", pa.string(), "the clip", null=False),
            _column("extractor", pa.string(), "short name and hash of all settings that change rows", null=False),
            _column("fingerprint", pa.string(), "of the bytes that were read, as in videos"),
            _column("outcome", pa.string(), "DONE or FAILED", null=False),
            _column("reason", pa.string(), "upper-case code of a failure or a defect that left something over"),
            _column("detail", pa.string(), "the same in words"),
            _column("attempts", pa.int32(), "times that extraction was attempted", null=False),
            _column("width", pa.int32(), "as displayed, rotation honoured, pixels"),
            _column("height", pa.int32(), "as displayed, rotation honoured, pixels"),
            _column("rotation", pa.int32(), "degrees by which stored frames are turned for display"),
            _column("fps", pa.float64(), "average frames a second"),
            _column("duration", pa.float64(), "seconds"),
            _column("video_frames", pa.int64(), "frames in the stream, counted from its packets"),
            _column("frames_wanted", pa.int32(), "frames that sampling asked for"),
            _column("frames", pa.int32(), "rows in frames", null=False),
            _column("faces", pa.int32(), "rows in faces", null=False),
            _column("bytes_read", pa.int64(), "bytes read from storage", null=False),
            _column("requests", pa.int64(), "storage requests", null=False),
            _column("decode_seconds", pa.float64(), "CPU seconds of demuxing and decoding"),
            _column(
                "detect_seconds", pa.float64(), "CPU seconds of detecting and cropping; null: a task of several cores"
            ),
            _column("run_id", pa.string(), "the run that made the row", null=False),
            _column("extracted_at", _TIME, "when (UTC)", null=False),
        ]
    ),
    volatile=("run_id", "extracted_at", "decode_seconds", "detect_seconds"),
)

FRAMES = Table(
    "frames",
    "Each sampled frame",
    ("video_id", "extractor", "frame_index"),
    pa.schema(
        [
            _column("video_id", pa.string(), "the clip", null=False),
            _column("extractor", pa.string(), "as in extractions", null=False),
            _column("frame_index", pa.int32(), "place in presentation order, from 0", null=False),
            _column("wanted_time", pa.float64(), "presentation time that sampling asked for, seconds"),
            _column("time", pa.float64(), "presentation time of the frame taken, seconds from the first frame"),
            _column("width", pa.int32(), "as displayed, pixels"),
            _column("height", pa.int32(), "as displayed, pixels"),
            _column("scale", pa.float64(), "the frame was first looked at times this"),
            _column("faces", pa.int32(), "rows in faces", null=False),
            _column("image", pa.binary(), "the frame as JPEG, only when crops.keep_frames is set"),
        ]
    ),
)

FACES = Table(
    "faces",
    "Each face found, with a wide crop at native size",
    ("face_id",),
    pa.schema(
        [
            _column("face_id", pa.string(), "video_id, extractor, frame_index, face_index joined", null=False),
            _column("video_id", pa.string(), "the clip", null=False),
            _column("extractor", pa.string(), "as in extractions", null=False),
            _column("frame_index", pa.int32(), "as in frames", null=False),
            _column("face_index", pa.int32(), "number in the frame, most confident first", null=False),
            _column("time", pa.float64(), "presentation time of the frame, seconds"),
            _column("track", pa.int32(), "number of the track in the video, from 0"),
            _column("static", pa.bool_(), "the track never moves while another does (portrait on a wall)"),
            _column("short", pa.bool_(), "the track has fewer sightings than faces.min_track_length"),
            _column("box_x", pa.float64(), "left of the box, frame pixels; null: a ready-cut crop"),
            _column("box_y", pa.float64(), "top of the box, frame pixels"),
            _column("box_w", pa.float64(), "width of the box, frame pixels"),
            _column("box_h", pa.float64(), "height of the box, frame pixels"),
            _column(
                "landmarks",
                pa.list_(pa.float64()),
                "x, y of left eye, right eye, nose, left and right mouth corner (as seen in the picture), frame pixels",
            ),
            _column("confidence", pa.float64(), "of the detector"),
            _column(
                "crop_x", pa.float64(), "left of the crop in the frame, pixels; crop = (frame - crop_x) * crop_scale"
            ),
            _column("crop_y", pa.float64(), "top of the crop in the frame, pixels"),
            _column("crop_scale", pa.float64(), "crop pixels a frame pixel"),
            _column("crop_w", pa.int32(), "width of the crop, pixels"),
            _column("crop_h", pa.int32(), "height of the crop, pixels"),
            _column("format", pa.string(), "jpeg or png", null=False),
            _column("image", pa.binary(), "the encoded crop", null=False),
            _column("sharpness", pa.float64(), "variance of the Laplacian of the grey face box at 128x128"),
            _column("brightness", pa.float64(), "mean grey level of the face box, 0 to 255"),
            _column("frontal", pa.float64(), "1 from the front, 0 turned by 45 degrees or more; null: no landmarks"),
            _column("roll", pa.float64(), "degrees clockwise by which the eyes are turned; null: no landmarks"),
        ]
    ),
)

TRAINING_SET = Table(
    "training_set",
    "One training set: what Petastorm reads (pinned)",
    ("face_id",),
    pa.schema(
        [
            _column("face_id", pa.string(), "as in faces", null=False),
            _column("video_id", pa.string(), "as in faces", null=False),
            _column("source_group", pa.string(), "as in videos", null=False),
            _column("split", pa.string(), "train, validation or test", null=False),
            _column("label", pa.int32(), "1 fake, 0 real", null=False),
            _column("weight", pa.float32(), "sample weight", null=False),
            _column("image", pa.binary(), "the encoded wide crop", null=False),
            _column("box", pa.list_(pa.float64()), "x, y, w, h in crop pixels; NaN for a ready-cut crop", null=False),
            _column("landmarks", pa.list_(pa.float64()), "ten numbers in crop pixels; NaN when unknown", null=False),
        ]
    ),
)

MODELS = Table(
    "models",
    "Models that can score",
    ("model_id",),
    pa.schema(
        [
            _column("model_id", pa.string(), "name of the model", null=False),
            _column("network", pa.string(), "architecture", null=False),
            _column("uri", pa.string(), "SavedModel folder: uint8 RGB of the view in, p_fake out", null=False),
            _column("sha256", pa.string(), "of the SavedModel's files, paths included", null=False),
            _column("flavour", pa.string(), "framework and version that wrote it", null=False),
            _column("view", pa.string(), "what it sees of a face, JSON", null=False),
            _column("origin", pa.string(), "trained, or the URI of imported weights", null=False),
            _column("positive", pa.string(), "class that the weights themselves call 1: real or fake", null=False),
            _column("extractor", pa.string(), "whose faces it was trained on"),
            _column("training_set", pa.string(), "set_id that it was trained on"),
            _column("settings", pa.string(), "training settings, JSON"),
            _column("metrics", pa.map_(pa.string(), pa.float64()), "of training, by name"),
            _column("created_at", _TIME, "when (UTC)", null=False),
        ]
    ),
    volatile=("created_at",),
)

PREDICTIONS = Table(
    "predictions",
    "One p_fake a face and model",
    ("face_id", "model_id"),
    pa.schema(
        [
            _column("face_id", pa.string(), "as in faces", null=False),
            _column("model_id", pa.string(), "as in models", null=False),
            _column("video_id", pa.string(), "as in faces", null=False),
            _column("extractor", pa.string(), "as in faces", null=False),
            _column("frame_index", pa.int32(), "as in faces", null=False),
            _column("track", pa.int32(), "as in faces"),
            _column("p_fake", pa.float64(), "0 real to 1 fake", null=False),
        ]
    ),
)

VERDICTS = Table(
    "verdicts",
    "One verdict a video, model and rule",
    ("video_id", "extractor", "model_id", "rule"),
    pa.schema(
        [
            _column("video_id", pa.string(), "the clip", null=False),
            _column("extractor", pa.string(), "as in extractions", null=False),
            _column("model_id", pa.string(), "as in models", null=False),
            _column("rule", pa.string(), "pooling rule with its parameters and filters", null=False),
            _column("p_fake", pa.float64(), "pooled score, 0 real to 1 fake; null when UNDETERMINED"),
            _column("verdict", pa.string(), "FAKE, REAL or UNDETERMINED", null=False),
            _column("reason", pa.string(), "why UNDETERMINED"),
            _column("faces_used", pa.int64(), "faces that passed the filters", null=False),
            _column("frames_used", pa.int64(), "frames with such a face", null=False),
            _column("label", pa.string(), "label in videos when the verdict was made"),
            _column("split", pa.string(), "split of the model's training set; null: not in it"),
            _column("judged_at", _TIME, "when (UTC)", null=False),
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
            _column("level", pa.string(), "video or face", null=False),
            _column("slice", pa.string(), "all, or column=value", null=False),
            _column("name", pa.string(), "metric", null=False),
            _column("value", pa.float64(), "null when it is not defined on this slice"),
            _column("low", pa.float64(), "lower end of the interval; null: see interval_reason"),
            _column("high", pa.float64(), "upper end of the interval; null: see interval_reason"),
            _column("count", pa.int64(), "rows that it was computed on", null=False),
            _column("undetermined", pa.int64(), "UNDETERMINED labelled videos of the slice", null=False),
            _column("includes_undetermined", pa.bool_(), "whether those are in the value (as wrong)", null=False),
            _column("input_digest", pa.string(), "hash of the rows that it was computed from", null=False),
            _column("predictions_version", pa.int64(), "version of predictions that was read", null=False),
            _column("computed_at", _TIME, "when (UTC)", null=False),
            _column(
                "interval_reason", pa.string(), "why there is no interval: UNDEFINED, FEW_GROUPS, SPARSE, NO_SPREAD"
            ),
            _column("metric_version", pa.int32(), "version of the metric's meaning; null: computed before it was kept"),
        ]
    ),
    volatile=("computed_at", "predictions_version"),
)

SPLITS = Table(
    "splits",
    "Split of each source group, given once and for ever",
    ("source_group",),
    pa.schema(
        [
            _column("source_group", pa.string(), "as in videos", null=False),
            _column("split", pa.string(), "train, validation or test", null=False),
            _column("split_by", pa.string(), "original, chunk or given", null=False),
            _column("assigned_at", _TIME, "when (UTC)", null=False),
        ]
    ),
    volatile=("assigned_at",),
)

TASKS = Table(
    "tasks",
    "Each task of extract, train and score: where it ran, on what, and what it did",
    ("run_id", "wave", "task", "attempt"),
    pa.schema(
        [
            _column("run_id", pa.string(), "as in runs", null=False),
            _column("job", pa.string(), "extract, train or score", null=False),
            _column("wave", pa.int32(), "wave of extract, or start of train, from 0", null=False),
            _column("task", pa.int32(), "partition, from 0", null=False),
            _column("attempt", pa.int32(), "from 0", null=False),
            _column("host", pa.string(), "machine", null=False),
            _column("executor", pa.int64(), "process on it that the executor forks its Python workers from"),
            _column("worker", pa.int64(), "process of the Python worker"),
            _column("gpu", pa.string(), "address of the GPU that Spark gave; null: none"),
            _column("device", pa.string(), "TensorFlow's name of the device used", null=False),
            _column("note", pa.string(), "why it is not a GPU"),
            _column("started_at", _TIME, "when (UTC)", null=False),
            _column("seconds", pa.float64(), "wall clock", null=False),
            _column("cpu_seconds", pa.float64(), "of the Python worker", null=False),
            _column("peak_bytes", pa.int64(), "largest resident memory of the worker so far"),
            _column("videos", pa.int64(), "videos done, or whose faces were scored; train: 0", null=False),
            _column("faces", pa.int64(), "faces found, trained on or scored", null=False),
            _column("bytes_read", pa.int64(), "extract: bytes of videos read from storage"),
            _column("requests", pa.int64(), "extract: storage requests"),
            _column(
                "retries",
                pa.int64(),
                "tries of storage requests beyond the first; Python's, not those of the JVM (S3A)",
            ),
            _column("decode_seconds", pa.float64(), "extract: CPU seconds of demuxing and decoding"),
            _column("detect_seconds", pa.float64(), "extract: CPU seconds of detecting and cropping"),
            _column("loaded", pa.bool_(), "score: the model was loaded by this task, not kept by its worker"),
        ]
    ),
)

TABLES: dict[str, Table] = {
    table.name: table
    for table in (CHUNKS, VIDEOS, EXTRACTIONS, FRAMES, FACES, MODELS, PREDICTIONS, VERDICTS, METRICS, SPLITS, TASKS)
}
"""The tables that lie at ``<tables.root>/<name>``; training sets lie at ``training_sets/<set_id>``."""
