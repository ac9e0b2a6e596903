"""From tables to a model: select the training set, fit the network, write the training page, register the model.

:func:`check` validates the configuration before Spark starts, :func:`prepare` determines what would be trained, and
:func:`run` trains it.
"""

import hashlib
import json
import logging
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pyspark.sql import functions as F

from dflib import uris
from dflib.config import Config, TrainConfig, digest
from dflib.config.identity import extractor_id, training_settings
from dflib.datasets import splits, training_set
from dflib.datasets.training_set import Selection, TrainingSet
from dflib.errors import ConfigError, ModelError, TrainingError
from dflib.models import networks, registry
from dflib.runtime.progress import Progress
from dflib.storage import Storage
from dflib.tables.schemas import MODELS, VIDEOS
from dflib.tables.store import Tables
from dflib.training import launch, page, workers
from dflib.training.examples import EXAMPLES_FILE
from dflib.training.spec import FitResult, FitSpec

log = logging.getLogger(__name__)

NOT_HASHED = ("name", "extractor", "quality", "backbone", "cache_bytes", "max_restarts", "checkpoint_steps")
"""Settings that do not change the result, or that another part of the identity covers: extractor and quality through
the hash of the training set, the backbone through the hash of its content."""

HASHED_UNLESS_DEFAULT = {"accumulate": 1, "precision": "float32", "workers": 1}
"""Settings added later, with the value that all earlier models had: with that value they are left out of the hash, so
that existing identifiers stay valid."""


HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"


@dataclass(frozen=True)
class TrainingJob:
    """What a training would do.

    Attributes:
        model_id: ``train.name``, or the network and a hash of ``identity``.
        selection: the faces of the training set.
        identity: everything that determines the result: training set, backbone and settings.
        exists: whether this model is registered already.
    """

    model_id: str
    selection: Selection
    identity: dict[str, Any]
    exists: bool


def check(config: Config) -> None:
    """Checks the settings that ``train`` uses; reads neither tables nor storage.

    Raises:
        ConfigError: with the key, the reason and the fix.
    """
    train, shares = config.train, config.splits
    if train.name is not None:
        registry.check_name(train.name, "train.name")
    if not shares.validation or shares.validation + shares.test >= 1:
        raise ConfigError(
            f"splits.validation={shares.validation} and splits.test={shares.test}: validation must be above 0 (early "
            "stopping needs it) and their sum below 1"
        )
    if train.batch_size % (train.workers * train.accumulate):
        raise ConfigError(
            f"train.batch_size={train.batch_size} cannot be divided among train.workers={train.workers} with "
            f"train.accumulate={train.accumulate} micro-batches each; make it a multiple of "
            f"{train.workers * train.accumulate}"
        )
    network = networks.load(train.network)
    if train.view.size < network.smallest_size:
        raise ConfigError(
            f"train.view.size={train.view.size} is too small for {train.network}; set it to {network.smallest_size} "
            "or more"
        )
    if train.backbone is not None and network.backbone is None:
        raise ConfigError(f"train.backbone: {train.network} has no backbone; remove it or set another train.network")


def prepare(tables: Tables, storage: Storage, config: Config, dry_run: bool = False) -> TrainingJob:
    """Reads the backbone, assigns splits to new source groups, selects the training set and names the model.

    Nothing is written before the backbone has been read.

    Args:
        tables: where faces, videos, splits and models are read, and new splits are written.
        storage: reads ``train.backbone``.
        config: sections ``train`` and ``splits``, and those that identify the extractor.
        dry_run: splits are not written.

    Raises:
        TrainingError: there is nothing to train on, or the name belongs to a model with another identity.
        StorageError: ``train.backbone`` cannot be read.
        ModelError: ``train.backbone`` is not an HDF5 file.
    """
    train = config.train
    extractor = training_set.resolve_extractor(tables, train.extractor, extractor_id(config))
    backbone = None if train.backbone is None else _sha256(_read_backbone(storage, train))
    videos = tables.read(VIDEOS)
    of_groups = splits.assign(tables, videos, config.splits, dry_run)
    selection = training_set.select(tables, videos, of_groups, extractor, train)
    identity = {
        "training_set": selection.set_id,
        "backbone_sha256": backbone,
        "train": training_settings(train, NOT_HASHED, HASHED_UNLESS_DEFAULT),
    }
    model_id = train.name or f"{train.network}-{digest(identity)[:8]}"
    exists = _exists(tables, model_id, identity)
    return TrainingJob(model_id, selection, identity, exists)


def run(
    job: TrainingJob, tables: Tables, storage: Storage, config: Config, run_id: str, progress: Progress
) -> FitResult:
    """Writes the training set, fits the network, writes the training page and registers the model, in this order.

    A killed run is resumed by running it again: the training set is kept, the work folder holds the last checkpoint,
    and the model's row, written last, marks the training as done.

    Args:
        job: from :func:`prepare`.
        tables: where the training set and the model's row are written.
        storage: writes the work folder, the SavedModel and the training page.
        config: sections ``train``, ``models``, ``reports`` and ``cluster``.
        run_id: the run that the rows of ``tasks`` belong to.
        progress: counts training steps.

    Raises:
        TrainingError, CountError, ModelError: see :func:`dflib.training.launch.run` and
            :func:`dflib.training.workers.run`.
        TableError: another run is training this model.
    """
    train = config.train
    written = training_set.write(tables, job.selection, train.seed)
    # The identity is in the name, so that another training with the same train.name does not resume this one.
    work = uris.join(config.models.root, "_training", f"{job.model_id}-{digest(job.identity)}")
    with tables.locks.run(f"train-{uris.name(work)}"):
        if _exists(tables, job.model_id, job.identity):
            raise TrainingError(f"{job.model_id} was trained by another run in the meantime; use that model")
        result = _train(job, written, work, tables, storage, config, run_id, progress)
        storage.delete_folder(work)
    return result


def _train(
    job: TrainingJob,
    written: TrainingSet,
    work: str,
    tables: Tables,
    storage: Storage,
    config: Config,
    run_id: str,
    progress: Progress,
) -> FitResult:
    """Everything that needs the work folder."""
    train = config.train
    with launch.work_folder(storage, work) as (folder, remote):
        backbone = None
        if train.backbone is not None:
            backbone = _fetch_backbone(storage, train, job.identity["backbone_sha256"], folder)
        spec = FitSpec(
            train=train.model_dump(),
            files=written.files,
            folder=str(folder),
            remote=remote,
            storage=storage.__getstate__(),
            backbone=backbone,
            gpu_required=config.cluster.gpu == "required",
        )
        if train.workers == 1:
            result = launch.run(spec, progress, {"CUDA_VISIBLE_DEVICES": "-1"} if config.cluster.gpu == "off" else {})
        else:
            result = workers.run(spec, work, tables, storage, config.cluster, run_id, progress)
            if remote is not None:
                storage.download_folder(remote, folder)
        html = page.render(job.model_id, train, job.selection, result, folder / EXAMPLES_FILE)
        storage.write(uris.join(config.reports.root, "training", f"{job.model_id}.html"), html.encode())
        registry.register(
            tables,
            storage,
            config.models.root,
            folder / "saved_model",
            model_id=job.model_id,
            network=train.network,
            view=train.view,
            positive="fake",
            origin="trained",
            extractor=job.selection.extractor,
            training_set=job.selection.set_id,
            settings={"decided_by": job.identity, "history": [asdict(epoch) for epoch in result.history]},
            metrics=_metrics(job.selection, result),
        )
    return result


def _exists(tables: Tables, model_id: str, identity: dict[str, Any]) -> bool:
    """Whether the model is registered.

    Raises:
        TrainingError: it is, with another identity.
    """
    row = tables.read(MODELS).where(F.col("model_id") == model_id).select("settings").first()
    if row is None:
        return False
    registered = json.loads(row["settings"] or "{}").get("decided_by")
    # A round trip through JSON, because the registered one has made it too.
    if registered != json.loads(json.dumps(identity)):
        raise TrainingError(
            f"{tables.uri(MODELS)}: {model_id} exists already and was trained with other settings or on another "
            "training set; a name is never used twice: set another train.name, or none"
        )
    return True


def _read_backbone(storage: Storage, train: TrainConfig) -> bytes:
    """The content of ``train.backbone``, checked to be HDF5."""
    assert train.backbone is not None
    content = storage.read(train.backbone)
    if not content.startswith(HDF5_SIGNATURE):
        wanted = networks.load(train.network).backbone
        raise ModelError(f"{train.backbone}: not an HDF5 file; set train.backbone to {wanted}")
    return content


def _fetch_backbone(storage: Storage, train: TrainConfig, sha256: str, folder: Path) -> str:
    """Copies the backbone into the work folder, and returns its path.

    Raises:
        TrainingError: its content has changed since :func:`prepare`, so the model's row would hold a wrong hash.
    """
    content = _read_backbone(storage, train)
    if _sha256(content) != sha256:
        raise TrainingError(f"{train.backbone}: the file has changed while the training was prepared; run train again")
    target = folder / workers.BACKBONE_FILE
    target.write_bytes(content)
    return str(target)


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _metrics(selection: Selection, result: FitResult) -> dict[str, float]:
    best = result.best_epoch
    return {
        "best_epoch": best.epoch,
        "val_loss": best.val_loss,
        "val_accuracy": best.val_accuracy,
        "epochs": len(result.history),
        "seconds": result.seconds,
        "parameters": result.parameters,
        "train_faces": selection.faces("train"),
        "validation_faces": selection.faces("validation"),
        "unreadable": sum(result.unreadable.values()),
    }
