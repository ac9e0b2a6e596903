"""A training from tables to a model's row: what is trained on, under which name, and what is left behind."""

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
from dflib.datasets.training_set import Chosen, TrainingSet
from dflib.errors import ConfigError, TrainingError
from dflib.models import registry
from dflib.runtime.progress import Progress
from dflib.storage import Storage
from dflib.tables.schemas import MODELS, VIDEOS
from dflib.tables.store import Tables
from dflib.training import launch, page, workers
from dflib.training.launch import Result, Spec

log = logging.getLogger(__name__)

NOT_DECIDING = ("name", "extractor", "quality", "backbone", "cache_bytes", "max_restarts", "checkpoint_steps")
"""Settings that do not decide the result: whose and which faces is in the set, what the backbone is in its hash."""

CAME_LATER = {"accumulate": 1, "precision": "float32", "workers": 1}
"""Settings left out of the hash while they have the value that all had before they came: names stay as they were."""


@dataclass(frozen=True)
class Plan:
    """What a training would do.

    Attributes:
        model_id: the name that was asked for, or the network and a hash of ``decided_by``.
        chosen: the training set.
        decided_by: all that decides the result.
        done: whether the model is there already.
        latest: the model that ``latest`` stands for, if any; asked only when ``done``.
    """

    model_id: str
    chosen: Chosen
    decided_by: dict[str, Any]
    done: bool
    latest: str | None = None


def check(config: Config) -> None:
    """Refuses settings that no training can use.

    Raises:
        ConfigError: with the key and the mend.
    """
    train, shares = config.train, config.splits
    if train.name is not None:
        registry.check_name(train.name, "train.name")
    if not shares.validation or shares.validation + shares.test >= 1:
        raise ConfigError(
            f"splits.validation={shares.validation} and splits.test={shares.test}: validation must be above 0 (early "
            "stopping needs it) and both together below 1"
        )
    if train.batch_size % (train.workers * train.accumulate):
        raise ConfigError(
            f"train.batch_size={train.batch_size} can't be shared by train.workers={train.workers} in "
            f"train.accumulate={train.accumulate} parts each; make it a multiple of both together"
        )
    if train.backbone == "imagenet":
        raise ConfigError(
            "train.backbone=imagenet: nothing is downloaded when a job runs; fetch the HDF5 weights at set-up "
            "(efficientnetb0_notop.h5 of Keras Applications) and give their path or URI"
        )
    if train.backbone is not None and train.network == "meso4":
        raise ConfigError("train.backbone: meso4 has no backbone; leave it out or set train.network=efficientnetb0")


def plan(tables: Tables, storage: Storage, config: Config, dry_run: bool = False) -> Plan:
    """Gives new source groups their splits, chooses the training set and names the model.

    Args:
        dry_run: the splits are not written.

    Raises:
        TrainingError: there is nothing to train on, or the name belongs to a model made otherwise.
        StorageError: ``train.backbone`` can't be read.
    """
    train = config.train
    extractor = training_set.whose(tables, train.extractor, extractor_id(config))
    videos = tables.read(VIDEOS)
    of_groups = splits.assign(tables, videos, config.splits, dry_run)
    chosen = training_set.choose(tables, videos, of_groups, extractor, train)
    backbone = None
    if train.backbone is not None:
        backbone = hashlib.sha256(storage.read(uris.to_uri(train.backbone))).hexdigest()
    decided_by = {
        "training_set": chosen.set_id,
        "backbone_sha256": backbone,
        "train": training_settings(train, NOT_DECIDING, CAME_LATER),
    }
    model_id = train.name or f"{train.network}-{digest(decided_by)[:8]}"
    done = _is_there(tables, model_id, decided_by)
    return Plan(model_id, chosen, decided_by, done, registry.latest_id(tables) if done else None)


def carry_out(plan: Plan, tables: Tables, storage: Storage, config: Config, run_id: str, progress: Progress) -> Result:
    """Writes the set, fits the network, writes the page and registers the model; in that order.

    A run that was killed goes on where it was: the set stands, the steps done are in the work folder, and the
    row, written last, is what "done" means.

    Raises:
        TrainingError, CountError, ModelError: see :func:`dflib.training.launch.run` and
            :func:`dflib.training.workers.run`.
        TableError: the same training runs already, elsewhere.
    """
    train = config.train
    written = training_set.write(tables, plan.chosen, train.seed)
    # Named by all that decides the result too, so that another training of the same name starts from nothing.
    work = uris.join(config.models.root, "_training", f"{plan.model_id}-{digest(plan.decided_by)}")
    with tables.committer.only_run(f"train-{uris.name(work)}"):
        if _is_there(tables, plan.model_id, plan.decided_by):
            raise TrainingError(f"{plan.model_id} was trained by another run meanwhile; use it as it is")
        result = _fit(plan, written, work, tables, storage, config, run_id, progress)
        storage.delete_folder(work)
    return result


def _fit(
    plan: Plan,
    written: TrainingSet,
    work: str,
    tables: Tables,
    storage: Storage,
    config: Config,
    run_id: str,
    progress: Progress,
) -> Result:
    """All that happens in the work folder."""
    train = config.train
    with launch.workplace(storage, work) as (folder, remote):
        spec = Spec(
            train=train.model_dump(),
            files=written.files,
            folder=str(folder),
            remote=remote,
            storage=storage.__getstate__(),
            backbone=_fetch_backbone(storage, train, folder),
            gpu_required=config.cluster.gpu == "required",
        )
        if train.workers == 1:
            result = launch.run(spec, progress, {"CUDA_VISIBLE_DEVICES": "-1"} if config.cluster.gpu == "off" else {})
        else:
            result = workers.run(spec, work, tables, storage, config.cluster, run_id, progress)
            if remote is not None:
                storage.download_folder(remote, folder)
        html = page.render(plan.model_id, train, plan.chosen, result, folder / "examples.npz")
        storage.write(uris.join(config.reports.root, "training", f"{plan.model_id}.html"), html.encode())
        registry.register(
            tables,
            storage,
            config.models.root,
            folder / "saved_model",
            model_id=plan.model_id,
            network=train.network,
            view=train.view,
            positive="fake",
            origin="trained",
            extractor=plan.chosen.extractor,
            training_set=plan.chosen.set_id,
            settings={"decided_by": plan.decided_by, "history": [asdict(epoch) for epoch in result.history]},
            metrics=_metrics(plan.chosen, result),
        )
    return result


def _is_there(tables: Tables, model_id: str, decided_by: dict[str, Any]) -> bool:
    row = tables.read(MODELS).where(F.col("model_id") == model_id).select("settings").first()
    if row is None:
        return False
    before = json.loads(row["settings"] or "{}").get("decided_by")
    # Through JSON, as it was written.
    if before != json.loads(json.dumps(decided_by)):
        raise TrainingError(
            f"{tables.uri(MODELS)}: {model_id} is there already and was made from other settings or another training "
            "set; names are never given twice: set another train.name, or none"
        )
    return True


def _fetch_backbone(storage: Storage, train: TrainConfig, folder: Path) -> str | None:
    if train.backbone is None:
        return None
    target = folder / workers.BACKBONE
    target.write_bytes(storage.read(uris.to_uri(train.backbone)))
    return str(target)


def _metrics(chosen: Chosen, result: Result) -> dict[str, float]:
    best = result.best_epoch
    return {
        "best_epoch": best.epoch,
        "val_loss": best.val_loss,
        "val_accuracy": best.val_accuracy,
        "epochs": len(result.history),
        "seconds": result.seconds,
        "parameters": result.parameters,
        "train_faces": chosen.faces("train"),
        "validation_faces": chosen.faces("validation"),
        "unreadable": sum(result.unreadable.values()),
    }
