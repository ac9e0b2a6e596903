"""What spark-submit is told: the metastore, the event log and Spark's page."""

import itertools
from pathlib import Path

import pytest

from dflib.config import load as conf_files
from dflib.errors import ConfigError
from dflib.runtime import metastore, session

CONF = Path(__file__).parent.parent.parent / "conf"
POSTGRES = ("tables.metastore=postgres", "tables.metastore_at=team@db.example:5433/meta?sslmode=require")


def arguments(*overrides: str, makes_schema: bool = False) -> dict[str, str]:
    """The settings by key."""
    told = session.submit_arguments(conf_files.load(CONF, "local", overrides), CONF, "local", makes_schema)
    return dict(pair.split("=", 1) for flag, pair in itertools.pairwise(told) if flag == "--conf")


def test_the_password_is_named_and_never_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(metastore.PASSWORD, raising=False)
    with pytest.raises(ConfigError, match=f"team@db.example:5433.* variable {metastore.PASSWORD}"):
        arguments(*POSTGRES)
    monkeypatch.setenv(metastore.PASSWORD, "opensesame")
    settings = arguments(*POSTGRES)
    jdo = "spark.hadoop.javax.jdo.option.Connection"
    assert settings[f"{jdo}URL"] == "jdbc:postgresql://db.example:5433/meta?sslmode=require"
    assert settings[f"{jdo}UserName"] == "team"
    assert settings[f"{jdo}Password"] == "${env.DFLIB_METASTORE_PASSWORD}"
    assert "opensesame" not in str(settings)
    assert not any("autoCreateAll" in key for key in settings)


def test_all_classes_of_the_metastore_are_made_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(metastore.PASSWORD, "")
    nucleus = "spark.hadoop.datanucleus"
    settings = arguments(*POSTGRES, makes_schema=True)
    classes = settings[f"{nucleus}.autoStartClassNames"].split(",")
    assert settings[f"{nucleus}.schema.autoCreateAll"] == "true"
    assert len(classes) == len(set(classes)) == 30
    assert {f"org.apache.hadoop.hive.metastore.model.{name}" for name in ("MTable", "MDatabase", "MVersionTable")} <= {
        *classes
    }


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (("tables.metastore=postgres",), "needs metastore_at"),
        ((POSTGRES[0], "tables.metastore_at=u:secret@h/db"), "metastore_at"),
        ((POSTGRES[0], "tables.metastore_at=u@h/db?sslpassword=secret"), "no password in metastore_at"),
        ((POSTGRES[0], "tables.metastore_at=u@h/db;create=true"), "metastore_at"),
        (("tables.root=s3://b/t",), "needs tables.root on a local disk"),
        (("sql.port=0",), "sql.port"),
    ],
)
def test_what_can_not_be_is_refused(overrides: tuple[str, ...], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        arguments(*overrides)


def test_watching_is_off_until_it_is_asked_for(tmp_path: Path) -> None:
    assert not any(key.startswith(("spark.eventLog", "spark.ui", "spark.metrics")) for key in arguments())
    watched = (f"monitoring.event_log={tmp_path}/a b/events", "monitoring.ui_port=4041")
    settings = arguments(*watched)
    assert settings["spark.eventLog.dir"] == settings["spark.history.fs.logDirectory"] == f"file:{tmp_path}/a b/events"
    assert settings["spark.ui.enabled"] == "true" and settings["spark.ui.port"] == "4041"
    session.make_event_folder(conf_files.load(CONF, "local", watched))
    assert (tmp_path / "a b" / "events").is_dir()
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="can't be made"):
        session.make_event_folder(conf_files.load(CONF, "local", (f"monitoring.event_log={tmp_path}/file/events",)))


def test_a_driver_on_the_cluster_is_told_no_file_of_this_machine() -> None:
    config = conf_files.load(CONF, "yarn")
    here, there = (session.submit_arguments(config, CONF, "yarn", deploy_mode=mode) for mode in ("client", "cluster"))
    assert here == session.submit_arguments(config, CONF, "yarn")
    assert "--driver-class-path" in here and "log4j2.configurationFile" in str(here)
    assert there[there.index("--deploy-mode") + 1] == "cluster"
    assert "--driver-class-path" not in there and "log4j2.configurationFile" not in str(there)
    # What is uploaded: executors and the driver find it beside them.
    assert f"spark.yarn.dist.files=file://{CONF}/spark/gpus.sh" in there and "--jars" in there
