"""What spark-submit is called with."""

import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from dflib.cli import submit
from dflib.cli.options import parse
from dflib.cli.submit import Submission, prepare
from dflib.config import load as conf_files
from dflib.errors import ConfigError
from dflib.runtime import metastore, properties
from dflib.steps import nightly
from dflib.steps.runner import Application

HOME = Path(__file__).parents[2]
CONF = HOME / "conf"
POSTGRES = ("tables.metastore=postgres", "tables.metastore_at=team@db.example:5433/meta?sslmode=require")


@pytest.fixture(autouse=True)
def build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The build folder, and no variables of the machine that the results depend on."""
    for name in ("DFLIB_JARS", "DFLIB_CONF", "DFLIB_JAVA_OPTIONS", "DFLIB_EXECUTOR_PYTHON"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DFLIB_BUILD", str(tmp_path / "build"))
    return tmp_path / "build"


def submission(*arguments: str, creates_metastore: bool = False, conf: Path = CONF) -> Submission:
    options = parse("job", "", arguments)
    config = conf_files.load(conf, options.env, options.overrides)
    return prepare(config, conf, options, creates_metastore)


def settings(*overrides: str, creates_metastore: bool = False) -> dict[str, str]:
    """The settings by key."""
    sets = ("--set", *overrides) if overrides else ()
    found = submission(*sets, creates_metastore=creates_metastore).arguments
    return dict(pair.split("=", 1) for flag, pair in itertools.pairwise(found) if flag == "--conf")


def option(found: Submission, name: str) -> str:
    return found.arguments[found.arguments.index(name) + 1]


def test_prepare_passes_the_name_of_the_password_variable_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(metastore.PASSWORD, raising=False)
    with pytest.raises(ConfigError, match=f"team@db.example:5433.* variable {metastore.PASSWORD}"):
        settings(*POSTGRES)
    monkeypatch.setenv(metastore.PASSWORD, "opensesame")
    found = settings(*POSTGRES)
    jdo = "spark.hadoop.javax.jdo.option.Connection"
    assert found[f"{jdo}URL"] == "jdbc:postgresql://db.example:5433/meta?sslmode=require"
    assert found[f"{jdo}UserName"] == "team"
    assert found[f"{jdo}Password"] == "${env.DFLIB_METASTORE_PASSWORD}"
    assert "opensesame" not in str(found)
    assert not any("autoCreateAll" in key for key in found)


def test_prepare_creates_all_classes_of_the_metastore_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(metastore.PASSWORD, "")
    nucleus = "spark.hadoop.datanucleus"
    found = settings(*POSTGRES, creates_metastore=True)
    classes = found[f"{nucleus}.autoStartClassNames"].split(",")
    assert found[f"{nucleus}.schema.autoCreateAll"] == "true"
    assert len(classes) == len(set(classes)) == 30
    expected = {f"org.apache.hadoop.hive.metastore.model.{name}" for name in ("MTable", "MDatabase", "MVersionTable")}
    assert expected <= {*classes}


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (("tables.metastore=postgres",), "needs metastore_at"),
        ((POSTGRES[0], "tables.metastore_at=u:secret@h/db"), "metastore_at"),
        ((POSTGRES[0], "tables.metastore_at=u@h/db?sslpassword=secret"), "metastore_at: .*DFLIB_METASTORE_PASSWORD"),
        ((POSTGRES[0], "tables.metastore_at=u@h/db;create=true"), "metastore_at"),
        (("tables.root=s3://b/t",), "needs tables.root on a local disk"),
        (("sql.port=0",), "sql.port"),
    ],
)
def test_prepare_rejects_impossible_settings(overrides: tuple[str, ...], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        settings(*overrides)


def test_monitoring_is_off_by_default(tmp_path: Path) -> None:
    assert not any(key.startswith(("spark.eventLog", "spark.ui", "spark.metrics")) for key in settings())
    monitored = (f"monitoring.event_log={tmp_path}/a b/events", "monitoring.ui_port=4041")
    found = settings(*monitored)
    assert found["spark.eventLog.dir"] == found["spark.history.fs.logDirectory"] == f"file:{tmp_path}/a b/events"
    assert found["spark.ui.enabled"] == "true" and found["spark.ui.port"] == "4041"


def test_make_event_folder_creates_it_or_states_why_not(tmp_path: Path) -> None:
    submit.make_event_folder(conf_files.load(CONF, "local", [f"monitoring.event_log={tmp_path}/a b/events"]))
    assert (tmp_path / "a b" / "events").is_dir()
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="can't create the folder"):
        submit.make_event_folder(conf_files.load(CONF, "local", [f"monitoring.event_log={tmp_path}/file/events"]))


def test_prepare_gives_a_driver_on_the_cluster_no_file_of_this_machine() -> None:
    here, there = (submission("--env", "yarn", "--deploy-mode", mode) for mode in ("client", "cluster"))
    assert here == submission("--env", "yarn") and not here.on_cluster
    assert "--driver-class-path" in here.arguments and "log4j2.configurationFile" in str(here.arguments)
    assert there.on_cluster and option(there, "--deploy-mode") == "cluster"
    assert "--driver-class-path" not in there.arguments and "log4j2.configurationFile" not in str(there.arguments)
    # Uploaded: executors and the driver find them in their working folder.
    assert f"spark.yarn.dist.files=file://{CONF}/spark/gpus.sh" in there.arguments and "--jars" in there.arguments


def test_prepare_recognises_kubernetes_by_either_side() -> None:
    assert submission("--env", "k8s").on_kubernetes and submission("--env", "k8s").on_cluster
    assert submission("--", "--master", "k8s://https://host").on_kubernetes
    assert not submission("--env", "yarn").on_kubernetes


@pytest.mark.parametrize("env", ["local", "standalone", "yarn", "k8s"])
def test_prepare_writes_common_conf_below_the_file_of_the_environment(env: str) -> None:
    merged = properties.read(Path(option(submission("--env", env), "--properties-file")))
    common, own = (properties.read(CONF / "spark" / f"{name}.conf") for name in ("common", env))
    assert merged == {**common, **own}
    assert len(common) == 15 and {"spark.master"} <= own.keys()
    repeated = {key for key in own if common.get(key) == own[key]}
    assert not repeated, "set in common.conf already"


def test_prepare_writes_one_file_for_equal_settings(build: Path) -> None:
    for _ in range(2):
        submission("--env", "yarn")
    assert len(list(build.iterdir())) == 1
    submission("--env", "local")
    assert len(list(build.iterdir())) == 2


def test_prepare_takes_the_properties_file_of_the_nearest_environment(tmp_path: Path) -> None:
    conf = tmp_path / "conf"
    shutil.copytree(CONF, conf)
    (conf / "env" / "mine.yml").write_text("extends: yarn\n")
    assert "yarn" in Path(option(submission("--env", "mine", conf=conf), "--properties-file")).read_text()
    (conf / "spark" / "mine.conf").write_text("spark.master=spark://own:7077\nspark.sql.shuffle.partitions:9\n")
    found = properties.read(Path(option(submission("--env", "mine", conf=conf), "--properties-file")))
    assert (found["spark.master"], found["spark.sql.shuffle.partitions"]) == ("spark://own:7077", "9")
    assert found["spark.sql.session.timeZone"] == "UTC"
    for name in ("mine", "yarn", "local"):
        (conf / "spark" / f"{name}.conf").unlink()
    with pytest.raises(ConfigError, match=r"--env mine: none of .*mine\.conf, .*yarn\.conf, .*local\.conf exists"):
        submission("--env", "mine", conf=conf)


def test_class_archive_is_used_unless_the_variable_is_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DFLIB_JARS", str(tmp_path / "jars"))
    assert "SharedArchiveFile" not in settings()["spark.driver.extraJavaOptions"]
    (tmp_path / "classes.jsa").write_text("")
    assert f"-XX:SharedArchiveFile={tmp_path}/classes.jsa " in settings()["spark.driver.extraJavaOptions"]
    monkeypatch.setenv("DFLIB_JAVA_OPTIONS", "-Dmine=1")
    found = settings()["spark.driver.extraJavaOptions"]
    assert "SharedArchiveFile" not in found and "-Dmine=1" in found


def test_verbose_raises_the_level_of_the_jvm_logs() -> None:
    assert "dflib.log.level" not in str(submission().arguments)
    assert "-Ddflib.log.level=warn" in str(submission("--verbose").arguments)


def test_the_secret_of_a_standalone_cluster_is_in_a_private_file_only(
    build: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DFLIB_SPARK_SECRET", "hidden")
    for arguments in (("--env", "standalone"), ("--env", "local", "--", "--master", "spark://h:7077")):
        found = submission(*arguments)
        assert "hidden" not in str(found)
        file = Path(option(found, "--properties-file"))
        settings = properties.read(file)
        assert (settings["spark.authenticate"], settings["spark.authenticate.secret"]) == ("true", "hidden")
        assert file.stat().st_mode & 0o777 == 0o600
    for arguments in (("--env", "local"), ("--env", "yarn")):
        assert "hidden" not in Path(option(submission(*arguments), "--properties-file")).read_text()


@pytest.mark.parametrize("name", ["yarn", "k8s"])
def test_driver_and_executors_authenticate_where_the_cluster_makes_a_secret(name: str) -> None:
    assert properties.merged(CONF / "spark" / f"{name}.conf")["spark.authenticate"] == "true"


def test_a_local_job_listens_on_this_machine_only() -> None:
    assert submit.environment(submission(), {})["SPARK_LOCAL_IP"] == "127.0.0.1"
    assert submit.environment(submission(), {"SPARK_LOCAL_IP": "0.0.0.0"})["SPARK_LOCAL_IP"] == "0.0.0.0"
    for arguments in (
        ("--env", "standalone"),
        ("--", "--master", "spark://h:7077"),
        ("--", "--conf", "spark.master=yarn"),
    ):
        assert "SPARK_LOCAL_IP" not in submit.environment(submission(*arguments), {})


def test_temporary_files_lie_below_the_folders_of_spark(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SPARK_LOCAL_DIRS", raising=False)
    assert submission().folders == (tempfile.gettempdir(),)
    assert submission("--", "--conf", "spark.local.dir=/a,/b").folders == ("/a", "/b")
    monkeypatch.setenv("SPARK_LOCAL_DIRS", "/c")
    assert submission("--", "--conf", "spark.local.dir=/a").folders == ("/c",)


@pytest.mark.parametrize(("umask", "mode"), [(0o022, "022"), (0o077, "077"), (0o007, "007")])
def test_the_jvm_is_told_the_umask(umask: int, mode: str) -> None:
    before = os.umask(umask)
    try:
        assert settings()["spark.hadoop.fs.permissions.umask-mode"] == mode
    finally:
        assert os.umask(before) == umask


def test_environment_of_a_driver_here_and_on_the_cluster() -> None:
    current = {"PATH": "/bin", "PYTHONPATH": "/own", "TF_CPP_MIN_LOG_LEVEL": "0"}
    here = submit.environment(Submission((), False, False), current)
    assert here["PYSPARK_PYTHON"] == here["PYSPARK_DRIVER_PYTHON"] == sys.executable
    assert (here["TF_USE_LEGACY_KERAS"], here["TF_CPP_MIN_LOG_LEVEL"], here["PYTHONPATH"]) == ("1", "0", "/own")
    there = submit.environment(Submission((), True, False), {**current, "DFLIB_EXECUTOR_PYTHON": "./env/bin/python"})
    assert there["PYSPARK_PYTHON"] == "./env/bin/python" and "PYSPARK_DRIVER_PYTHON" not in there
    assert "SPARK_DIST_CLASSPATH" not in there
    kubernetes = submit.environment(Submission((), True, True), current)
    assert kubernetes["SPARK_DIST_CLASSPATH"].endswith("/jars/*")


def test_application_survives_the_command_line() -> None:
    config = conf_files.load(CONF, "local", ["train.view.size=64", "sources.dataset=a-b"])
    application = Application(config=config, code_version="1+x", dry_run=True, verbose=True)
    text = submit.encoded(application)
    assert submit.decoded(text) == application
    assert "}}" not in text and "{" not in text


JOB = '''"""Does nothing, twice."""

from dflib.cli.job import main
from dflib.steps.step import Step, Summary

if __name__ == "__main__":
    main(Step("a", lambda context: Summary("a")), Step("b", lambda context: Summary("b")), name="both")
'''

FAKE = """#!{python}
import json, os, sys
kept = ("PYTHONPATH", "PYSPARK_PYTHON", "SPARK_HOME", "TF_USE_LEGACY_KERAS")
print(json.dumps([sys.argv[1:], {{name: os.environ.get(name) for name in kept}}]))
print("WARNING: Using incubator modules: x", file=sys.stderr)
print("own line", file=sys.stderr, flush=True)
sys.exit(7)
"""


@pytest.fixture
def fake_spark(tmp_path: Path) -> dict[str, str]:
    """Variables with which a job finds jars and a spark-submit that only prints what it is called with."""
    spark = tmp_path / "spark"
    (spark / "bin").mkdir(parents=True)
    script = spark / "bin" / "spark-submit"
    script.write_text(FAKE.format(python=sys.executable))
    script.chmod(0o755)
    (tmp_path / "jars").mkdir()
    (tmp_path / "jars" / "delta-spark_2.13.jar").write_text("")
    start = "import sys; from pathlib import Path; from dflib.cli import installation; " + (
        f"installation.spark_home = lambda: Path({str(spark)!r}); "
        "from dflib.cli.main import main; jobs = Path(sys.argv.pop(1)); installation.jobs_dir = lambda: jobs; main()"
    )
    return {"START": start, "DFLIB_JARS": str(tmp_path / "jars"), "PYTHONPATH": str(HOME)}


@pytest.mark.parametrize("verbose", [False, True])
def test_job_becomes_spark_submit(tmp_path: Path, fake_spark: dict[str, str], verbose: bool) -> None:
    (tmp_path / "jobs").mkdir()
    (tmp_path / "jobs" / "both.py").write_text(JOB)
    variables = {**os.environ, **fake_spark}
    command = [sys.executable, "-c", variables.pop("START"), str(tmp_path / "jobs"), "both", "--dry-run"]
    command += ["--set", "tables.metastore=none"] + (["--verbose"] if verbose else []) + ["--", "--conf", "x=y"]
    done = subprocess.run(command, env=variables, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 7, done.stderr
    assert ("incubator" in done.stderr) == verbose and "own line\n" in done.stderr
    arguments, environment = json.loads(done.stdout)
    script, application = arguments[-2:]
    assert script == str(tmp_path / "jobs" / "both.py")
    found = submit.decoded(application.removeprefix(submit.APPLICATION))
    assert (found.dry_run, found.verbose, found.config.tables.metastore) == (True, verbose, "none")
    assert arguments[-4:-2] == ["--conf", "x=y"]
    package = Path(arguments[arguments.index("--py-files") + 1])
    assert package.parent == tmp_path / "build" and package.suffix == ".zip"
    assert environment["PYTHONPATH"] == str(HOME) and environment["PYSPARK_PYTHON"] == sys.executable


@pytest.mark.parametrize(
    "option",
    [
        "spark.hadoop.fs.s3a.secret.key=hidden",
        "spark.hadoop.fs.s3a.bucket.b.access.key=hidden",
        "spark.authenticate.secret=hidden",
        "spark.hadoop.javax.jdo.option.ConnectionPassword=hidden",
        "spark.eventLog.dir=s3a://ana:hidden@bucket/x",
        "spark.hadoop.fs.azure.account.key.acct=hidden",
        "spark.driver.extraJavaOptions=-Xss4m -Djavax.net.ssl.trustStorePassword=hidden",
    ],
)
@pytest.mark.parametrize("dashes", [("--conf", "{}"), ("--conf={}",), ("-c", "{}")], ids=" ".join)
def test_secrets_among_the_options_of_spark_are_refused(
    option: str, dashes: tuple[str, ...], capsys: pytest.CaptureFixture[str], build: Path
) -> None:
    options = parse("x", "", ["--", *(part.format(option) for part in dashes)])
    with pytest.raises(SystemExit) as ended:
        submit.checked("x", options, lambda config: None)
    printed = capsys.readouterr()
    assert ended.value.code == 2 and "hidden" not in printed.out + printed.err
    assert printed.err.count("\n") == 1 and option.partition("=")[0] in printed.err


@pytest.mark.parametrize("dashes", [("--driver-java-options", "{}"), ("--driver-java-options={}",)])
def test_secrets_among_java_options_are_refused(dashes: tuple[str, ...]) -> None:
    submit.refuse_secrets(["--packages", "a:b:1@jar"])
    for option in ("-Djavax.net.ssl.trustStorePassword=hidden", "-Da=b -Dx.password=123"):
        with pytest.raises(ConfigError, match="secret on the command line") as raised:
            submit.refuse_secrets([part.format(option) for part in dashes])
        assert "hidden" not in str(raised.value) and "123" not in str(raised.value)


@pytest.mark.parametrize(
    "option",
    [
        "spark.hadoop.javax.jdo.option.ConnectionPassword=${env.DFLIB_METASTORE_PASSWORD}",
        "spark.kubernetes.authenticate.submission.oauthTokenFile=/run/token",
        "spark.authenticate=true",
        "spark.cores.max=64",
        "spark.yarn.tokens.hive.enabled=false",
        "spark.sql.redaction.tokens.max=3",
        "spark.jars.packages=a:b:1@jar",
        "spark.driver.extraJavaOptions=-Djavax.net.ssl.keyStore=/k -Dx.passwordFile=/p -Dx.token=${env.X}",
    ],
)
def test_options_of_spark_without_secrets_are_taken(option: str) -> None:
    submit.refuse_secrets(["--master", "spark://h:7077", "--conf", option])


def test_usage_errors_repeat_no_secret(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse("x", "", ["s3://ana:hidden@bucket/x", "s3:/ana:hidden@bucket/x", "https://h/x#access_token=hidden"])
    assert "hidden" not in capsys.readouterr().err


def test_options_after_the_dashes_choose_the_deploy_mode() -> None:
    options = parse("x", "", ["--set", "a.b=c", "--", "--conf", "spark.submit.deployMode=cluster", "--x"])
    assert (options.deploy_mode, options.overrides) == ("cluster", ("a.b=c",))
    assert options.spark == ("--conf", "spark.submit.deployMode=cluster", "--x")
    assert parse("x", "", ["--", "--deploy-mode", "cluster"]).deploy_mode == "cluster"
    assert parse("x", "", ["--", "--deploy-mode=client"]).deploy_mode == "client"


def test_print_submit_names_the_options_as_the_operator_of_airflow_does() -> None:
    spark = ["--properties-file", "p.conf", "--deploy-mode", "client", "--conf", "a=b=c", "--py-files", "x.zip"]
    given = ["--conf=a=d", "--verbose", "--master", "spark://h:7077", "-c", "e=f g", "--name=n"]
    environment = {"SPARK_HOME": "/spark", "PATH": "/bin", "TF_USE_LEGACY_KERAS": "1"}
    found = submit.printed([*spark, *given], ["nightly.py", "--application=x"], environment, {"PATH": "/bin"})
    assert found == {
        "application": "nightly.py",
        "application_args": ["--application=x"],
        "conf": {"a": "d", "e": "f g"},
        "env_vars": {"SPARK_HOME": "/spark", "TF_USE_LEGACY_KERAS": "1"},
        "spark_home": "/spark",
        "properties_file": "p.conf",
        "deploy_mode": "client",
        "py_files": "x.zip",
        "verbose": True,
        "master": "spark://h:7077",
        "name": "n",
    }


def test_print_submit_starts_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "jars").mkdir()
    (tmp_path / "jars" / "delta-spark_2.13.jar").write_text("")
    monkeypatch.setenv("DFLIB_JARS", str(tmp_path / "jars"))
    options = ["--print-submit", "--set", "nightly.max_flips=7", "sources.chunks=/chunks"]
    with pytest.raises(SystemExit) as ended:
        submit.job(HOME / "jobs" / "nightly.py", nightly.JOB, "", options)
    found = json.loads(capsys.readouterr().out)
    assert ended.value.code == 0
    assert found["application"] == str(HOME / "jobs" / "nightly.py")
    sent = submit.decoded(found["application_args"][0].removeprefix(submit.APPLICATION))
    assert sent.config.nightly.max_flips == 7
    assert Path(found["py_files"]).is_file() and Path(found["properties_file"]).is_file()
