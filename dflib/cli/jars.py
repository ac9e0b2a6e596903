"""``dflib setup``: fetches the jars beside Spark's own once, so that jobs start without a network."""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from dflib.cli import installation
from dflib.errors import DflibError, StorageError

AWS = "2.25.53"
PACKAGES = (
    "io.delta:delta-spark_2.13:4.0.1",
    # S3 for the JVM: the parts of the AWS SDK that S3A uses, in place of its bundle of 558 MB.
    "org.apache.hadoop:hadoop-aws:3.4.1",
    *(
        f"software.amazon.awssdk:{name}:{AWS}"
        for name in ("s3", "s3-transfer-manager", "sts", "apache-client", "netty-nio-client")
    ),
    # Spark's way to S3A's committers. It is not published for each patch of Spark; any of 4.0 fits.
    "org.apache.spark:spark-hadoop-cloud_2.13:4.0.1",
    # The metastore of a team.
    "org.postgresql:postgresql:42.7.8",
)
EXCLUDED = (
    # The bundle, and what Spark has already.
    "software.amazon.awssdk:bundle",
    *(
        f"{group}:*"
        for group in (
            "io.netty",
            "org.slf4j",
            "org.wildfly.openssl",
            "commons-logging",
            "org.apache.httpcomponents",
            "commons-codec",
            "org.antlr",
            "org.checkerframework",
        )
    ),
    # Of spark-hadoop-cloud only the jar itself.
    "org.apache.spark:spark-core_2.13",
    *(
        f"{group}:*"
        for group in (
            "org.scala-lang",
            "org.scala-lang.modules",
            "joda-time",
            "com.google.*",
            "com.fasterxml.*",
            "com.squareup.*",
            "org.eclipse.jetty",
            "org.apache.hadoop.thirdparty",
        )
    ),
    *(
        f"org.apache.hadoop:hadoop-{name}"
        for name in (
            "client-api",
            "client-runtime",
            "annotations",
            "azure",
            "azure-datalake",
            "cloud-storage",
            "aliyun",
            "cos",
            "huaweicloud",
        )
    ),
)
NEEDED = ("delta-spark", "hadoop-aws", "hadoop-cloud", "postgresql")
"""A jar of each must be there afterwards."""

SESSION = """
CREATE TABLE {table} (id BIGINT NOT NULL, name STRING) USING delta;
INSERT INTO {table} VALUES (1, 'a'), (2, 'b');
MERGE INTO {table} t USING (SELECT id + 1 AS id, name FROM {table}) s ON t.id = s.id WHEN NOT MATCHED THEN INSERT *;
SELECT name, count(DISTINCT id) FROM {table} GROUP BY name;
DESCRIBE HISTORY {table};
CREATE DATABASE d; SHOW TABLES IN d;
"""
"""A small Delta session, whose classes go into the class archive."""


def main(arguments: Sequence[str]) -> NoReturn:
    """Runs ``dflib setup`` and exits: 0 done, 1 failed."""
    parser = argparse.ArgumentParser(prog="dflib setup", description=__doc__)
    parser.add_argument(
        "folder", type=Path, nargs="?", help="jars go into FOLDER/jars; default: where jobs look for them"
    )
    parser.add_argument("--no-class-archive", action="store_true", help="leaves out what makes drivers start faster")
    options = parser.parse_args(arguments)
    folder: Path = options.folder or installation.jars_dir().parent
    try:
        jars = fetch(folder)
        if not options.no_class_archive:
            archive_classes(folder)
    except DflibError as error:
        print(f"setup: {error}", file=sys.stderr)
        sys.exit(1)
    hint = "" if jars == installation.jars_dir().resolve() else f"; set DFLIB_JARS={jars}"
    print(f"setup: {len(list(jars.glob('*.jar')))} jars in {jars}{hint}")
    sys.exit(0)


def fetch(folder: Path) -> Path:
    """Fetches the jars into ``folder/jars`` with Spark's Ivy and returns that folder.

    Raises:
        StorageError: they can't be fetched.
    """
    folder.mkdir(parents=True, exist_ok=True)
    folder = folder.resolve()
    with tempfile.TemporaryDirectory() as work:
        script = Path(work) / "nothing.py"
        script.write_text("")
        command = [
            str(installation.spark_home() / "bin" / "spark-submit"),
            *("--conf", f"spark.jars.ivy={folder}"),
            *("--packages", ",".join(PACKAGES), "--exclude-packages", ",".join(EXCLUDED)),
            str(script),
        ]
        _run(command, {"SPARK_HOME": str(installation.spark_home()), "PYSPARK_PYTHON": sys.executable}, folder)
    missing = [name for name in NEEDED if not list((folder / "jars").glob(f"*{name}*.jar"))]
    if missing:
        raise StorageError(f"{folder / 'jars'}: no jar of {', '.join(missing)} was fetched; run setup again")
    return folder / "jars"


def archive_classes(folder: Path) -> Path:
    """Writes ``folder/classes.jsa``, the classes that a small Delta session loads (Java's class data sharing).

    Every driver is started with it. Without the file, or with another Java, all works the same, only slower.

    Raises:
        StorageError: the session failed.
    """
    archive = folder.resolve() / "classes.jsa"
    with tempfile.TemporaryDirectory() as work:
        sql = SESSION.format(table=f"delta.`{work}/t`")
        # This dflib, whatever the environment has installed.
        code = "import sys; sys.path[0] = sys.argv.pop(1); from dflib.cli.main import main; main()"
        command = [sys.executable, "-c", code, str(installation.PACKAGE.parent), "sql"]
        command += [
            "--conf-dir",
            str(installation.packaged_conf()),
            "--set",
            f"tables.root={work}/tables",
            # An embedded metastore is refused where nothing is registered yet; this session makes one of its own.
            "tables.metastore=external",
            "--",
            "--conf",
            "spark.sql.catalogImplementation=hive",
            "--conf",
            f"spark.sql.warehouse.dir={work}/warehouse",
            "--conf",
            f"spark.hadoop.javax.jdo.option.ConnectionURL=jdbc:derby:;databaseName={work}/derby;create=true",
            "-e",
            sql,
        ]
        variables = {
            "DFLIB_JARS": str(folder.resolve() / "jars"),
            "DFLIB_JAVA_OPTIONS": f"-XX:ArchiveClassesAtExit={archive} -Xlog:disable",
            "DFLIB_BUILD": work,
        }
        _run(command, variables, Path(work))
    return archive


def _run(command: Sequence[str], variables: Mapping[str, str], folder: Path) -> None:
    """Runs a command with its output kept, and shows the output when it fails."""
    done = subprocess.run(
        command,
        env={**os.environ, **variables},
        cwd=folder,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode != 0:
        lines = (done.stdout + done.stderr).strip().splitlines()
        raise StorageError("Spark can't be run for the set-up; the end of its output:\n" + "\n".join(lines[-20:]))
