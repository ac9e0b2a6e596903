"""Where this installation of dflib keeps its files: beside the package in a checkout, or inside it."""

import os
import shutil
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
        ConfigError: the Delta jars or Java are missing.
    """
    jars = jars_dir()
    if not list(jars.glob("*delta-spark*.jar")):
        command = "make setup" if checkout() else "dflib setup"
        raise ConfigError(f"no Delta jars in {jars}; run '{command}', or set DFLIB_JARS to a folder that has them")
    java_home = os.environ.get("JAVA_HOME")
    if not (java_home and os.access(Path(java_home) / "bin" / "java", os.X_OK)) and not shutil.which("java"):
        raise ConfigError("no Java; install a Java 17 runtime, or set JAVA_HOME")
