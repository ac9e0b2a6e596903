"""WriteLocks.run: one run at a time of a job.  On file systems of this machine, and with a scripted lease elsewhere."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from dflib.errors import TableError
from dflib.storage import Storage
from dflib.tables.write_locks import WriteLocks

HOLDER = """
import sys, time
from dflib.storage import Storage
from dflib.tables.write_locks import WriteLocks
with WriteLocks(None, sys.argv[1], Storage(), "run-1").run("extract"):
    print("held", flush=True)
    time.sleep(600)
"""


def locks(root: str, owner: str) -> WriteLocks:
    session: Any = None  # not needed on file systems of this machine
    return WriteLocks(session, root, Storage(), owner)


def test_run_is_refused_until_the_first_has_died(tmp_path: Path) -> None:
    root = f"file://{tmp_path}/tables"
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, root], stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout is not None and holder.stdout.readline() == "held\n"
        own = locks(root, "run-2")
        with pytest.raises(
            TableError, match=rf"{root}: another run of extract is active \(run-1 on .*, process {holder.pid}\)"
        ):
            own.run("extract").__enter__()
        with own.run("ingest"), locks(f"file://{tmp_path}/others", "run-3").run("extract"):
            pass
    finally:
        holder.kill()
        holder.wait()
    for _ in range(2):
        with own.run("extract"):
            pass


def test_nested_runs_each_keep_their_lock(tmp_path: Path) -> None:
    root = f"file://{tmp_path}/tables"
    own, other = locks(root, "run-1"), locks(root, "run-2")
    with own.run("nightly"):
        with own.run("extract"), pytest.raises(TableError, match=r"another run of extract is active \(run-1"):
            other.run("extract").__enter__()
        with other.run("extract"), pytest.raises(TableError, match=r"another run of nightly is active \(run-1"):
            other.run("nightly").__enter__()


def test_commit_checks_the_leases_of_all_runs_around_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also that of an outer run after an inner one has ended."""
    leases: dict[str, SimpleNamespace] = {}

    @contextmanager
    def held(self: WriteLocks, name: str, patience: object) -> Iterator[SimpleNamespace]:
        lease = SimpleNamespace(problem=None, token=name)

        def check() -> None:
            if lease.problem is not None:
                raise TableError(f"{name} was lost")

        lease.check = check
        leases[name] = lease
        yield lease

    monkeypatch.setattr(WriteLocks, "_held", held)
    monkeypatch.setattr(WriteLocks, "_find_commit", lambda *arguments: None)
    conf = SimpleNamespace(get=lambda key, default: default, set=lambda key, value: None, unset=lambda key: None)
    session: Any = SimpleNamespace(conf=conf)
    own = WriteLocks(session, "s3://bucket/tables", Storage(), "run-1")

    def commit() -> None:
        with own.commit("splits", lambda: 0):
            pass

    with pytest.raises(TableError, match="nightly was stopped because its lease was lost"), own.run("nightly"):
        with own.run("extract"):
            commit()
        commit()
        leases["run-nightly"].problem = "taken"
        with pytest.raises(TableError, match="run-nightly was lost"):
            commit()
        with pytest.raises(TableError, match="run-nightly was lost"), own.run("score"):
            commit()
        commit()
    commit()  # no run is active any more


def test_run_names_a_root_that_can_not_be_written(tmp_path: Path) -> None:
    (tmp_path / "tables").write_text("a file")
    with (
        pytest.raises(TableError, match=r"run-extract\.lock: Not a directory$"),
        locks(f"file://{tmp_path}/tables", "run").run("extract"),
    ):
        pass
