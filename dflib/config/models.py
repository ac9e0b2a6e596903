"""Sections about models: where they are, training, import and aliases."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from dflib.config.faces import Quality, View
from dflib.config.places import LocationConfig
from dflib.config.section import Fraction, Positive, Section, Seed, Uri
from dflib.parts import catalog


class ModelsConfig(LocationConfig):
    """Where models are."""

    mlflow: str | None
    """URI of an MLflow tracking server, to which models and aliases are copied; null: none.  Needs the extra
    ``mlflow``.  ``file://`` of a folder works with MLFLOW_ALLOW_FILE_STORE=true.
    Example: ``http://mlflow.example:5000``."""


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
