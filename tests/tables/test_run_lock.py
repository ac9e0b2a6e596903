"""One run at a time of a job that deletes what a killed run of its own left, on a disk. (On S3: test_commit.py.)"""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dflib.errors import TableError
from dflib.storage import Storage
from dflib.tables.write_locks import Committer

HOLDER = """
import sys, time
from dflib.storage import Storage
from dflib.tables.write_locks import Committer
with Committer(None, sys.argv[1], Storage(), "run-1").only_run("extract"):
    print("held", flush=True)
    time.sleep(600)
"""


def committer(root: str, owner: str) -> Committer:
    session: Any = None  # on a disk none is needed
    return Committer(session, root, Storage(), owner)


def test_another_run_is_refused_until_the_first_has_died(tmp_path: Path) -> None:
    root = f"file://{tmp_path}/tables"
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, root], stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout is not None and holder.stdout.readline() == "held\n"
        own = committer(root, "run-2")
        with pytest.raises(TableError, match=rf"{root}: extract is at work .*\(run-1 on .*, process {holder.pid}\)"):
            own.only_run("extract").__enter__()
        with own.only_run("ingest"), committer(f"file://{tmp_path}/others", "run-3").only_run("extract"):
            pass
    finally:
        holder.kill()
        holder.wait()
    for _ in range(2):
        with own.only_run("extract"):
            pass


def test_a_root_that_can_not_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "tables").write_text("a file")
    with (
        pytest.raises(TableError, match=r"run-extract\.lock: Not a directory$"),
        committer(f"file://{tmp_path}/tables", "run").only_run("extract"),
    ):
        pass
