"""From a configuration to the command line and the environment of spark-submit."""

import base64
import getpass
import hashlib
import json
import os
import re
import socket
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from dflib import uris
from dflib.cli import installation, launch
from dflib.cli.options import Options, parse
from dflib.cli.package import pack, write_once
from dflib.config import Config
from dflib.config.load import env_chain, load
from dflib.errors import ConfigError
from dflib.runtime import metastore, properties, session
from dflib.runtime.runs import code_version
from dflib.steps.runner import Application
from dflib.steps.step import Job
from dflib.storage import for_jvm, local_path, scheme


@dataclass(frozen=True)
class Submission:
    """What spark-submit is called with, except for what it runs.

    Attributes:
        arguments: of spark-submit.
        on_cluster: whether the driver runs on the cluster.
        on_kubernetes: whether the master is Kubernetes.
        is_local: whether tasks run on this machine only, in the driver's JVM and children of that.
        folders: where Spark's temporary files may lie on this machine.
    """

    arguments: tuple[str, ...]
    on_cluster: bool
    on_kubernetes: bool
    is_local: bool = False
    folders: tuple[str, ...] = ()


SECRET = "DFLIB_SPARK_SECRET"
"""Variable with the secret of a standalone cluster (``spark.authenticate.secret``); YARN and Kubernetes make one for
each application by themselves."""


def job(script: Path, job: Job, description: str, arguments: Sequence[str]) -> NoReturn:
    """Checks the configuration of a job and starts it; exits with its exit code, or with 2 before Spark starts.

    Args:
        script: the job's file, which becomes the driver.
        job: the job.
        description: for ``--help``.
        arguments: of the command line, without the job's name.
    """
    options = parse(job.name, description, arguments, job.all_arguments)
    config, submission = checked(job.name, options, job.check_all, job.creates_metastore)
    application = Application(
        config=config,
        code_version=code_version(),
        dry_run=options.dry_run,
        verbose=options.verbose,
        submitted_by=_submitter(),
    )
    spark = [
        *submission.arguments,
        *metastore.BY_PATH,
        "--py-files",
        str(pack(installation.build_dir())),
        *options.spark,
    ]
    driver = [str(script.resolve()), f"{APPLICATION}{encoded(application)}"]
    variables = environment(submission, os.environ)
    if options.print_submit:
        print(json.dumps(printed(spark, driver, variables, os.environ), indent=2))
        sys.exit(0)
    command = [str(installation.spark_home() / "bin" / "spark-submit"), *spark, *driver]
    if submission.on_cluster:
        sys.exit(launch.follow(command, variables, options.verbose, submission.on_kubernetes))
    launch.become(command, variables, job.name, options.verbose, submission.folders, has_driver=True)


def printed(
    spark: Sequence[str], driver: Sequence[str], variables: Mapping[str, str], current: Mapping[str, str]
) -> dict[str, Any]:
    """What ``--print-submit`` prints: the options of spark-submit under the names of Airflow's SparkSubmitOperator.

    Args:
        spark: options of spark-submit, in order; of an option that comes twice the last counts, as in spark-submit.
        driver: the application and its arguments.
        variables: the environment of spark-submit.
        current: the environment of this process, whose variables are not repeated.

    Returns:
        Options by name with underscores, ``conf`` as a mapping; ``application``, ``application_args``, ``env_vars``,
        and ``spark_home``, whose ``bin`` must come first in the scheduler's PATH.
    """
    conf: dict[str, str] = {}
    found: dict[str, Any] = {
        "application": driver[0],
        "application_args": list(driver[1:]),
        "conf": conf,
        "env_vars": {name: value for name, value in variables.items() if current.get(name) != value},
        "spark_home": variables["SPARK_HOME"],
    }
    rest = list(spark)
    while rest:
        name, equals, value = rest.pop(0).partition("=")
        if not equals and name not in SWITCHES and rest:
            value = rest.pop(0)
        if name in ("--conf", "-c"):
            key, _, setting = value.partition("=")
            conf[key] = setting
        else:
            found[name.lstrip("-").replace("-", "_")] = True if name in SWITCHES else value
    return found


SWITCHES = ("--verbose", "-v", "--supervise")
"""Options of spark-submit that take no value."""


def _submitter() -> str:
    """User and machine, such as ``ana@gate-1``."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a user without a name, as in containers
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"


APPLICATION = "--application="
"""Prefix of the driver's one argument."""


def encoded(application: Application) -> str:
    """An application as the driver's argument. In base64, because YARN replaces two closing braces in an argument."""
    return base64.b64encode(application.model_dump_json().encode()).decode()


def decoded(text: str) -> Application:
    """The inverse of :func:`encoded`."""
    return Application.model_validate_json(base64.b64decode(text))


def checked(
    name: str, options: Options, check: Callable[[Config], None], creates_metastore: bool = False
) -> tuple[Config, Submission]:
    """The configuration of a job or tool and its submission; prints an error in them and exits with 2.

    Args:
        check: raises :class:`ConfigError` when the configuration can't be used.
        creates_metastore: as in :func:`dflib.runtime.metastore.settings`.
    """
    try:
        refuse_secrets(options.spark)
        installation.check()
        conf_dir = installation.conf_dir(options.conf_dir)
        config = load(conf_dir, options.env, options.overrides)
        check(config)
        submission = prepare(config, conf_dir, options, creates_metastore)
        make_event_folder(config)
    except ConfigError as error:
        print(f"{name}: {error}", file=sys.stderr)
        sys.exit(2)
    return config, submission


def prepare(config: Config, conf_dir: Path, options: Options, creates_metastore: bool = False) -> Submission:
    """The arguments for spark-submit and spark-sql that follow from a configuration.

    Spark takes one properties file, so one is written to the build folder: ``conf/spark/common.conf`` with the
    environment's own file over it.

    Args:
        creates_metastore: as in :func:`dflib.runtime.metastore.settings`.

    Raises:
        ConfigError: the environment, or those that it extends, has no properties file; the metastore asked for is not
            possible; or S3 is used and no region is known.
    """
    chain = env_chain(conf_dir, options.env)
    files = [conf_dir / "spark" / f"{name}.conf" for name in chain]
    path = next((path for path in files if path.is_file()), None)
    if path is None:
        raise ConfigError(f"--env {options.env}: none of {', '.join(map(str, files))} exists; write one of them")
    found = properties.merged(path)
    chosen = {**found, **_chosen(options.spark)}
    master = chosen.get("spark.master", "local")
    if master.startswith("spark://") and (secret := os.environ.get(SECRET)):
        # In the properties file, which only its user can read, and in no command line.
        found |= {"spark.authenticate": "true", "spark.authenticate.secret": secret}
    mode = options.deploy_mode or found.get("spark.submit.deployMode", "client")
    here = mode != "cluster"
    content = properties.write(found).encode()
    name = f"spark-{hashlib.sha256(content).hexdigest()[:12]}.conf"
    merged = write_once(installation.build_dir() / name, content)
    arguments = ["--properties-file", str(merged), "--deploy-mode", mode]
    jars = installation.jars_dir()
    if not found.get("spark.master", "local").startswith("local") and "spark.executor.extraClassPath" not in found:
        # Executors that have no folder of jars of their own get them from the driver.
        arguments += ["--jars", ",".join(sorted(map(str, jars.glob("*.jar"))))]
    if here:
        arguments += ["--driver-class-path", f"{jars}/*"]
    if found.get("spark.executor.resource.gpu.discoveryScript") == "./gpus.sh":
        # YARN puts it into the working folder of each container.
        arguments += ["--conf", f"spark.yarn.dist.files=file://{conf_dir.resolve()}/spark/gpus.sh"]
    settings: dict[str, str] = {
        **session.file_modes(),
        **metastore.settings(config, creates_metastore),
        **scheme.spark_conf(config),
        **monitoring_conf(config),
        **thrift_conf(config),
        **session.java_options(path, conf_dir, here, options.verbose, class_archive_options(jars)),
    }
    for key, value in settings.items():
        arguments += ["--conf", f"{key}={value}"]
    temporary = os.environ.get("SPARK_LOCAL_DIRS") or chosen.get("spark.local.dir") or tempfile.gettempdir()
    return Submission(
        tuple(arguments),
        on_cluster=not here,
        on_kubernetes=master.startswith("k8s://"),
        is_local=here and master.startswith("local"),
        folders=tuple(folder.strip() for folder in temporary.split(",") if folder.strip()),
    )


def _chosen(spark: Sequence[str]) -> dict[str, str]:
    """The settings among options of spark-submit; those after ``--`` come over those of the properties file."""
    options = printed(spark, ("", ""), {"SPARK_HOME": ""}, {})
    conf: dict[str, str] = options["conf"]
    return conf | ({"spark.master": options["master"]} if "master" in options else {})


def refuse_secrets(spark: Sequence[str]) -> None:
    """Checks that no option of spark-submit holds a secret: every user of the machine could read it.

    Raises:
        ConfigError: a setting is one by its name, unless it refers to a variable or file; or a value holds a URI with
            one.
    """
    for option in spark:
        name, _, value = option.removeprefix("--conf=").partition("=")
        settings = [(name, value)] if name.startswith("spark.") else []
        settings += _JAVA_PROPERTY.findall(option)
        if uris.secret_in(option) or any(_is_secret(*setting) for setting in settings):
            raise ConfigError(
                f"-- {uris.masked(name)}: a secret on the command line can be read by every user of this machine; "
                "put it into a properties file in conf/spark that only you can read, or, for S3, use the default AWS "
                "chain"
            )


_JAVA_PROPERTY = re.compile(r"""(?<![^\s='"])-D([^\s=]+)=["']?([^\s"']+)""")
# Spark hides the values of such settings, too (spark.redaction.regex).
_SECRET_SETTING = re.compile(r"(?:secret|passw(?:or)?d|token|(?:access|account)[.]?key)(?!.*file$)", re.IGNORECASE)
_SWITCH = re.compile(r"true|false", re.IGNORECASE)


def _is_secret(name: str, value: str) -> bool:
    """Whether a setting is a secret by its name, and neither refers to one nor is a switch or a limit of them."""
    found = _SECRET_SETTING.search(name)
    if found is None or not value or value.startswith("${") or _SWITCH.fullmatch(value):
        return False
    return not value.isdecimal() or found.end() == len(name)


def class_archive_options(jars: Path) -> str:
    """Java options of the archive of parsed classes beside the jars, which saves seconds at each start; else empty.

    Java would print what it thinks of an archive that does not fit; without one all works the same.
    """
    archive = jars.parent / "classes.jsa"
    return f"-XX:SharedArchiveFile={archive} -Xlog:disable -Xlog:all=error:stderr" if archive.is_file() else ""


def environment(submission: Submission, current: Mapping[str, str]) -> dict[str, str]:
    """The environment of spark-submit: the current one, with what driver and executors need.

    Executors elsewhere get the same through ``spark.executorEnv`` of the properties file.
    """
    variables = dict(current)
    variables["SPARK_HOME"] = str(installation.spark_home())
    variables["PYSPARK_PYTHON"] = current.get("DFLIB_EXECUTOR_PYTHON") or sys.executable
    if not submission.on_cluster:
        variables["PYSPARK_DRIVER_PYTHON"] = sys.executable
    elif submission.on_kubernetes:
        # This machine's JVM puts what the job brings onto S3 (spark.kubernetes.file.upload.path); not run.
        variables["SPARK_DIST_CLASSPATH"] = f"{installation.jars_dir()}/*"
    if submission.is_local:
        # Nobody else needs the driver, its blocks and its page.
        variables.setdefault("SPARK_LOCAL_IP", session.LOOPBACK)
    variables["TF_USE_LEGACY_KERAS"] = "1"
    variables.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if sys.stderr.isatty():
        # Spark puts pipes between the driver and the terminal; progress goes past them.
        variables["DFLIB_TERMINAL"] = "/dev/tty"
    return variables


def monitoring_conf(config: Config) -> dict[str, str]:
    """Spark settings of the event log, and of Spark's page with its Prometheus endpoints, where they are set."""
    settings: dict[str, str] = {}
    if config.monitoring.event_log is not None:
        folder = for_jvm(config.monitoring.event_log)
        settings |= {
            "spark.eventLog.enabled": "true",
            "spark.eventLog.dir": folder,
            "spark.history.fs.logDirectory": folder,
        }
    if config.monitoring.ui_port is not None:
        settings |= {
            "spark.ui.enabled": "true",
            "spark.ui.port": str(config.monitoring.ui_port),
            "spark.ui.prometheus.enabled": "true",
            "spark.metrics.conf.*.sink.prometheusServlet.class": "org.apache.spark.metrics.sink.PrometheusServlet",
            "spark.metrics.conf.*.sink.prometheusServlet.path": "/metrics/prometheus",
            "spark.metrics.namespace": "dflib",
        }
    return settings


def make_event_folder(config: Config) -> None:
    """Creates the folder of the event logs, which Spark expects to exist; S3 has no folders.

    Raises:
        ConfigError: it can't be created.
    """
    events = config.monitoring.event_log
    folder = None if events is None else local_path(events)
    if folder is not None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"monitoring.event_log={events}: can't create the folder: {error.strerror}") from None


def thrift_conf(config: Config) -> dict[str, str]:
    """Spark settings of the Thrift server's address; without effect in jobs."""
    server = "spark.hadoop.hive.server2.thrift"
    return {f"{server}.bind.host": config.sql.host, f"{server}.port": str(config.sql.port)}
