"""Pages that are made from code or results: written, or checked to be up to date."""

import argparse
import os
import sys
from collections.abc import Mapping
from pathlib import Path


def main(description: str | None, command: str, committed: Mapping[Path, str], built: Mapping[Path, str]) -> int:
    """The command line of a maker of pages; returns the exit code.

    Args:
        description: for ``--help``.
        command: the module, as an outdated page is made by ``python -m <command>``.
        committed: pages in the repository, with their content; ``--check`` compares these.
        built: pages that are not committed; always written.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--check", action="store_true", help="write nothing; exit with 1 when a committed page is out of date"
    )
    check = parser.parse_args().check
    stale = {page: text for page, text in committed.items() if not page.is_file() or page.read_text() != text}
    if check:
        for page in stale:
            sys.stderr.write(f"{os.path.relpath(page)} is out of date; run: python -m {command}\n")
        return 1 if stale else 0
    for page, text in {**stale, **built}.items():
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(text)
    return 0
