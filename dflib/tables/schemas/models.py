"""Splits and training sets, models and their aliases."""

import pyarrow as pa

from dflib.tables.schemas.table import TIME, Table, column

SPLITS = Table(
    "splits",
    "Split of each source group; assigned once and never changed",
    ("source_group",),
    pa.schema(
        [
            column("source_group", pa.string(), "as in videos", null=False),
            column("split", pa.string(), "train, validation or test", null=False),
            column(
                "split_by",
                pa.string(),
                "how it was assigned: by original, by chunk, or as given by the source",
                null=False,
            ),
            column("assigned_at", TIME, "when it was assigned (UTC)", null=False),
        ]
    ),
    volatile=("assigned_at",),
    constraints={
        "split_is_known": "split IN ('train', 'validation', 'test')",
    },
)


TRAINING_SET = Table(
    "training_set",
    "One training set, as Petastorm reads it; never changed after it was written",
    ("face_id",),
    pa.schema(
        [
            column("face_id", pa.string(), "as in faces", null=False),
            column("video_id", pa.string(), "as in faces", null=False),
            column("source_group", pa.string(), "as in videos", null=False),
            column("split", pa.string(), "train, validation or test", null=False),
            column("label", pa.int32(), "1: fake, 0: real", null=False),
            column("weight", pa.float32(), "weight of the sample in the loss", null=False),
            column("image", pa.binary(), "the wide crop, encoded", null=False),
            column("box", pa.list_(pa.float64()), "x, y, w, h in crop pixels; NaN for a ready-cut crop", null=False),
            column(
                "landmarks",
                pa.list_(pa.float64()),
                "x, y of the five landmarks as in faces, crop pixels; NaN: unknown",
                null=False,
            ),
        ]
    ),
    constraints={
        "label_is_0_or_1": "label IN (0, 1)",
    },
)


MODELS = Table(
    "models",
    "One row per model that can score",
    ("model_id",),
    pa.schema(
        [
            column("model_id", pa.string(), "name of the model: chosen, or network and hash", null=False),
            column("network", pa.string(), "architecture", null=False),
            column(
                "uri",
                pa.string(),
                "folder of the SavedModel, which takes uint8 RGB images of the view and returns p_fake",
                null=False,
            ),
            column("sha256", pa.string(), "SHA-256 of the SavedModel's files with their paths", null=False),
            column(
                "imported_sha256",
                pa.string(),
                "SHA-256 of the imported weights file; null for trained models and in rows of earlier versions",
            ),
            column(
                "variables_sha256",
                pa.string(),
                "SHA-256 of the weights by their place in the network, equal for equal models; null in rows of earlier "
                "versions",
            ),
            column("flavour", pa.string(), "framework and version that wrote it", null=False),
            column("view", pa.string(), "how its input is cut from a face, JSON", null=False),
            column("origin", pa.string(), "trained, or the URI of the imported weights", null=False),
            column("positive", pa.string(), "class for which the network's own output is 1: real or fake", null=False),
            column("extractor", pa.string(), "extractor of the faces that it was trained on"),
            column("training_set", pa.string(), "set_id of its training set"),
            column("settings", pa.string(), "settings of its training, JSON"),
            column("metrics", pa.map_(pa.string(), pa.float64()), "metrics of its training, by name"),
            column("created_at", TIME, "when it was registered (UTC)", null=False),
        ]
    ),
    volatile=("created_at",),
)


ALIASES = Table(
    "aliases",
    "Names that stand for models, such as champion; the newest row of an alias counts, earlier ones are its history",
    ("alias", "since"),
    pa.schema(
        [
            column("alias", pa.string(), "the name", null=False),
            column("since", TIME, "when it was set to the model (UTC)", null=False),
            column("model_id", pa.string(), "as in models", null=False),
            column("set_by", pa.string(), "who set it: user and machine, or the run that registered the first model"),
            column("reason", pa.string(), "why"),
        ]
    ),
)
