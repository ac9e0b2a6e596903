"""The configuration's sections: every key, its kind, its limits and its meaning.

How files and the command line become one of these: :mod:`dflib.config.load`.  Every section is a frozen model.
"""

import hashlib
import json
from datetime import UTC, date, datetime
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from dflib.parts import catalog
from dflib.uris import to_uri


def _split_list(value: object) -> object:
    """One string is a comma-separated list, so that ``--set sources.chunks=a,b`` needs no brackets; none is empty."""
    if value is None:
        return ()
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


Uri = Annotated[str, AfterValidator(to_uri)]
Uris = Annotated[tuple[Uri, ...], BeforeValidator(_split_list)]
Names = Annotated[tuple[str, ...], BeforeValidator(_split_list)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[int, Field(gt=0)]
Seed = Annotated[int, Field(ge=0, lt=2**31 - 1)]
"""NumPy takes no seed below 0, and TensorFlow takes seeds modulo 2^31 - 1."""


def _read_since(value: object) -> object:
    """A day stands for its midnight, and a time without a zone is UTC."""
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day)
    return value.replace(tzinfo=UTC) if isinstance(value, datetime) and value.tzinfo is None else value


Since = Annotated[datetime | None, BeforeValidator(_read_since)]


def _check_layout(text: str) -> str:
    return text if text == "auto" else catalog.LAYOUTS.check(text)


class Section(BaseModel):
    """A frozen part of the configuration that refuses unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class SourcesConfig(Section):
    """What ``ingest`` reads: archives and folders of videos, and folders of ready-cut face crops."""

    dataset: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]+$")]
    """Name of the data set, the first part of each ``video_id``: letters, digits, dots, hyphens and underscores.
    It cannot be changed for chunks that were ingested.  Example: ``dfdc``."""
    chunks: Uris
    """URIs or globs, separated by commas, of chunk zips, folders of zips and folders of videos.
    Example: ``s3://bucket/dfdc_train_part_*.zip,/data/clips``."""
    layout: Annotated[str, AfterValidator(_check_layout)]
    """Layout of the data set, which gives identifiers, labels and source groups: a layout of the catalog, or ``auto``.
    ``auto`` takes, for each video, the first layout that recognises its path, and none if no layout does.  With a
    named layout, videos that do not follow it have the problem ``NOT_IN_LAYOUT``.  A change is applied when ``ingest``
    runs again.  Example: ``faceforensics``."""
    crops: Uris
    """URIs or globs, separated by commas, of folders of ready-cut crops (JPEG or PNG), each with sub-folders for real
    and fake.  Example: ``/data/face_crops``."""
    crop_pattern: str
    """File name of a ready-cut crop without its ending: literal text, ``<video>``, ``<original>``, ``<frame>``,
    ``<face>`` or ``<k>`` (a running number, used as frame), and ``[...]`` around an optional part.
    Example: ``<video>[_<original>]_<k>``."""
    crop_real: Names
    """Names of the sub-folders with real crops, separated by commas, compared without case.
    Example: ``real,genuine``."""
    crop_fake: Names
    """Names of the sub-folders with fake crops, separated by commas, compared without case.
    Example: ``fake,df``."""
    labels: Uri | None
    """URI of a CSV with the columns ``video``, ``label`` and optionally ``original``, which labels videos in folders;
    null: ``labels.csv`` in the folder, if there is one.  Its labels take precedence over a layout's.
    Example: ``s3://bucket/labels.csv``."""


class S3Config(Section):
    """Access to s3://. Credentials come from the default AWS chain, never from here."""

    endpoint: Annotated[str, Field(pattern=r"^https?://[^/@?#\s]+/?$")] | None
    """``http(s)://host[:port]``; null: AWS."""
    region: str | None
    """null: the region of the AWS variables or profile."""
    path_style: bool
    """Whether the bucket is in the path instead of the host name, as most servers other than AWS require."""


class TablesConfig(Section):
    """Where the tables are, and the metastore that holds their names."""

    root: Uri
    """Folder of the Delta tables, each in ``<root>/<table>``."""
    database: Annotated[str, Field(pattern=r"^[A-Za-z0-9_]+$")]
    """Database of the metastore in which the tables are registered; a second ``root`` needs another."""
    metastore: Literal["embedded", "postgres", "external", "none"]
    """embedded: Derby below ``root``, for one session at a time; postgres: ``metastore_at``, for a team; external: set
    in the Spark properties (conf/spark/metastores.conf); none: no names are registered."""
    metastore_at: (
        Annotated[
            str, Field(pattern=r"^[A-Za-z0-9_.-]+@[A-Za-z0-9_.-]+(:\d{1,5})?/[A-Za-z0-9_-]+(\?[A-Za-z0-9_=&/.-]+)?$")
        ]
        | None
    )
    """postgres: user@host:port/database, and options of the JDBC driver after a question mark (``?sslmode=require``).
    The password is in the variable DFLIB_METASTORE_PASSWORD, never here."""

    @model_validator(mode="after")
    def _agrees(self) -> "TablesConfig":
        if self.metastore == "postgres" and self.metastore_at is None:
            raise ValueError("metastore=postgres needs metastore_at=user@host:port/database")
        if "password" in (self.metastore_at or "").partition("?")[2].lower():
            raise ValueError("no password in metastore_at; put it into the variable DFLIB_METASTORE_PASSWORD")
        return self


class SqlConfig(Section):
    """The address of ``dflib thrift``. It asks for no password: whoever reaches it has all rights of its user."""

    host: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.:-]+$")]
    """Address to listen on; 127.0.0.1: this machine only."""
    port: Annotated[int, Field(ge=1, le=65535)]
    """Port to listen on."""


class MonitoringConfig(Section):
    """What a running job exposes, and leaves for ``dflib history``."""

    event_log: Uri | None
    """Folder of Spark's event logs; null: none are written."""
    ui_port: Annotated[int, Field(ge=1, le=65535)] | None
    """Port of Spark's web page, with ``/metrics/prometheus`` and ``/metrics/executors/prometheus``; null: no page."""


class ClusterConfig(Section):
    """Devices of tasks."""

    gpu: Literal["auto", "required", "off"]
    """auto: a GPU where a task has one, otherwise the CPU; required: a task without one fails; off: the CPU."""
    tasks_per_gpu: Positive
    """Tasks of extract and score that share one GPU."""
    gpu_memory_mib: Positive | None
    """GPU memory that one task may use, MiB; null: no limit, for one task a GPU only."""

    @model_validator(mode="after")
    def _agrees(self) -> "ClusterConfig":
        if self.tasks_per_gpu > 1 and self.gpu_memory_mib is None:
            raise ValueError(
                f"tasks_per_gpu={self.tasks_per_gpu} tasks share a GPU's memory; set gpu_memory_mib to the MiB "
                "that each may use"
            )
        return self


class LocationConfig(Section):
    """Where the files of a kind are."""

    root: Uri
    """Folder of the files, on storage that all machines reach."""


class ModelsConfig(LocationConfig):
    """Where models are."""

    mlflow: str | None
    """URI of an MLflow tracking server, to which models and aliases are copied; null: none.  Needs the extra
    ``mlflow``.  ``file://`` of a folder works with MLFLOW_ALLOW_FILE_STORE=true.
    Example: ``http://mlflow.example:5000``."""


class SplitsConfig(Section):
    """How source groups (an original with its fakes) are assigned to train, validation and test.

    A group keeps the split that it was assigned first, also after these settings change.
    """

    by: Literal["auto", "original", "chunk", "given"]
    """original: each group on its own; chunk: all groups of a chunk together; given: as the source's metadata state;
    auto: chunk when there are at least ``min_chunks`` chunks, otherwise original."""
    min_chunks: Positive
    """Number of chunks from which ``auto`` splits by chunk."""
    validation: Fraction
    """Fraction of the groups for validation; must be above 0 for training."""
    test: Fraction
    """Fraction of the groups for test; the remainder after validation and test is train."""
    seed: int
    """Seed of the assignment."""


class SamplingConfig(Section):
    """Which frames of a video extract takes."""

    frames: Annotated[str, AfterValidator(catalog.SAMPLINGS.check)]
    """Name of the sampling and its argument, such as ``even:20``."""
    max_offset: Annotated[float, Field(ge=0)]
    """Seconds by which a decoded frame may differ from the requested one; larger values allow the decoder to skip more
    frames. 0: exactly the requested frames."""


class FacesConfig(Section):
    """How faces are detected in the sampled frames, joined to tracks, and kept."""

    detector: Annotated[str, AfterValidator(catalog.DETECTORS.check)]
    """Name of the face detector."""
    threshold: Fraction
    """Confidence (0 to 1) above which a face is kept."""
    lone_threshold: Fraction
    """Confidence above which a face is kept if it is the only one of its frame above this value."""
    track_threshold: Fraction
    """Confidence above which a face is kept if its track has a face above ``threshold``."""
    resize: Literal["by_side", "by_width", "none"]
    """Scale of the frame before detection, by its longer side (by_side) or its width (by_width): below 300 px ×2, up to
    1000 px ×1, up to 1900 px ×½, above ×⅓. none: native size."""
    search: Annotated[str, Field(pattern=r"^(every|follow:([2-9]|[1-9]\d+))$")]
    """every: each sampled frame is searched. follow:K: every Kth sampled frame is searched, and faces are followed in
    between; detectors that cannot follow faces search each frame."""
    second_look: bool
    """Whether frames without a face above ``threshold`` are searched again: brightened if they are dark, and at twice
    the size if ``resize`` reduced them."""
    track_iou: Fraction
    """Minimum intersection over union of consecutive boxes of a track, each box enlarged to twice its sides."""
    min_track_length: Positive
    """Number of detections below which a track is marked short, if at least five times as many frames were sampled."""
    track_gap: Annotated[int, Field(ge=0)]
    """Number of consecutive sampled frames that a track may miss."""
    static_shift: Annotated[float, Field(ge=0)]
    """Distance, as a fraction of the box's side, within which the centre of a static track stays; a track is marked
    static only if another one of the video moves more."""


class CropsConfig(Section):
    """How the crops of faces are stored."""

    margin: Annotated[float, Field(ge=0, le=2)]
    """Margin on all sides of the face box, as a fraction of its longer side."""
    max_side: Positive
    """Longer side of a crop in pixels above which it is scaled down to it; smaller crops keep their native size."""
    jpeg_quality: Annotated[int, Field(ge=1, le=100)]
    """JPEG quality (1 to 100) of crops, and of frames with ``keep_frames``."""
    keep_frames: bool
    """Whether the sampled frames are also stored, as JPEG in the table ``frames``."""


class ExtractConfig(Section):
    """How extract splits its work, and its limits."""

    wave_videos: Positive
    """Number of videos committed together; a killed run loses at most one wave."""
    task_bytes: Positive
    """Target size of a task, in bytes of video."""
    max_attempts: Positive
    """Number of attempts, over several runs, to read a video for which storage fails."""
    max_video_bytes: Positive
    """Size in bytes above which a video fails with TOO_LARGE."""
    max_pixels: Positive
    """Width times height of a frame above which a video fails with TOO_LARGE."""
    batch_bytes: Positive
    """Size in bytes from which a task passes an Arrow batch on to Spark."""
    since: Since
    """Only videos whose row in ``videos`` was written since then, a date or time (UTC); null: all."""


class View(Section):
    """What a model sees of a face; :func:`dflib.models.view.cut` implements it."""

    size: Positive
    """Side of the square input in pixels."""
    margin: Annotated[float, Field(ge=0, le=2)]
    """Margin on each side of the box, as a fraction of the box's width and height; ready-cut crops are taken whole.
    With ``align``, fraction by which the aligned square is enlarged in total."""
    square: bool
    """Whether the region is a square around the box; if not, it is stretched to the input."""
    interpolation: Literal["nearest", "linear", "area", "cubic"]
    """Interpolation of OpenCV when the region is resized; ``area`` averages."""
    blank_face: bool
    """A control: the face is filled with grey, so that only its surroundings are visible."""

    # Later keys have a default and are left out of the JSON while they have it: rows of older models stay valid, and
    # so do identifiers that are hashes of settings.
    align: Literal["none", "landmarks"] = "none"
    """landmarks: the region is a square around the nose, rotated so that the eyes are level, instead of the box."""
    padding: Literal["edge", "reflect"] = "edge"
    """What fills a square outside the image: its edge pixels, or the image mirrored at its edge."""
    mark_landmarks: bool = False
    """An ablation: draws the five landmarks and the box on the image that the model sees."""
    transforms: Annotated[
        tuple[Annotated[str, AfterValidator(catalog.TRANSFORMS.check)], ...], BeforeValidator(_split_list)
    ] = ()
    """Transforms of the catalog with their arguments, applied in this order after cutting and resizing."""

    @property
    def needs_landmarks(self) -> bool:
        """Whether only faces with landmarks can be cut."""
        return self.align == "landmarks" or self.mark_landmarks

    @model_validator(mode="after")
    def _agrees(self) -> "View":
        if self.align != "none" and not self.square:
            raise ValueError(f"align={self.align} cuts a square; set square=true or align=none")
        if self.align != "none" and self.blank_face:
            raise ValueError(f"align={self.align} leaves too few surroundings for blank_face; set one of them off")
        if self.padding != "edge" and not self.square:
            raise ValueError(f"padding={self.padding} has no effect on a clipped view; set square=true or padding=edge")
        if self.mark_landmarks and self.blank_face:
            raise ValueError("mark_landmarks draws what blank_face hides; set one of them to false")
        return self

    @model_serializer(mode="wrap")
    def _without_defaults(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # Compared as attributes: in JSON a tuple is a list.
        fields = type(self).model_fields
        return {name: value for name, value in dump(self).items() if getattr(self, name) != fields[name].default}


class Quality(Section):
    """Which faces are good enough to be used; :func:`dflib.tables.quality.usable` implements it.

    0 turns a limit off (255 for ``max_brightness``). A face whose value is unknown passes.
    """

    min_size: Annotated[float, Field(ge=0)]
    """Smallest length of the box's shorter side, in pixels of the frame."""
    min_sharpness: Annotated[float, Field(ge=0)]
    """Smallest ``faces.sharpness``, the variance of the Laplacian; blurred faces have a low one."""
    min_brightness: Annotated[float, Field(ge=0, le=255)]
    """Smallest ``faces.brightness``, the mean grey level."""
    max_brightness: Annotated[float, Field(ge=0, le=255)]
    """Largest ``faces.brightness``; 255: no limit."""
    min_frontal: Fraction
    """Smallest ``faces.frontal``: 1 faces the camera, 0 is turned away by about 45 degrees or more."""
    drop_short: bool
    """Whether faces on tracks marked short are left out."""

    @model_validator(mode="after")
    def _agrees(self) -> "Quality":
        if self.min_brightness > self.max_brightness:
            raise ValueError(
                f"min_brightness={self.min_brightness:g} is above max_brightness={self.max_brightness:g}, "
                "which leaves no face"
            )
        return self


class AugmentConfig(Section):
    """Random augmentation of the train split, as one affine transform for each image. Deviations are uniformly
    distributed; 0 turns one off."""

    rotation: Annotated[float, Field(ge=0, le=180)]
    """Largest rotation in either direction, degrees."""
    width_shift: Fraction
    """Largest horizontal shift in either direction, as a share of the image's side."""
    height_shift: Fraction
    """Largest vertical shift in either direction, as a share of the image's side."""
    shear: Annotated[float, Field(ge=0, le=90)]
    """Largest shear angle in either direction, degrees."""
    zoom: Fraction
    """Largest deviation of the zoom factor from 1, for width and height separately."""
    horizontal_flip: bool
    """Whether half of the images are mirrored left to right."""


def _refuse_download(value: object) -> object:
    """``weights="imagenet"`` makes Keras download weights; jobs never download anything."""
    if value == "imagenet":
        raise ValueError(
            "jobs download nothing; download the backbone's HDF5 weights before (such as efficientnetb0_notop.h5 of "
            "Keras Applications) and set their path or URI"
        )
    return value


class TrainConfig(Section):
    """Training of a network on labelled faces."""

    name: str | None
    """Identifier of the model (``model_id``); null: the network's name and a hash of everything that determines the
    result."""
    network: Annotated[str, AfterValidator(catalog.NETWORKS.check)]
    """Network to train; ``dflib parts`` lists them."""
    backbone: Annotated[Uri | None, BeforeValidator(_refuse_download)]
    """Path or URI of an HDF5 file with weights for the network's backbone; null: random initialisation. A relative path
    is relative to the folder in which the job is submitted."""
    extractor: str | None
    """Identifier of the extraction whose faces are used; null: the only one with faces, or else the configured one."""
    view: View
    """What the network sees of a face."""
    quality: Quality
    """Which faces are good enough to train on."""
    balance: Literal["none", "consecutive", "random", "weights"]
    """How the classes of the train split are balanced. none: all faces, as they are; consecutive: as many fake faces as
    real ones, the first by name; random: as many fake faces as real ones, drawn at random; weights: all faces, the loss
    weighted so that both classes count the same."""
    augment: AugmentConfig
    """Random augmentation of the train split."""
    learning_rate: Annotated[float, Field(gt=0)]
    """Learning rate of the Adam optimizer."""
    loss: Annotated[str, AfterValidator(catalog.LOSSES.check)]
    """Loss function; ``dflib parts`` lists them."""
    batch_size: Positive
    """Faces in a global batch, over all GPUs of all workers."""
    accumulate: Positive
    """Micro-batches into which each batch is divided for a GPU without enough memory for the whole; 1: none. The
    gradients are those of the whole batch; batch normalisation sees one micro-batch at a time."""
    precision: Literal["float32", "mixed_float16", "mixed_bfloat16"]
    """Keras policy of mixed precision; weights are float32 in all of them. mixed_float16 needs a GPU of the Volta
    generation or later, mixed_bfloat16 one of the Ampere generation or later."""
    workers: Positive
    """Processes that train together, each in a task of Spark; 1: a single process on the driver's machine, which uses
    all of its GPUs."""
    max_restarts: Annotated[int, Field(ge=0)]
    """How often a training on several workers is restarted from its last checkpoint after the loss of a worker."""
    checkpoint_steps: Annotated[int, Field(ge=0)]
    """Steps between checkpoints within an epoch; 0: a checkpoint only at the end of each epoch."""
    epochs: Positive
    """Maximum number of epochs."""
    patience: Positive
    """Epochs without improvement of ``monitor`` after which training stops early."""
    monitor: Literal["val_loss", "val_accuracy"]
    """Figure of the validation split that decides which epoch's weights are kept."""
    max_faces_per_video: Annotated[int, Field(ge=0)]
    """Maximum number of faces of one video, drawn at random; 0: no limit."""
    shuffle_labels: bool
    """A control: permutes the labels among the videos of each split, so that nothing that generalises can be learnt."""
    cache_bytes: Annotated[int, Field(ge=0)]
    """Memory limit, bytes: a split whose images (as the network sees them) need no more stays in memory after the first
    epoch. It holds for each split and worker separately."""
    seed: Seed
    """Seed of everything random: choice of faces, shuffling, augmentation, initial weights and dropout."""


class WeightsConfig(Section):
    """The weights file that import_model reads, and the model that it becomes."""

    path: Uri | None
    """URI of the weights file; import_model requires it."""
    format: Annotated[str, AfterValidator(catalog.MODEL_FORMATS.check)]
    """Format of the file: a model format of the catalog."""
    network: Annotated[str, AfterValidator(catalog.NETWORKS.check)]
    """The network that the weights belong to: a network of the catalog."""
    name: str | None
    """model_id of the new model; import_model requires it."""
    positive: Literal["real", "fake"] | None
    """The class whose probability the network returns. There is no default, since a wrong one inverts every score."""
    view: View
    """What the model sees of a face."""


class PromoteConfig(Section):
    """What ``promote`` does; set by its arguments."""

    model: str | None
    """model_id, or another alias; promote requires it."""
    alias: str | None
    """The alias that is to stand for the model; promote requires it."""
    reason: str | None
    """Why, for the table ``aliases``."""


class ScoreConfig(Section):
    """Which model scores the faces, and how."""

    model: str
    """model_id, an alias such as ``champion``, or ``aliased`` for all models that have an alias."""
    batch_size: Positive
    """Number of faces that pass through the model at once."""
    since: Since
    """Only faces of videos whose row in ``videos`` was written since then, a date or time (UTC); null: all."""
    extractor: str | None
    """Only faces of this extractor; null: of all."""


def _distinct_rules(rules: tuple[str, ...]) -> tuple[str, ...]:
    """Returns ``rules`` when there is at least one, all are in the catalog, and none is repeated."""
    if not rules:
        raise ValueError(f"no pooling rule; list one or more of {', '.join(catalog.RULES.names)}")
    seen: dict[tuple[str, str], str] = {}
    for rule in rules:
        parsed = catalog.RULES.split(rule)
        if parsed in seen:
            raise ValueError(f"{seen[parsed]!r} and {rule!r} are the same pooling rule; remove one of them")
        seen[parsed] = rule
    return rules


class ReportConfig(Section):
    """How face scores become verdicts, and how the verdicts are measured."""

    model: str
    """Which models are reported: a model_id, an alias, ``aliased``, or ``all`` models with predictions."""
    extractor: str | None
    """Only on faces of this extractor; null: of all."""
    rules: Annotated[Names, AfterValidator(_distinct_rules)]
    """Pooling rules of the catalog with their arguments, such as ``share:0.5``. The first one makes the headline."""
    threshold: Fraction
    """A face or video is FAKE when its score is above this; a score equal to it is REAL."""
    exclude_static: bool
    """Whether faces marked static (portraits on a wall) are left out."""
    quality: Quality
    """Faces below these limits are left out, as if they had not been found."""
    min_faces: Positive
    """A video with fewer usable faces is UNDETERMINED."""
    bootstrap: Annotated[int, Field(ge=100)]
    """Number of resamples of the source groups from which each interval is computed."""
    confidence: Annotated[float, Field(gt=0, lt=1)]
    """Nominal coverage of the intervals."""
    seed: Seed
    """Seed of the resamples."""
    worst: Positive
    """Largest number of misclassified videos shown on the page."""


def _check_checks(checks: tuple[str, ...]) -> tuple[str, ...]:
    for text in checks:
        catalog.CHECKS.check(text)
    return checks


Checks = Annotated[Names, AfterValidator(_check_checks)]


class ChecksConfig(Section):
    """What must be true of the tables: data checks of the catalog with their bounds, such as ``faceless_share:0.5``."""

    fail: Checks
    """Checks that hold new verdicts when they fail."""
    warn: Checks
    """Checks that only ask for attention."""


class NightlyConfig(Section):
    """What a night may do, and when new verdicts of the champion become current."""

    move: Fraction
    """A score that moved by more than this is listed in ``changes``, also when the verdict is the same."""
    max_flips: Annotated[float, Field(ge=0)]
    """Largest number of verdicts that may change, among the videos that have a current one: a share below 1, a number
    from 1 on. If more would change, the new verdicts are held until ``release``."""
    max_videos: Positive | None
    """Videos that one night extracts; the next night goes on. null: all."""
    max_minutes: Annotated[float, Field(gt=0)] | None
    """Minutes after which a night begins no further wave of videos; the next night goes on. null: no limit."""
    summary: Uri | None
    """File for the summary of a night as JSON; null: only in the run record."""


class ReleaseConfig(Section):
    """What ``release`` does; set by its arguments."""

    reason: str | None
    """Why, for the table ``publications``."""


class RetryConfig(Section):
    """Which failed videos ``retry`` lets extract try again; set by its arguments."""

    reason: str | None
    """Reason of the failure, as in ``extractions.reason``; null: any."""
    videos: Names
    """Their video_ids; none: all."""


class ExplainConfig(Section):
    """What ``explain`` shows; set by its arguments."""

    video: str | None
    """video_id; explain requires it."""
    model: str | None
    """model_id or alias; null: the model of the current verdict, or else the champion."""
    extractor: str | None
    """The extractor; null: that of the current verdict, or else the only one that has extracted the video."""
    format: Literal["text", "json", "html"]
    """Format of the output."""
    to: Uri | None
    """File for it; null: the terminal."""
    replay: bool
    """Whether the chain is computed again and compared."""
    bundle: Uri | None
    """File for the chain with its crops, which ``verify`` checks; null: none."""


class ForgetConfig(Section):
    """What ``forget`` removes for good; set by its arguments."""

    videos: Names
    """video_ids; forget requires some."""
    reason: str | None
    """Why, for the table ``forgotten``; forget requires it."""
    with_fakes: bool
    """Whether the fakes that were made from these videos go, too."""


class MaintainConfig(Section):
    """What ``maintain`` keeps."""

    keep_days: Annotated[float, Field(ge=7)]
    """Days for which earlier versions of tables stay readable. A reader that runs for longer than this can lose the
    files that it reads."""
    keep_run_days: Annotated[float, Field(ge=30)]
    """Days for which run records are kept. Those that rows of the tables name are kept for as long as the rows."""


class VerifyConfig(Section):
    """What ``verify`` checks; set by its arguments."""

    bundle: Uri | None
    """A bundle of ``explain``; verify requires it."""
    video: Uri | None
    """The video file that it is about; null: it is not checked."""


class ExportConfig(Section):
    """What is exported, in which format, and where to."""

    table: str
    """Name of a table, ``training_sets/<set_id>``, or ``submission`` for the challenge's submission.csv."""
    version: Annotated[int, Field(ge=0)] | None
    """Version of the table; null: the newest."""
    format: Literal["parquet", "csv"]
    """File format; csv leaves binary columns out and writes lists and maps as JSON."""
    to: Uri | None
    """A folder, or a name that ends in .csv or .parquet; null: ``export`` below ``reports.root``."""
    model: str
    """submission: a model_id or an alias."""
    extractor: str | None
    """submission: the extractor of the faces; null: the only one with verdicts of the model."""
    rule: str | None
    """submission: full name of a pooling rule, or the part before its parenthesis; null: the first of
    ``report.rules``."""


class EstimateConfig(Section):
    """The cluster for which ``estimate`` computes time and cost."""

    cores: Positive
    """Cores of all executors."""
    task_cores: Positive
    """Cores of one task (``spark.task.cpus``)."""
    gpus: Annotated[int, Field(ge=0)]
    """GPUs of all executors."""
    core_hour: Annotated[float, Field(ge=0)] | None
    """Price of one core for one hour, in any unit; null: not counted."""
    gpu_hour: Annotated[float, Field(ge=0)] | None
    """Price of one GPU for one hour, in the same unit; null: not counted."""


class Config(Section):
    """The whole configuration."""

    sources: SourcesConfig
    s3: S3Config
    cluster: ClusterConfig
    tables: TablesConfig
    sql: SqlConfig
    monitoring: MonitoringConfig
    models: ModelsConfig
    reports: LocationConfig
    splits: SplitsConfig
    sampling: SamplingConfig
    faces: FacesConfig
    crops: CropsConfig
    extract: ExtractConfig
    train: TrainConfig
    weights: WeightsConfig
    promote: PromoteConfig
    score: ScoreConfig
    report: ReportConfig
    checks: ChecksConfig
    nightly: NightlyConfig
    release: ReleaseConfig
    retry: RetryConfig
    forget: ForgetConfig
    maintain: MaintainConfig
    explain: ExplainConfig
    verify: VerifyConfig
    export: ExportConfig
    estimate: EstimateConfig

    def recorded(self) -> dict[str, Any]:
        """The configuration as run records hold it: without the ids of videos that are to be forgotten."""
        values = self.model_dump(mode="json")
        values["forget"]["videos"] = ["***"] * len(self.forget.videos)
        return values

    def digest(self) -> str:
        """Hash of the whole configuration, 12 hex digits, for the run record."""
        return digest(self.model_dump())


def digest(value: object) -> str:
    """First 12 hex digits of the SHA-256 of ``value`` as canonical JSON."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]
