"""The options that all jobs and tools share, and the arguments of single jobs."""

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from dflib import uris
from dflib.steps.step import Argument

EPILOG = (
    "Options after -- are passed to spark-submit. Exit codes: 0 done, 1 failed, 2 bad usage or configuration, 3 done, "
    "but somebody should look (nightly only), 130, 143 and 129 stopped by SIGINT (Ctrl-C), SIGTERM and SIGHUP."
)


@dataclass(frozen=True)
class Options:
    """Parsed options; ``spark`` are those after ``--``."""

    env: str
    overrides: tuple[str, ...]
    dry_run: bool
    deploy_mode: str | None
    conf_dir: Path | None
    verbose: bool
    print_submit: bool
    spark: tuple[str, ...]


def parse(name: str, description: str, arguments: Sequence[str], own: Sequence[Argument] = ()) -> Options:
    """Parses the arguments of a job or tool; exits with 2 on bad usage and with 0 after ``--help``.

    Args:
        name, description: of the job or tool.
        arguments: of the command line, without its name.
        own: the arguments that only this job has; their values become overrides of their keys.
    """
    arguments = list(arguments)
    spark: list[str] = []
    if "--" in arguments:
        end = arguments.index("--")
        arguments, spark = arguments[:end], arguments[end + 1 :]
    found = _parser(name, description, own).parse_args([*arguments, *_deploy_mode(spark)])
    # As JSON, which is YAML too: "no" stays text, and commas in a value do not divide it.
    given = {key: getattr(found, argument.key) for argument in own for key in (argument.key, *argument.also)}
    overrides = [f"{key}={json.dumps(value)}" for key, value in given.items() if value is not None]
    return Options(
        *(found.env, (*found.set, *overrides), found.dry_run, found.deploy_mode, found.conf_dir, found.verbose),
        print_submit=found.print_submit,
        spark=tuple(spark),
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


class _Parser(argparse.ArgumentParser):
    """A parser whose errors do not repeat the secrets of URIs."""

    def error(self, message: str) -> NoReturn:
        super().error(uris.masked(message, address=True))


def _parser(name: str, description: str, own: Sequence[Argument]) -> argparse.ArgumentParser:
    parser = _Parser(
        prog=f"dflib {name}",
        description=description,
        epilog=EPILOG,
        allow_abbrev=False,
        usage=" ".join(["%(prog)s", *(argument.usage for argument in own), "[options] [-- …]"]),
    )
    for argument in own:
        several = "+" if argument.is_list else None
        if argument.is_flag:
            parser.add_argument(argument.name, dest=argument.key, action="store_const", const=True, help=argument.help)
        elif argument.is_option:
            parser.add_argument(
                argument.name,
                dest=argument.key,
                metavar=argument.metavar,
                required=argument.required,
                nargs=several,
                help=argument.help,
            )
        else:
            parser.add_argument(
                argument.key,
                metavar=argument.metavar,
                nargs=several or (None if argument.required else "?"),
                help=argument.help,
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
    parser.add_argument(
        "--print-submit",
        action="store_true",
        help="prints what spark-submit would be called with, as JSON for a scheduler, and starts nothing; jobs only",
    )
    parser.add_argument("--verbose", action="store_true", help="shows the messages of Spark, TensorFlow and others too")
    return parser
