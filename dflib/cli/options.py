"""The options that all jobs and tools share."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

EPILOG = "Options after -- are passed to spark-submit. Exit codes: 0 done, 1 failed, 2 bad usage or configuration."


@dataclass(frozen=True)
class Options:
    """Parsed options; ``spark`` are those after ``--``."""

    env: str
    overrides: tuple[str, ...]
    dry_run: bool
    deploy_mode: str | None
    conf_dir: Path | None
    verbose: bool
    spark: tuple[str, ...]


def parse(name: str, description: str, arguments: Sequence[str]) -> Options:
    """Parses the arguments of a job or tool; exits with 2 on bad usage and with 0 after ``--help``."""
    arguments = list(arguments)
    spark: list[str] = []
    if "--" in arguments:
        end = arguments.index("--")
        arguments, spark = arguments[:end], arguments[end + 1 :]
    found = _parser(name, description).parse_args([*arguments, *_deploy_mode(spark)])
    return Options(
        found.env, tuple(found.set), found.dry_run, found.deploy_mode, found.conf_dir, found.verbose, tuple(spark)
    )


def _deploy_mode(spark: Sequence[str]) -> list[str]:
    """``--deploy-mode`` among the options of spark-submit: dflib must know it, so it is accepted on either side."""
    found: list[str] = []
    for number, option in enumerate(spark):
        if option == "--deploy-mode":
            found = ["--deploy-mode", *spark[number + 1 : number + 2]]
        elif option.startswith("--deploy-mode=") or "spark.submit.deployMode=" in option:
            found = ["--deploy-mode", option.rpartition("=")[2]]
    return found


def _parser(name: str, description: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"dflib {name}",
        description=description,
        epilog=EPILOG,
        allow_abbrev=False,
        usage="%(prog)s [options] [-- …]",
    )
    parser.add_argument("--env", default="local", help="environment, conf/env/<env>.yml; default: local")
    parser.add_argument(
        "--set",
        action="extend",
        nargs="+",
        default=[],
        metavar="a.b=c",
        help="sets values over those of the files; takes several, and may be repeated",
    )
    parser.add_argument("--dry-run", action="store_true", help="reports what would be done and does nothing")
    parser.add_argument(
        "--deploy-mode",
        choices=["client", "cluster"],
        help="where the driver runs: on this machine or on the cluster; default: as in conf/spark",
    )
    parser.add_argument(
        "--conf-dir",
        type=Path,
        metavar="FOLDER",
        help="folder of the configuration; default: DFLIB_CONF, or dflib's own",
    )
    parser.add_argument("--verbose", action="store_true", help="shows the messages of Spark, TensorFlow and others too")
    return parser
