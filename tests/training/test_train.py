"""The training step on real tables, and the settings that it checks before."""

import hashlib
import io
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from pyspark.sql import functions as F

from dflib.cli.package import pack
from dflib.config import Config, digest
from dflib.errors import ConfigError, ModelError, StorageError, TableError, TrainingError
from dflib.models import aliases, promotion, registry
from dflib.runtime.progress import Progress
from dflib.steps.step import Context
from dflib.steps.train import STEP
from dflib.storage import Storage
from dflib.tables.schemas import MODELS, SPLITS
from dflib.tables.store import Tables
from dflib.tables.write_locks import WriteLocks
from dflib.training import train
from tests.training.synthetic_faces import EXTRACTOR, configuration, insert_clips, source_groups

SMALL = ("train.view.size=32", "train.epochs=2", "train.batch_size=16", "splits.by=original")


def context_of(tables: Tables, storage: Storage, config: Config, dry_run: bool = False) -> Context:
    return Context("run", config, tables.spark, storage, tables, Progress(io.StringIO()), dry_run)


@pytest.mark.cluster  # make test has no time for it
@pytest.mark.spark
def test_train_registers_a_model_and_does_nothing_when_run_again(
    tables: Tables, storage: Storage, tmp_path: Path
) -> None:
    insert_clips(tables, source_groups(12, fakes=1, faces=4))
    config = configuration(tmp_path, *SMALL)
    context = context_of(tables, storage, config)

    dry = STEP.run(replace(context, dry_run=True))
    assert "would be trained" in dry.line
    assert not tables.exists(SPLITS) and not tables.exists(MODELS) and not (tmp_path / "models").exists()

    training = train.prepare(tables, storage, config)
    name = f"train-{training.model_id}-{digest(training.identity)}"
    with (
        WriteLocks(tables.spark, tables.root, storage, "other").run(name),
        pytest.raises(TableError, match="other"),
    ):
        STEP.run(context)
    assert not tables.exists(MODELS)

    summary = STEP.run(context)
    model_id = summary.counts["model_id"]
    assert dry.line.split(";")[0] in summary.line and "2 epochs in" in summary.line
    model = registry.find(tables, model_id)
    assert (model.extractor, model.training_set) == (EXTRACTOR, summary.counts["training_set"])
    assert model.metrics is not None and model.metrics["epochs"] == 2
    train_groups = tables.read(SPLITS).where("split = 'train'").count()
    assert model.metrics["train_faces"] == summary.counts["faces"]["train"] == train_groups * 2 * 4
    registry.open_model(storage, model.uri, model.sha256)
    assert len(json.loads(model.settings or "")["history"]) == 2
    assert list((tmp_path / "models" / "_training").iterdir()) == [], "the work folder is deleted"

    html = (tmp_path / "reports" / "training" / f"{model_id}.html").read_text()
    assert html.count("<svg") == 2 and html.count("<img") == 32 and "http://" not in html.split("<body>")[0]
    assert summary.counts["training_set"] in html and "A control" not in html

    versions, files = tables.versions(), sorted(tmp_path.rglob("*"))
    again = STEP.run(context)
    assert "nothing to do" in again.line and again.counts["model_id"] == model_id
    assert tables.versions() == versions and sorted(tmp_path.rglob("*")) == files

    assert aliases.current(tables)["champion"].model_id == model_id
    assert "champion is" not in again.line
    other = tables.read(MODELS).withColumns(
        {"model_id": F.lit("other"), "created_at": F.col("created_at") + F.expr("interval 1 day")}
    )
    tables.insert_new(MODELS, other)
    promotion.promote(tables, "other", "champion", "ana", None)
    assert f"champion is other: score with this one by --set score.model={model_id}" in STEP.run(context).line

    named = configuration(tmp_path, *SMALL, f"train.name={model_id}", "train.epochs=3")
    with pytest.raises(TrainingError, match="a name is never used twice"):
        train.prepare(tables, storage, named)


@pytest.mark.spark
def test_prepare_reads_the_backbone_before_it_writes(tables: Tables, storage: Storage, tmp_path: Path) -> None:
    insert_clips(tables, source_groups(12, fakes=1, faces=4))
    file = tmp_path / "backbone.h5"
    config = configuration(tmp_path, *SMALL, "train.network=efficientnetb0", f"train.backbone={file}")
    with pytest.raises(StorageError, match=r"backbone\.h5"):
        train.prepare(tables, storage, config)
    assert not tables.exists(SPLITS)

    file.write_bytes(b"<html>404</html>")
    with pytest.raises(ModelError, match=r"backbone\.h5: not an HDF5 file; .*efficientnetb0_notop\.h5"):
        train.prepare(tables, storage, config)
    assert not tables.exists(SPLITS)

    file.write_bytes(train.HDF5_SIGNATURE + b"1")
    job = train.prepare(tables, storage, config)
    assert job.identity["backbone_sha256"] == hashlib.sha256(train.HDF5_SIGNATURE + b"1").hexdigest()
    assert tables.exists(SPLITS)
    file.write_bytes(train.HDF5_SIGNATURE + b"2")
    with pytest.raises(TrainingError, match=r"backbone\.h5: the file has changed"):
        train.run(job, tables, storage, config, "run", Progress(io.StringIO()))
    assert not tables.exists(MODELS)


def test_backbone_is_made_absolute_where_the_configuration_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    config = configuration(Path("/nowhere"), "train.network=efficientnetb0", "train.backbone=weights/b0.h5")
    # The driver gets the configuration as JSON, and may run in another folder.
    monkeypatch.chdir("/")
    assert Config.model_validate_json(config.model_dump_json()).train.backbone == f"file://{tmp_path}/weights/b0.h5"


@pytest.mark.parametrize(
    ("backbone", "text"),
    [
        ("s3a://bucket/b0.h5", r"train\.backbone: .*'s3a'"),
        ("gopher://host/b0.h5", r"train\.backbone: .*'gopher'"),
        ("imagenet", r"train\.backbone: jobs download nothing; .*efficientnetb0_notop\.h5"),
    ],
)
def test_configuration_rejects_a_backbone_that_is_no_uri(backbone: str, text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        configuration(Path("/nowhere"), "train.network=efficientnetb0", f"train.backbone={backbone}")


@pytest.mark.parametrize(
    ("overrides", "text"),
    [
        (["splits.validation=0"], "validation must be above 0"),
        (["splits.validation=0.5", "splits.test=0.5"], "their sum below 1"),
        (["train.batch_size=32", "train.workers=3"], "make it a multiple of 3$"),
        (["train.backbone=/x.h5"], "meso4 has no backbone"),
        (["train.view.size=15"], "too small for meso4; set it to 16"),
        (["train.name=all"], "train.name=all: this name is reserved"),
    ],
)
def test_check_rejects_settings_that_training_cannot_use(overrides: list[str], text: str) -> None:
    config = configuration(Path("/nowhere"), *overrides)
    with pytest.raises(ConfigError, match=text):
        train.check(config)


def test_pack_includes_the_template_of_the_training_page(tmp_path: Path) -> None:
    code = "import dflib, jinja2; print(dflib, jinja2.PackageLoader('dflib.training', '').list_templates())"
    environment = os.environ | {"PYTHONPATH": str(pack(tmp_path))}
    found = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    assert ".zip/dflib/" in found.stdout and "training.html.j2" in found.stdout
