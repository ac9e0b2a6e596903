"""The ``dflib`` command; ``spark-submit.sh`` of a checkout calls it too."""

import ast
import difflib
import os
import runpy
import sys
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn

import dflib
from dflib.cli import installation
from dflib.parts import Kind, Part, catalog

HELP = ("help", "--help", "-h")
COMMANDS = {
    "parts": "Lists what the configuration chooses by name: detectors, networks, pooling rules and others.",
    "setup": "Fetches the jars of Delta, S3 and PostgreSQL, once.",
    "help": "Shows this list.",
}


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Runs the command and exits.

    Args:
        arguments: without the program's name; default: those of this process.
    """
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    if not arguments:
        print(help_text(), file=sys.stderr)
        sys.exit(2)
    name, rest = arguments[0], arguments[1:]
    if name in HELP:
        _print_and_exit(help_text())
    if name == "--version":
        _print_and_exit(f"dflib {dflib.__version__}")
    if name == "parts":
        _print_and_exit("\n".join(parts_lines(catalog.KINDS)))
    scripts = jobs()
    if name in scripts:
        sys.argv = [str(scripts[name]), *rest]
        # Its one call, of dflib.cli.job.main, ends this process.
        runpy.run_path(str(scripts[name]), run_name="__main__")
        sys.exit(0)
    if name == "setup":
        from dflib.cli import jars

        jars.main(rest)
    from dflib.cli import tools

    if name in tools.TOOLS:
        tools.run(name, rest)
    known = [*scripts, *tools.TOOLS, *COMMANDS]
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    print(f"dflib: no job named {name!r}; {hint}one of: {' '.join(known)}", file=sys.stderr)
    sys.exit(2)


def _print_and_exit(text: str) -> NoReturn:
    try:
        print(text, flush=True)
    except BrokenPipeError:  # the reader has seen enough, such as head
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(0)


def jobs() -> dict[str, Path]:
    """The file of each job, by name."""
    files = sorted(installation.jobs_dir().glob("*.py"))
    return {path.stem: path for path in files if not path.stem.startswith("_")}


def help_text() -> str:
    """The list of jobs, tools and other commands, each with one line."""
    from dflib.cli.tools import TOOLS

    sections = {
        "Jobs": {name: ast.get_docstring(ast.parse(path.read_text())) or "" for name, path in jobs().items()},
        "Tools": TOOLS,
        "Other commands": COMMANDS,
    }
    lines = ["usage: dflib JOB [options] [-- options of spark-submit]"]
    for title, entries in sections.items():
        lines += ["", f"{title}:", *(f"  {name:<13} {text.splitlines()[0]}" for name, text in entries.items())]
    return "\n".join([*lines, "", "dflib JOB --help lists the options of a job."])


def parts_lines(kinds: Sequence[Kind], found: Callable[[str], object] = find_spec) -> list[str]:
    """The listing of ``dflib parts``: each kind with its parts, and whether what they need is installed.

    Args:
        found: returns None for a module that is not installed.
    """
    lines: list[str] = []
    for kind in kinds:
        lines += ["", kind.plural] if lines else [kind.plural]
        parts = list(kind)
        width = max((len(part.usage) for part in parts), default=0)
        lines += [f"  {part.usage:<{width}}  {part.summary}{_extra(part, found)}" for part in parts] or ["  none"]
    return lines


def _extra(part: Part, found: Callable[[str], object]) -> str:
    if part.extra is None:
        return ""
    missing = part.requires is not None and found(part.requires) is None
    return f" [extra {part.extra}: {'not installed' if missing else 'installed'}]"
