"""What extract makes of the videos: the ledger, frames and faces."""

import pyarrow as pa

from dflib.tables.schemas.table import TEXTS, TIME, Table, column

EXTRACTIONS = Table(
    "extractions",
    "Extraction ledger: one row per video and extractor, written after its frames and faces",
    ("video_id", "extractor"),
    pa.schema(
        [
            column("video_id", pa.string(), "as in videos", null=False),
            column("extractor", pa.string(), "short name, and hash of every setting that changes the rows", null=False),
            column("fingerprint", pa.string(), "version of the bytes that were read, as in videos"),
            column("outcome", pa.string(), "DONE or FAILED", null=False),
            column(
                "reason", pa.string(), "upper-case code of the failure, or of a defect despite which rows were written"
            ),
            column("detail", pa.string(), "the reason in words"),
            column("attempts", pa.int32(), "attempts at extracting these bytes", null=False),
            column("width", pa.int32(), "pixels, as displayed: upright, with square pixels"),
            column("height", pa.int32(), "pixels, as displayed"),
            column("rotation", pa.int32(), "degrees clockwise by which stored frames are turned for display"),
            column("fps", pa.float64(), "average frames per second"),
            column("duration", pa.float64(), "seconds"),
            column("video_frames", pa.int64(), "frames that the video shows"),
            column("frames_wanted", pa.int32(), "frames chosen by the sampling"),
            column("frames", pa.int32(), "rows in frames", null=False),
            column("faces", pa.int32(), "rows in faces", null=False),
            column("bytes_read", pa.int64(), "bytes read from storage", null=False),
            column("requests", pa.int64(), "storage requests", null=False),
            column("decode_seconds", pa.float64(), "CPU seconds of demuxing and decoding"),
            column(
                "detect_seconds",
                pa.float64(),
                "CPU seconds of detection and cropping; null: not known for a task of several cores",
            ),
            column("run_id", pa.string(), "run that wrote the row", null=False),
            column("extracted_at", TIME, "when the row was written (UTC)", null=False),
            column(
                "sha256", pa.string(), "SHA-256 of the video's bytes; null: they were not read, or by an older version"
            ),
            column("decoder", pa.string(), "library and version that decoded it; null in rows of older versions"),
            column("mirrored", pa.bool_(), "whether stored frames are mirrored before they are turned for display"),
            column(
                "transfer",
                pa.string(),
                "transfer characteristics as FFmpeg names them; smpte2084 (PQ) and arib-std-b67 (HLG) were mapped to "
                "BT.709; null: not stated",
            ),
            column("matrix", pa.string(), "matrix coefficients as FFmpeg names them; null: not stated"),
            column(
                "marks",
                TEXTS,
                "peculiarities that do not cost frames, each as CODE: text; null in rows of older versions",
            ),
            column("retry_at", TIME, "when retry asked for another attempt (UTC); null: it did not, or it was made"),
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
            column("video_id", pa.string(), "as in videos", null=False),
            column("extractor", pa.string(), "as in extractions", null=False),
            column("frame_index", pa.int32(), "position in presentation order, from 0", null=False),
            column(
                "wanted_time", pa.float64(), "presentation time chosen by the sampling, seconds from the first frame"
            ),
            column("time", pa.float64(), "presentation time of the decoded frame, seconds from the first frame"),
            column("width", pa.int32(), "pixels, as displayed: upright, with square pixels"),
            column("height", pa.int32(), "pixels, as displayed"),
            column("scale", pa.float64(), "factor by which the frame was resized for the first detection"),
            column("faces", pa.int32(), "rows in faces", null=False),
            column("image", pa.binary(), "the frame as JPEG; null unless crops.keep_frames was set"),
        ]
    ),
)


FACES = Table(
    "faces",
    "One row per detected face, with a wide crop at native size",
    ("face_id",),
    pa.schema(
        [
            column("face_id", pa.string(), "video_id, extractor, frame_index and face_index, joined", null=False),
            column("video_id", pa.string(), "as in videos", null=False),
            column("extractor", pa.string(), "as in extractions", null=False),
            column("frame_index", pa.int32(), "as in frames", null=False),
            column("face_index", pa.int32(), "number in the frame, from 0, most confident first", null=False),
            column("time", pa.float64(), "presentation time of the frame, seconds from the first frame"),
            column("track", pa.int32(), "track in the video, from 0"),
            column("static", pa.bool_(), "the track never moves while another one does (a portrait on a wall)"),
            column("short", pa.bool_(), "the track has fewer than faces.min_track_length faces"),
            column("box_x", pa.float64(), "left edge of the box, frame pixels; null: a ready-cut crop"),
            column("box_y", pa.float64(), "top edge of the box, frame pixels"),
            column("box_w", pa.float64(), "width of the box, frame pixels"),
            column("box_h", pa.float64(), "height of the box, frame pixels"),
            column(
                "landmarks",
                pa.list_(pa.float64()),
                "x, y of left eye, right eye, nose, left and right mouth corner, as seen in the image, frame pixels",
            ),
            column("confidence", pa.float64(), "confidence of the detector, 0 to 1"),
            column(
                "crop_x",
                pa.float64(),
                "left edge of the crop, frame pixels; x in the crop is (x in the frame - crop_x) * crop_scale",
            ),
            column("crop_y", pa.float64(), "top edge of the crop, frame pixels"),
            column("crop_scale", pa.float64(), "crop pixels per frame pixel"),
            column("crop_w", pa.int32(), "width of the crop, crop pixels"),
            column("crop_h", pa.int32(), "height of the crop, crop pixels"),
            column("format", pa.string(), "encoding of image: jpeg or png", null=False),
            column("image", pa.binary(), "the crop, encoded", null=False),
            column(
                "sharpness",
                pa.float64(),
                "variance of the Laplacian of the grey face box at 128x128 pixels; low when blurred",
            ),
            column("brightness", pa.float64(), "mean grey level of the face box, 0 to 255"),
            column("frontal", pa.float64(), "1: frontal, 0: turned by 45 degrees or more; null: no landmarks"),
            column(
                "roll", pa.float64(), "clockwise rotation of the line through the eyes, degrees; null: no landmarks"
            ),
        ]
    ),
    former={"sharpness": "blur"},
    constraints={
        "confidence_is_a_probability": "confidence IS NULL OR (confidence >= 0 AND confidence <= 1)",
    },
)
