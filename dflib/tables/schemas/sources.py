"""What ingest finds: chunks and videos."""

import pyarrow as pa

from dflib.tables.schemas.table import TEXTS, TIME, Table, column

CHUNKS = Table(
    "chunks",
    "Each archive or folder read by ingest, which reads it again only when it has changed",
    ("uri", "etag"),
    pa.schema(
        [
            column("uri", pa.string(), "URI of the archive, folder or file", null=False),
            column("etag", pa.string(), "version of its content, as storage reports it", null=False),
            column("name", pa.string(), "name of the chunk, as in videos.chunk", null=False),
            column("kind", pa.string(), "zip, folder, file (a single video) or crops", null=False),
            column("bytes", pa.int64(), "bytes of the archive, or of the files in the folder"),
            column(
                "members",
                pa.int64(),
                "number of files in it: videos, metadata and labels files, and those that problems count as left out",
            ),
            column("videos", pa.int64(), "rows of videos that come from it"),
            column(
                "problems",
                TEXTS,
                "defects of the chunk itself, and files that were left out by reason and kind, each as CODE: text",
                null=False,
            ),
            column("requests", pa.int64(), "storage requests made to read it"),
            column("bytes_read", pa.int64(), "bytes read from storage"),
            column("ingested_at", TIME, "when it was read (UTC)", null=False),
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
            column(
                "video_id",
                pa.string(),
                "data set and path below its root, without the chunk folder, such as dfdc/abofeumbvv",
                null=False,
            ),
            column("dataset", pa.string(), "name of the data set", null=False),
            column("chunk", pa.string(), "name of the chunk that contains it", null=False),
            column("uri", pa.string(), "URI of the archive or file with its bytes; null: there are none"),
            column("member", pa.string(), "its name inside the archive or folder; null: a file by itself"),
            column("offset", pa.int64(), "first byte of its range in uri; in a zip, that of the local header"),
            column("length", pa.int64(), "bytes of its range; in a zip, up to the next header"),
            column(
                "packing",
                pa.string(),
                "stored or deflated (in a zip), file, or crops (ready-cut crops without a video)",
            ),
            column("crc32", pa.int64(), "CRC-32 of the video's bytes; null: the source has none"),
            column("size", pa.int64(), "bytes of the video"),
            column("fingerprint", pa.string(), "version of the bytes: CRC-32 and size, or etag"),
            column("label", pa.string(), "REAL or FAKE; null: unknown or contradictory"),
            column(
                "original", pa.string(), "video_id of the original of a fake, as the source names it; may not exist"
            ),
            column(
                "source_group",
                pa.string(),
                "the original together with its fakes; a group is in one split as a whole",
                null=False,
            ),
            column("given_split", pa.string(), "split in the metadata of the source"),
            column("manipulation", pa.string(), "manipulation method; null: the layout does not name one"),
            column("compression", pa.string(), "compression level; null: the layout does not name one"),
            column("problems", TEXTS, "defects found by ingest, each as CODE: text", null=False),
            column("ingested_at", TIME, "when the row was written (UTC)", null=False),
        ]
    ),
    volatile=("ingested_at",),
    constraints={
        "label_is_known": "label IS NULL OR label IN ('REAL', 'FAKE')",
    },
)


FORGOTTEN = Table(
    "forgotten",
    "Videos that were removed for good and must not come back, by the hash of their id",
    ("id_hash",),
    pa.schema(
        [
            column("id_hash", pa.string(), "SHA-256 of the video_id, in hexadecimal digits", null=False),
            column("reason", pa.string(), "why, as forget was told", null=False),
            column("forgotten_by", pa.string(), "user and machine that asked for it", null=False),
            column("models", TEXTS, "models that were trained on the video", null=False),
            column("run_id", pa.string(), "run that removed it", null=False),
            column("forgotten_at", TIME, "when (UTC)", null=False),
        ]
    ),
    volatile=("run_id", "forgotten_at", "models", "reason", "forgotten_by"),
)
