"""Settings of S3 for Spark, and their sources."""

from pathlib import Path

import pytest

from dflib.cli.options import parse
from dflib.cli.submit import prepare
from dflib.config import S3Config
from dflib.config import load as conf_files
from dflib.errors import ConfigError
from dflib.storage import s3_client as s3

CONF = Path(__file__).parents[2] / "conf"
REQUIRED = ["tables.root=s3://b/tables", "models.root=/m", "reports.root=/r", "tables.metastore=none"]


@pytest.fixture(autouse=True)
def no_aws(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE", "AWS_MAX_ATTEMPTS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("DFLIB_BUILD", str(tmp_path / "build"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "some-key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "some-secret")


def submitted(*settings: str) -> list[str]:
    options = parse("job", "", ["--set", *settings])
    return list(prepare(conf_files.load(CONF, "local", settings), CONF, options).arguments)


def test_spark_conf_has_s3_settings_when_a_place_is_on_s3() -> None:
    arguments = submitted(*REQUIRED, "s3.endpoint=http://127.0.0.1:9", "s3.region=r-1", "s3.path_style=true")
    prefix = "spark.hadoop.fs.s3a."
    for setting in (
        *(f"{prefix}endpoint=http://127.0.0.1:9", f"{prefix}endpoint.region=r-1", f"{prefix}path.style.access=true"),
        *(f"{prefix}connection.ssl.enabled=false", f"{prefix}attempts.maximum=10", f"{prefix}committer.name=magic"),
    ):
        assert setting in arguments
    assert not any("some-" in argument for argument in arguments)
    local = submitted("tables.root=/t", "models.root=/m", "reports.root=/r", "s3.endpoint=http://127.0.0.1:9")
    assert not any("s3a" in argument for argument in local)


def test_chunks_alone_need_it_too() -> None:
    assert any(
        "fs.s3a" in part for part in submitted("tables.root=/t", "sources.chunks=/a,s3://b/*.zip", "s3.region=r")
    )


@pytest.mark.parametrize("where", ["setting", "AWS_REGION", "AWS_DEFAULT_REGION", "profile"])
def test_the_region_comes_from_where_aws_looks(where: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    if where == "profile":
        (tmp_path / "config").write_text("[profile p]\nregion = r-2\n")
        monkeypatch.setenv("AWS_PROFILE", "p")
    elif where != "setting":
        monkeypatch.setenv(where, "r-2")
    settings = S3Config(endpoint=None, region="r-2" if where == "setting" else None, path_style=False)
    assert s3.region(settings) == "r-2"
    s3.client.cache_clear()
    assert s3.client(None, settings.region, False, 0).meta.region_name == "r-2"
    assert "spark.hadoop.fs.s3a.endpoint" not in s3.spark_conf(settings)


def test_no_region_is_said_before_spark_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match=r"s3\.region: .* set s3\.region"):
        submitted(*REQUIRED)
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(ConfigError, match="AWS_PROFILE"):
        submitted(*REQUIRED)


def test_an_embedded_metastore_beside_tables_on_s3_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"tables\.metastore"):
        submitted(*REQUIRED, "s3.region=r", "tables.metastore=embedded")


@pytest.mark.parametrize("endpoint", ["127.0.0.1:9", "http://key:secret@host", "https://host/path", "https://host?a=b"])
def test_endpoints_are_a_scheme_and_a_host(endpoint: str) -> None:
    with pytest.raises(ConfigError, match=r"s3\.endpoint"):
        submitted(*REQUIRED, "s3.region=r", f"s3.endpoint={endpoint}")


def test_tries_are_those_of_awss_own_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "3")
    assert (
        s3.spark_conf(S3Config(endpoint=None, region="r", path_style=False))["spark.hadoop.fs.s3a.attempts.maximum"]
        == "3"
    )
