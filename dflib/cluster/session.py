"""The Spark session of a job, and what spark-submit is told before it starts one."""

from pathlib import Path

from pyspark.sql import SparkSession

from dflib import uris
from dflib.config import Config, env_chain
from dflib.errors import ConfigError


def build(name: str) -> SparkSession:
    """The session of a job. Everything about it was said by spark-submit; only the name is added."""
    spark = SparkSession.builder.appName(name).getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    return spark


def submit_arguments(config: Config, conf_dir: Path, env: str) -> list[str]:
    """Arguments for spark-submit and spark-sql that follow from the configuration.

    Raises:
        ConfigError: no properties file for the environment or those it extends; or an embedded
            metastore is asked for beside tables that are not on a local disk.
    """
    chain = env_chain(conf_dir, env)
    files = [conf_dir / "spark" / f"{name}.conf" for name in chain]
    found = next((path for path in files if path.is_file()), None)
    if found is None:
        raise ConfigError(f"--env {env}: none of {', '.join(map(str, files))} exists; write one of them")
    arguments = ["--properties-file", str(found)]
    for key, value in metastore_conf(config).items():
        arguments += ["--conf", f"{key}={value}"]
    return arguments


def metastore_conf(config: Config) -> dict[str, str]:
    """Spark settings of the metastore that the configuration asks for.

    Embedded: a Derby database ``<tables.root>/_metastore``, for one session at a time.
    External: whatever the environment's Spark properties say.
    """
    if config.tables.metastore != "embedded":
        return {}
    if not uris.is_local(config.tables.root):
        raise ConfigError(
            f"tables.metastore=embedded needs tables.root on a local disk, not {config.tables.root}; "
            "set tables.metastore to external or none"
        )
    folder = uris.local_path(config.tables.root) / "_metastore"
    return {
        "spark.sql.catalogImplementation": "hive",
        "spark.sql.warehouse.dir": f"{folder}/warehouse",
        "spark.hadoop.javax.jdo.option.ConnectionURL": f"jdbc:derby:;databaseName={folder}/derby;create=true",
    }
