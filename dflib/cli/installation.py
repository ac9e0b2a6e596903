"""Where this installation of dflib keeps its files: beside the package in a checkout, or inside it."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pyspark

import dflib
from dflib.errors import ConfigError

PACKAGE = Path(dflib.__file__).parent


def checkout() -> Path | None:
    """The root of the checkout that dflib runs from; None when it was installed from a wheel."""
    root = PACKAGE.parent
    return root if (root / "conf" / "base.yml").is_file() and not (PACKAGE / "_conf").is_dir() else None


def packaged_conf() -> Path:
    """The folder ``conf`` that comes with dflib."""
    root = checkout()
    return root / "conf" if root else PACKAGE / "_conf"


def conf_dir(option: Path | None = None) -> Path:
    """The folder of the configuration: ``--conf-dir``, the variable DFLIB_CONF, or the one that comes with dflib.

    Raises:
        ConfigError: the folder holds no base.yml.
    """
    variable = os.environ.get("DFLIB_CONF")
    folder = option or (Path(variable) if variable else packaged_conf())
    if not (folder / "base.yml").is_file():
        source = "--conf-dir" if option else "DFLIB_CONF"
        raise ConfigError(f"{source} {folder}: no base.yml there; copy {packaged_conf()} and change the copy")
    return folder.resolve()


def jobs_dir() -> Path:
    """The folder of the jobs: one file each."""
    root = checkout()
    return root / "jobs" if root else PACKAGE / "_jobs"


def jars_dir() -> Path:
    """The folder of the jars beside Spark's own: the variable DFLIB_JARS, or where :mod:`dflib.cli.jars` puts them."""
    variable = os.environ.get("DFLIB_JARS")
    if variable:
        return Path(variable)
    root = checkout()
    # Of an installed package they belong to the environment whose Spark they fit.
    return (root / ".jars" if root else Path(sys.prefix) / "share" / "dflib") / "jars"


def build_dir() -> Path:
    """The folder for what is made for spark-submit: the variable DFLIB_BUILD, or ``build`` of the checkout."""
    variable = os.environ.get("DFLIB_BUILD")
    if variable:
        return Path(variable).absolute()
    root = checkout()
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return root / "build" if root else cache / "dflib"


def spark_home() -> Path:
    """The Spark of the pyspark package."""
    return Path(pyspark.__file__).parent


def check() -> None:
    """Checks what every job needs.

    Raises:
        ConfigError: the Delta jars are missing, or Java is or has a version that Spark does not run on.
    """
    jars = jars_dir()
    if not list(jars.glob("*delta-spark*.jar")):
        command = "make setup" if checkout() else "dflib setup"
        raise ConfigError(f"no Delta jars in {jars}; run '{command}', or set DFLIB_JARS to a folder that has them")
    version = java_version()
    if version not in JAVA:
        home = os.environ.get("JAVA_HOME")
        found = f"{home}/bin/java of JAVA_HOME" if home else "java of PATH"
        found += " was not found, or does not run" if version is None else f" is Java {version}"
        raise ConfigError(
            f"Java {' or '.join(map(str, JAVA))} is needed, but {found}; install a Java 17 runtime (Debian: apt-get "
            "install openjdk-17-jre-headless), or set JAVA_HOME to one"
        )


JAVA = (17, 21)
"""Versions of Java that Spark 4.0 runs on."""


def java_version() -> int | None:
    """The version of the Java that spark-submit takes: that of JAVA_HOME, else that of PATH; None without one."""
    home = os.environ.get("JAVA_HOME")
    java = f"{home}/bin/java" if home else shutil.which("java")
    if java is None or not os.access(java, os.X_OK):
        return None
    release = Path(java).resolve().parent.parent / "release"
    text = release.read_text() if release.is_file() else ""
    found = re.search(r'^JAVA_VERSION="(?:1\.)?(\d+)', text, re.MULTILINE)
    if found is None:
        # Costs a start of the JVM, so only where the file is missing.
        try:
            done = subprocess.run([java, "-version"], capture_output=True, text=True, check=True, timeout=60)
        except (OSError, subprocess.SubprocessError):
            return None
        found = re.search(r'version "(?:1\.)?(\d+)', done.stderr + done.stdout)
    return None if found is None else int(found[1])
