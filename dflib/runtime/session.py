"""The Spark session of a job, and what spark-submit is told before it starts one."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from pyspark.sql import SparkSession

from dflib.config import Config
from dflib.config.load import env_chain
from dflib.errors import ConfigError
from dflib.runtime import metastore
from dflib.storage import for_jvm, local_path, scheme


def build(name: str) -> SparkSession:
    """The session of a job. Everything about it was said by spark-submit; only the name is added."""
    spark = SparkSession.builder.appName(name).getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    return spark


def interactive(properties: Path, jars: Path, overrides: Mapping[str, str] | None = None) -> SparkSession:
    """A session without spark-submit, for notebooks and tests.

    Args:
        properties: a file of ``conf/spark``.
        jars: the folder of the Delta jars.
        overrides: settings laid over the file's.

    Raises:
        ConfigError: there are no Delta jars in the folder.
    """
    if not list(jars.glob("*delta-spark*.jar")):
        raise ConfigError(f"no Delta jars in {jars}; run 'make setup', or set DFLIB_JARS")
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    settings = {**read_properties(properties), "spark.driver.extraClassPath": f"{jars}/*", **(overrides or {})}
    builder = SparkSession.builder.appName("dflib")
    for key, value in settings.items():
        builder = builder.config(key, value)
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    return spark


def read_properties(path: Path) -> dict[str, str]:
    """The settings of a Spark properties file of ``key value`` lines."""
    lines = [line.strip() for line in path.read_text().splitlines()]
    pairs = [line.split(None, 1) for line in lines if line and not line.startswith("#")]
    return {key: value.strip() for key, value in pairs}


def submit_arguments(
    config: Config, conf_dir: Path, env: str, makes_schema: bool = False, deploy_mode: str | None = None
) -> list[str]:
    """Arguments for spark-submit and spark-sql that follow from the configuration.

    ``makes_schema`` as in :func:`dflib.runtime.metastore.settings`; ``deploy_mode`` is where the driver runs, here
    (``client``) or on the ``cluster``: what the properties file says, unless it is given.

    Raises:
        ConfigError: no properties file for the environment or those it extends; the metastore asked for can't be; or
            S3 is asked for, and no region is known.
    """
    chain = env_chain(conf_dir, env)
    files = [conf_dir / "spark" / f"{name}.conf" for name in chain]
    found = next((path for path in files if path.is_file()), None)
    if found is None:
        raise ConfigError(f"--env {env}: none of {', '.join(map(str, files))} exists; write one of them")
    read = read_properties(found)
    mode = deploy_mode or read.get("spark.submit.deployMode", "client")
    arguments = ["--properties-file", str(found), "--deploy-mode", mode]
    jars = Path(os.environ.get("DFLIB_JARS", ".jars/jars"))
    if not read.get("spark.master", "local").startswith("local") and "spark.executor.extraClassPath" not in read:
        # Executors that have no folder of jars of their own get them from the driver.
        arguments += ["--jars", ",".join(sorted(map(str, jars.glob("*.jar"))))]
    if mode != "cluster":
        arguments += ["--driver-class-path", f"{jars}/*"]
    if read.get("spark.executor.resource.gpu.discoveryScript") == "./gpus.sh":
        # YARN lays it into the folder of each container.
        arguments += ["--conf", f"spark.yarn.dist.files=file://{conf_dir.resolve()}/spark/gpus.sh"]
    settings = [
        metastore.settings(config, makes_schema),
        scheme.spark_conf(config),
        watch_conf(config),
        thrift_conf(config),
        java_options(found, conf_dir, here=mode != "cluster"),
    ]
    for key, value in (pair for each in settings for pair in each.items()):
        arguments += ["--conf", f"{key}={value}"]
    return arguments


def java_options(properties: Path, conf_dir: Path, here: bool = True) -> dict[str, str]:
    """The driver's Java options: of the properties file and, where it runs ``here``, DFLIB_JAVA_OPTIONS; quiet logs."""
    read = read_properties(properties)
    options = [read.get("spark.driver.extraJavaOptions", ""), "-Dderby.stream.error.file=/dev/null"]
    if here:
        # Files of this machine.
        options += [
            os.environ.get("DFLIB_JAVA_OPTIONS", ""),
            f"-Dlog4j2.configurationFile=file:{conf_dir}/log4j2.properties",
        ]
    return {"spark.driver.extraJavaOptions": " ".join(filter(None, options))}


def watch_conf(config: Config) -> dict[str, str]:
    """Spark settings of the event log and of Spark's page with its Prometheus endpoints, where they are asked for."""
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
    """Spark wants the folder of the event logs to be there; on S3 there are no folders.

    Raises:
        ConfigError: it can't be made.
    """
    events = config.monitoring.event_log
    folder = None if events is None else local_path(events)
    if folder is not None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"monitoring.event_log={events}: the folder can't be made: {error.strerror}") from None


def thrift_conf(config: Config) -> dict[str, str]:
    """Spark settings that say where the Thrift server answers; of no effect without one."""
    server = "spark.hadoop.hive.server2.thrift"
    return {f"{server}.bind.host": config.sql.host, f"{server}.port": str(config.sql.port)}


def is_local(spark: SparkSession) -> bool:
    """Whether tasks run in the driver's own process (``local[*]``)."""
    return (spark.sparkContext.master or "").startswith("local[") or spark.sparkContext.master == "local"


def task_cores(spark: SparkSession) -> int:
    """Cores that Spark gives to one task."""
    return int(spark.conf.get("spark.task.cpus", "1") or 1)
