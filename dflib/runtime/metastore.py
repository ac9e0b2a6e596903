"""Spark settings of the metastore, which holds the names of the tables."""

import hashlib
import os
import re
import zipfile
from pathlib import Path

import pyspark

from dflib.config import Config
from dflib.errors import ConfigError
from dflib.storage import local_path

PASSWORD = "DFLIB_METASTORE_PASSWORD"
"""Variable with the password of the PostgreSQL user.  Spark's settings hold its name only and Hadoop substitutes
the value where it is read, so that it is in no command line, file, page, event log or run record.  (A ``.pgpass`` does
not work: Hive always passes a password to the driver.)"""


CATALOG = "spark.sql.catalogImplementation"
BY_PATH = ("--conf", f"{CATALOG}=in-memory")
"""Options of spark-submit for jobs, after those of :func:`settings`.  Jobs read and write by path, and must not fail
when the metastore can't be reached.  A session of :func:`dflib.runtime.session.with_names` registers names."""


def settings(config: Config, makes_schema: bool = False) -> dict[str, str]:
    """Spark settings of the configured metastore; none where the Spark properties set it.

    Args:
        config: the configuration; ``tables`` is used.
        makes_schema: whether to create the metastore in an empty PostgreSQL database.

    Raises:
        ConfigError: an embedded metastore with tables that are not on a local disk; or the password is missing.
    """
    hive = {CATALOG: "hive"}
    if config.tables.metastore == "embedded":
        return hive | _embedded(config.tables.root)
    if config.tables.metastore == "postgres":
        assert config.tables.metastore_at is not None
        return hive | _postgres(config.tables.metastore_at) | (_schema_maker() if makes_schema else {})
    return {}


def check_names(config: Config) -> None:
    """Checks that the tables are registered, for commands that read them by name.

    Raises:
        ConfigError: the embedded metastore has no names for these tables.
    """
    if config.tables.metastore == "embedded" and not (_folder(config.tables.root) / "derby").is_dir():
        raise ConfigError(
            f"no names are registered for the tables below {config.tables.root}: there are none yet, or they were "
            "copied or moved, or registered by an earlier version; run the job register on this tables.root first"
        )


def _embedded(root: str) -> dict[str, str]:
    """A Derby database below ``<tables.root>/_metastore``, for one session at a time."""
    folder = _folder(root)
    return {
        "spark.sql.warehouse.dir": f"{folder}/warehouse",
        "spark.hadoop.javax.jdo.option.ConnectionURL": f"jdbc:derby:;databaseName={folder}/derby;create=true",
    }


def _folder(root: str) -> Path:
    """The folder of the embedded metastore.

    A metastore holds absolute paths.  The hash of the root's own path in its name keeps a copy of the root from using
    the original's metastore, in which SQL would read and change the original's tables.
    """
    local = local_path(root)
    if local is None:
        raise ConfigError(
            f"tables.metastore=embedded needs tables.root on a local disk, not {root}; "
            "set tables.metastore to postgres, external or none"
        )
    return local / "_metastore" / hashlib.sha256(os.path.normpath(local).encode()).hexdigest()[:12]


def _postgres(place: str) -> dict[str, str]:
    """A PostgreSQL database, for as many sessions as it has connections for."""
    if PASSWORD not in os.environ:
        raise ConfigError(
            f"tables.metastore=postgres: put the password for {place} into the variable {PASSWORD} "
            "(empty when the server asks for none)"
        )
    user, _, address = place.partition("@")
    jdo = "spark.hadoop.javax.jdo.option.Connection"
    return {
        f"{jdo}URL": f"jdbc:postgresql://{address}",
        f"{jdo}DriverName": "org.postgresql.Driver",
        f"{jdo}UserName": user,
        f"{jdo}Password": f"${{env.{PASSWORD}}}",
        # Hive checks a version that only its own scripts write.
        "spark.hadoop.hive.metastore.schema.verification": "false",
        # At its end a job waits seconds, not a minute, for an unavailable database.
        "spark.hadoop.hive.hmshandler.retry.attempts": "1",
    }


def _schema_maker() -> dict[str, str]:
    """Makes DataNucleus create all metastore tables at the start; creating them one by one deadlocks."""
    (jar,) = (Path(pyspark.__file__).parent / "jars").glob("hive-metastore-*.jar")
    with zipfile.ZipFile(jar) as archive:
        model = archive.read("package.jdo").decode()
    classes = re.findall(r'<class name="(\w+)"', model)
    nucleus = "spark.hadoop.datanucleus"
    return {
        f"{nucleus}.schema.autoCreateAll": "true",
        f"{nucleus}.autoStartMechanism": "Classes",
        f"{nucleus}.autoStartClassNames": ",".join(
            f"org.apache.hadoop.hive.metastore.model.{name}" for name in classes
        ),
    }
