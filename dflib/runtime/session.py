"""The Spark session of a job."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from py4j.protocol import Py4JJavaError
from pyspark.sql import SparkSession

from dflib.errors import ClusterError, ConfigError
from dflib.runtime import metastore, properties

LOOPBACK = "127.0.0.1"
"""Where a session on one machine listens: nobody else needs its driver, its blocks and its page."""


def file_modes() -> dict[str, str]:
    """The setting by which the JVM honours the umask of this process, for which it does not ask by itself."""
    mask = os.umask(0o077)
    os.umask(mask)
    return {"spark.hadoop.fs.permissions.umask-mode": f"{mask:03o}"}


def build(name: str, verbose: bool = False) -> SparkSession:
    """The session of a job: with the settings of spark-submit and this name.

    Args:
        verbose: whether Spark logs warnings, too, and not only errors.

    Raises:
        ClusterError: the cluster does not let the job in.
    """
    try:
        spark = SparkSession.builder.appName(name).getOrCreate()
    except Py4JJavaError as error:
        # A context that ends by itself while the session is made; Java's messages do not say why.
        if "stopped SparkContext" not in str(error) and "All masters are unresponsive" not in str(error):
            raise
        raise ClusterError(
            "the cluster did not let the job in: its master does not answer, or has another secret; check spark.master "
            "and DFLIB_SPARK_SECRET (docs/cluster.md), and run the job again with --verbose to see what it answered"
        ) from None
    spark.sparkContext.setLogLevel("WARN" if verbose else "ERROR")
    return spark


def with_names(spark: SparkSession) -> SparkSession:
    """A further session of the same application, which uses the metastore of its settings.

    The session of a job does not: see :data:`dflib.runtime.metastore.BY_PATH`.
    """
    context = spark.sparkContext
    assert context._jvm is not None and context._jsc is not None
    options = context._jvm.java.util.HashMap()
    options.put(metastore.CATALOG, "hive")
    session = context._jvm.org.apache.spark.sql.classic.SparkSession(context._jsc.sc(), options)
    return SparkSession(context, session)


def interactive(properties_file: Path, jars: Path, overrides: Mapping[str, str] | None = None) -> SparkSession:
    """A session without spark-submit, for notebooks and tests.

    Args:
        properties_file: a file of ``conf/spark``.
        jars: the folder of the Delta jars.
        overrides: settings that replace those of the file.

    Raises:
        ConfigError: the folder holds no Delta jars.
    """
    if not list(jars.glob("*delta-spark*.jar")):
        raise ConfigError(f"no Delta jars in {jars}; run 'make setup', or set DFLIB_JARS")
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    settings = {
        **properties.merged(properties_file),
        **file_modes(),
        "spark.driver.extraClassPath": f"{jars}/*",
        **(overrides or {}),
    }
    if settings.get("spark.master", "local").startswith("local"):
        settings = {"spark.driver.bindAddress": LOOPBACK, "spark.driver.host": LOOPBACK, **settings}
    builder = SparkSession.builder.appName("dflib")
    for key, value in settings.items():
        builder = builder.config(key, value)
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    return spark


def java_options(
    properties_file: Path, conf_dir: Path, here: bool = True, verbose: bool = False, default: str = ""
) -> dict[str, str]:
    """The setting of the driver's Java options: those of the properties file and, for a driver on this machine, others.

    Args:
        properties_file: a file of ``conf/spark``.
        conf_dir: the folder of the configuration, for log4j2.properties.
        here: whether the driver runs on this machine.
        verbose: whether Spark logs warnings, too, and not only errors.
        default: options of this machine's JVM where the variable DFLIB_JAVA_OPTIONS is not set.
    """
    options = [
        properties.merged(properties_file).get("spark.driver.extraJavaOptions", ""),
        "-Dderby.stream.error.file=/dev/null",
    ]
    if here:
        options += [
            os.environ.get("DFLIB_JAVA_OPTIONS") or default,
            f"-Dlog4j2.configurationFile=file:{conf_dir}/log4j2.properties",
            "-Ddflib.log.level=warn" if verbose else "",
        ]
    return {"spark.driver.extraJavaOptions": " ".join(filter(None, options))}


def is_local(spark: SparkSession) -> bool:
    """Whether tasks run on the driver's machine only, in its JVM and children of that (``local[*]``)."""
    return (spark.sparkContext.master or "").startswith("local[") or spark.sparkContext.master == "local"


def task_cores(spark: SparkSession) -> int:
    """Cores that Spark gives to one task."""
    return int(spark.conf.get("spark.task.cpus", "1") or 1)
