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
"""Variable with the password of the PostgreSQL user.  Spark is told its name only: Hadoop puts the value in where it
is read, so that it is in no command line, file, page, event log or run record.  (A ``.pgpass`` is of no use: Hive gives
the driver a password in any case.)"""


def settings(config: Config, makes_schema: bool = False) -> dict[str, str]:
    """Spark settings of the metastore that the configuration asks for; none where the Spark properties say it.

    Args:
        config: the configuration; ``tables`` is used.
        makes_schema: whether a PostgreSQL database that holds no metastore yet becomes one.

    Raises:
        ConfigError: an embedded metastore beside tables that are not on a local disk; or the password is missing.
    """
    hive = {"spark.sql.catalogImplementation": "hive"}
    if config.tables.metastore == "embedded":
        return hive | _embedded(config.tables.root)
    if config.tables.metastore == "postgres":
        assert config.tables.metastore_at is not None
        return hive | _postgres(config.tables.metastore_at) | (_schema_maker() if makes_schema else {})
    return {}


def check_names(config: Config) -> None:
    """For commands that read tables by name, and so depend on a job having registered them.

    Raises:
        ConfigError: the embedded metastore has no names for tables in this place.
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
        # Hive's own scripts would write the version that it looks for.
        "spark.hadoop.hive.metastore.schema.verification": "false",
        # A job waits seconds and not a minute at its end for a database that is not there.
        "spark.hadoop.hive.hmshandler.retry.attempts": "1",
    }


def _schema_maker() -> dict[str, str]:
    """Lets DataNucleus make all of the metastore's tables at the start; made one by one later, they deadlock."""
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
