"""Loading the configuration: overlays, overrides, and error messages."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from dflib.config.load import env_chain, load
from dflib.errors import ConfigError

CONF = Path(__file__).parents[2] / "conf"


def test_load_reads_every_environment() -> None:
    names = {path.stem for path in (CONF / "env").glob("*.yml")}
    assert names >= {"local", "demo", "standalone", "yarn", "k8s"}
    for name in names:
        assert load(CONF, name).tables.root.startswith("file:///")


def test_load_applies_overlays_then_overrides() -> None:
    assert load(CONF, "local").sampling.frames == "even:20"
    assert load(CONF, "demo").sampling.frames == "even:4"
    assert load(CONF, "demo", ["sampling.frames=per_second:1"]).sampling.frames == "per_second:1"
    assert env_chain(CONF, "demo") == ["demo", "local"]


def test_load_converts_paths_to_uris() -> None:
    config = load(CONF, "local", ["sources.chunks=s3://b/dfdc_*.zip, /data/x", "tables.root=/t/"])
    assert config.sources.chunks == ("s3://b/dfdc_*.zip", "file:///data/x")
    assert config.tables.root == "file:///t"


@pytest.mark.parametrize(
    ("text", "hour"), [("2026-11-02", 0), ("'2026-11-02'", 0), ("2026-11-02T03:00", 3), ("2026-11-02T05:00+02:00", 3)]
)
def test_a_day_or_time_is_utc(text: str, hour: int) -> None:
    assert load(CONF, "local", [f"score.since={text}"]).score.since == datetime(2026, 11, 2, hour, tzinfo=UTC)


def test_run_records_do_not_name_videos_to_forget() -> None:
    recorded = load(CONF, "local", ["forget.videos=d/a,d/b"]).recorded()
    assert recorded["forget"]["videos"] == ["***", "***"]


def test_digest_changes_with_a_value() -> None:
    assert load(CONF, "local").digest() == load(CONF, "local").digest()
    assert load(CONF, "local").digest() != load(CONF, "local", ["train.epochs=3"]).digest()


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("sampling.frame=even:3", "did you mean sampling.frames"),
        ("nosuch.key=1", "nosuch: unknown key"),
        ("train.epochs=0", "train.epochs: .*greater than 0"),
        ("train.epochs=many", "train.epochs: .*integer"),
        ("train.seed=-1", "train.seed: .*greater than or equal to 0"),
        ("report.seed=2147483647", "report.seed: .*less than 2147483647"),
        ("sampling.frames=even:0", "sampling.frames: sampling even: '0' is not a valid argument; write even:N"),
        ("sampling.frames=often", "sampling.frames: unknown sampling 'often'; known: even, per_second"),
        ("faces.threshold=1.5", "faces.threshold: .*less than or equal to 1"),
        ("sources.chunks=gs://bucket", "unknown storage scheme 'gs'; known schemes: file://, s3://"),
        ("sources.chunks=s3://", "no bucket"),
        ("sources.chunks=s3a://b/k", "write s3://"),
        ("sources.dataset=a/b", "sources.dataset: .*match pattern"),
        ("tables.database=x; DROP TABLE y", "tables.database: .*match pattern"),
        ("tables=5", "tables: "),
        ("epochs", "expected section.key=value"),
        ("=5", "expected section.key=value"),
        ("train..epochs=5", "expected section.key=value"),
    ],
)
def test_load_rejects_a_bad_override(override: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load(CONF, "local", [override])


@pytest.mark.parametrize(
    "override",
    [
        "sources.chunks=s3://b/k,s3://AKIA:hid/den@bucket/x",
        "sources.labels=https://b.s3.amazonaws.com/k?X-Amz-Signature=hidden&X-Amz-Date=1",
        "tables.root=s3://ana:hidden@b/k",
        "models.root=s3://hidden@b",
        "models.mlflow=https://ana:hidden@host",
        "s3.endpoint=http://ana:hidden@host:9000",
        "tables.metastore_at=ana:hidden@host/db",
        "tables.metastore_at=ana@host/db?password=hidden",
        "nosuch.key=https://ana:hidden@host/",
        "nosuch={a: [https://host/?token=hidden]}",
        "sources.crops=[https://ana:hidden@host/]",
        "tables=https://ana:hidden@host/",
        "https://ana:hidden@host/",
        "https://ana:hidden@host/?X-Amz-Signature=1",
        "sources.chunks=s3:/AKIA:hidden@b/x",
        "sources.chunks=s3://b/x?pass=hidden",
        "sources.chunks=https://h/x#access_token=hidden",
        "models.root=//AKIA:hidden@b/x",
        "s3://AKIA:hid/.hidden@b/x=1",
        "promote.reason=https://ana:hidden@host/",
        "s3.secret_key=hidden",
        "s3=hidden",
        "s3={access_key: hidden}",
        "tables={metastore_at: hidden, metastore: postgres}",
    ],
)
def test_load_repeats_no_secret(override: str) -> None:
    with pytest.raises(ConfigError) as raised:
        load(CONF, "local", [override])
    assert [word for word in ("hidden", "den@", "hid/") if word in str(raised.value)] == []


def test_load_repeats_no_secret_of_a_file(tmp_path: Path) -> None:
    for text in (
        "tables:\n  root: https://ana:hidden@host/x\n",
        "tables: [hidden\na: b\n",
        "password: hidden: x\n",
        "a: *hidden\n",
        "a: !hidden x\n",
        "a: &hidden x\nb: &hidden x\n",
    ):
        folder = write(tmp_path, base=(CONF / "base.yml").read_text(), a=text)
        with pytest.raises(ConfigError) as raised:
            load(folder, "a")
        assert "hidden" not in str(raised.value) and str(raised.value)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("s3:\n  https://ana:hidden@host/: 1\n", "s3: the name of a key"),
        ("https://ana:hidden@host/: 1\n", "configuration: the name of a section"),
    ],
)
def test_a_secret_in_place_of_a_key_is_placed(tmp_path: Path, text: str, place: str) -> None:
    with pytest.raises(ConfigError, match=rf"^{place} holds a user name or password") as raised:
        load(write(tmp_path, base=(CONF / "base.yml").read_text(), a=text), "a")
    assert "hidden" not in str(raised.value)


def test_ordinary_text_is_no_secret() -> None:
    reasons = ("asked by:john@lab.org", "see https://wiki/x?key=12", "mailto:x@y")
    assert [load(CONF, "local", [f"promote.reason={text}"]).promote.reason for text in reasons] == [*reasons]
    assert load(CONF, "local", ["sources.chunks=/d/12:30@cam1.mp4"]).sources.chunks


@pytest.mark.parametrize("word", ["off", "on", "yes", "no", "Off", "NO", "n", "y"])
def test_words_that_older_yaml_reads_as_booleans_are_text(word: str) -> None:
    assert load(CONF, "local", [f"sources.dataset={word}"]).sources.dataset == word
    assert load(CONF, "local", [f"sources.crop_real=[{word}]"]).sources.crop_real == (word,)


def test_off_and_booleans_in_any_writing(tmp_path: Path) -> None:
    assert load(CONF, "local", ["cluster.gpu=off"]).cluster.gpu == "off"
    for word, value in {"true": True, "on": True, "yes": True, "False": False, "off": False, "no": False}.items():
        assert load(CONF, "local", [f"report.exclude_static={word}"]).report.exclude_static is value
    folder = write(tmp_path, base=(CONF / "base.yml").read_text(), a="tables: {root: /t}\nmodels: {root: /m}\n"
                   "reports: {root: /r}\ncluster:\n  gpu: off\n")  # fmt: skip
    assert load(folder, "a").cluster.gpu == "off"


@pytest.mark.parametrize("section", ["train.view", "weights.view"])
@pytest.mark.parametrize(
    ("values", "message"),
    [
        (["align=landmarks", "square=false"], "set square=true or align=none"),
        (["align=landmarks", "blank_face=true"], "too few surroundings"),
        (["padding=reflect", "square=false"], "set square=true or padding=edge"),
        (["mark_landmarks=true", "blank_face=true"], "draws what blank_face hides"),
        (["align=eyes"], "align: .*'none' or 'landmarks'"),
        (["padding=zero"], "padding: .*'edge' or 'reflect'"),
    ],
)
def test_load_rejects_contradictory_views(section: str, values: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=f"{section}.*{message}"):
        load(CONF, "local", [f"{section}.{value}" for value in values])


@pytest.mark.parametrize("section", ["train.quality", "report.quality"])
@pytest.mark.parametrize(
    ("values", "message"),
    [
        (["min_brightness=200", "max_brightness=100"], "leaves no face"),
        (["min_frontal=1.1"], "min_frontal: .*less than or equal to 1"),
        (["min_size=-1"], "min_size: .*greater than or equal to 0"),
        (["max_brightness=256"], "max_brightness: .*less than or equal to 255"),
        (["blur=3"], "did you mean"),
    ],
)
def test_load_rejects_impossible_quality_limits(section: str, values: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=f"{section}.*{message}"):
        load(CONF, "local", [f"{section}.{value}" for value in values])


def write(folder: Path, **files: str) -> Path:
    (folder / "env").mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / ("base.yml" if name == "base" else f"env/{name}.yml")).write_text(text)
    return folder


@pytest.mark.parametrize(
    ("env", "files", "message"),
    [
        ("nosuch", {}, "known environments: "),
        ("a", {"a": "extends: b", "b": "extends: a"}, "extends itself"),
        ("a", {"a": "[1, 2]"}, "holds a list"),
        ("a", {"a": "x: [1"}, "cannot be read as YAML"),
        ("a", {"a": "extends: nosuch"}, "nosuch.yml does not exist"),
    ],
)
def test_load_rejects_a_bad_file_with_its_path(env: str, files: dict[str, str], message: str, tmp_path: Path) -> None:
    folder = write(tmp_path, base=(CONF / "base.yml").read_text(), **files)
    with pytest.raises(ConfigError, match=message):
        load(folder, env)


def test_load_names_a_missing_key(tmp_path: Path) -> None:
    folder = write(tmp_path, base=(CONF / "base.yml").read_text(), a="")
    with pytest.raises(ConfigError, match=r"tables\.root: missing"):
        load(folder, "a")
