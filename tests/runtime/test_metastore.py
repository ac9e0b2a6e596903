"""Settings of the metastore."""

import shutil
from pathlib import Path

import pytest

from dflib.config import Config
from dflib.config import load as conf_files
from dflib.errors import ConfigError
from dflib.runtime import metastore

CONF = Path(__file__).parents[2] / "conf"
URL = "spark.hadoop.javax.jdo.option.ConnectionURL"


def config(root: Path, *settings: str) -> Config:
    return conf_files.load(CONF, "local", [f"tables.root={root}", *settings])


def derby(root: Path) -> Path:
    """The database of the embedded metastore, created as Derby creates it."""
    folder = Path(metastore.settings(config(root))[URL].split("databaseName=")[1].split(";")[0])
    (folder / "seg0").mkdir(parents=True, exist_ok=True)
    return folder


def test_embedded_metastore_of_a_copied_root_is_another_one(tmp_path: Path) -> None:
    """So names on the copy never stand for the tables of the original."""
    original, copy = tmp_path / "tables", tmp_path / "copy"
    first = derby(original)
    shutil.copytree(original, copy)
    assert first == derby(original) and first.is_relative_to(original)
    second = derby(copy)
    assert second.is_relative_to(copy) and second.relative_to(copy) != first.relative_to(original)
    warehouse = metastore.settings(config(copy))["spark.sql.warehouse.dir"]
    assert Path(warehouse).parent == second.parent
    # Moved back in its place, the original answers again.
    assert derby(original) == first


def test_check_names_refuses_a_copied_root_until_it_is_registered(tmp_path: Path) -> None:
    original, copy = tmp_path / "tables", tmp_path / "copy"
    derby(original)
    metastore.check_names(config(original))
    shutil.copytree(original, copy)
    with pytest.raises(
        ConfigError, match=rf"no names .* file://{copy}: .*run the job register on this tables.root first"
    ):
        metastore.check_names(config(copy))
    derby(copy)
    metastore.check_names(config(copy))


def test_check_names_refuses_a_metastore_of_an_earlier_version(tmp_path: Path) -> None:
    """Its names may stand for tables of another root."""
    (tmp_path / "_metastore" / "derby").mkdir(parents=True)
    with pytest.raises(ConfigError, match=r"copied or moved, or .* an earlier version"):
        metastore.check_names(config(tmp_path))


def test_check_names_leaves_other_metastores_alone(tmp_path: Path) -> None:
    metastore.check_names(config(tmp_path, "tables.metastore=external"))


def test_embedded_metastore_needs_a_root_on_this_machine(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"tables\.metastore=embedded needs tables.root on a local disk, not s3://b/t"
    ):
        metastore.settings(conf_files.load(CONF, "local", ["tables.root=s3://b/t", "tables.metastore=embedded"]))
