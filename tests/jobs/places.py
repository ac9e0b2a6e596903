"""The real jobs, through spark-submit.sh, each in a process of its own, on places of its own."""

import contextlib
import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
from deltalake import DeltaTable
from deltalake.exceptions import TableNotFoundError

from dflib import uris
from dflib.storage import Storage
from dflib.tables.schemas import TABLES, Table

HOME = Path(__file__).parent.parent.parent
DATA_TABLES = tuple(TABLES)
CHAIN = '''"""Steps of a test, in one application."""

from dflib.cli.job import main
from dflib.steps import {names}

if __name__ == "__main__":
    main({steps}, name="chain")
'''


def columns_of_runs(table: Table) -> set[str]:
    """Columns that say which run wrote a row, and when: they differ between any two runs on the same data."""
    return {"run_id", "extraction_run", "published_by", "published_at", "current_since", *table.volatile}


@dataclass
class Place:
    """Where a test's tables, models and reports lie, and how it runs jobs on them.

    Attributes:
        root: a folder for what is local.
        base: URI below which the tables, models and reports lie; empty: ``root``.
        storage, options: how ``base`` is reached by dflib's Storage and by delta-rs.
    """

    root: Path
    chunks: str = ""
    env: str = "demo"
    settings: list[str] = field(default_factory=list)
    variables: dict[str, str] = field(default_factory=dict)
    base: str = ""
    storage: Storage = field(default_factory=Storage)
    options: dict[str, str] = field(default_factory=dict)

    def at(self, *parts: str) -> str:
        return uris.join(self.base or f"file://{self.root}", *parts)

    def command(self, job: str, *settings: str, options: tuple[str, ...] = ()) -> list[str]:
        places = [f"{name}.root={self.at(name)}" for name in ("tables", "models", "reports")]
        chunks = [f"sources.chunks={self.chunks}"] if self.chunks else []
        values = [*places, *chunks, *self.settings, *settings]
        return [str(HOME / "spark-submit.sh"), job, "--env", self.env, "--set", *values, *options]

    def environment(self) -> dict[str, str]:
        return {**os.environ, "DFLIB_PYTHON": sys.executable, "DFLIB_BUILD": str(self.root / "build"), **self.variables}

    def submit(
        self, job: str, *settings: str, options: tuple[str, ...] = (), code: int = 0
    ) -> subprocess.CompletedProcess[str]:
        """Runs a job and asserts its exit code."""
        return self._run(job, self.command(job, *settings, options=options), self.environment(), code)

    def chain(
        self, *steps: str, settings: tuple[str, ...] = (), options: tuple[str, ...] = ()
    ) -> subprocess.CompletedProcess[str]:
        """Runs steps one after another in one Spark application, as a job named ``chain``, and asserts success.

        Starting an application takes longer than most steps of a test.
        """
        script = self.root / "chain.py"
        script.write_text(CHAIN.format(names=", ".join(steps), steps=", ".join(f"{step}.STEP" for step in steps)))
        command = [sys.executable, str(script), *self.command("chain", *settings, options=options)[2:]]
        return self._run("chain", command, self.environment() | {"PYTHONPATH": str(HOME)}, 0)

    def _run(
        self, name: str, command: list[str], environment: dict[str, str], code: int
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(command, env=environment, cwd=self.root, capture_output=True, text=True, timeout=900)
        assert done.returncode == code, f"{name} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def table(self, name: str, version: int | None = None) -> pd.DataFrame:
        """A table as delta-rs reads it, without its images."""
        table = DeltaTable(self.at("tables", name), version=version, storage_options=self.options)
        names = [column.name for column in table.schema().fields if column.name != "image"]
        return table.to_pandas(columns=names)

    def versions(self) -> dict[str, int]:
        """Newest version of each data table."""
        found = {}
        for name in DATA_TABLES:
            with contextlib.suppress(TableNotFoundError):
                found[name] = DeltaTable(self.at("tables", name), storage_options=self.options).version()
        return found

    def runs(self, job: str) -> list[dict[str, Any]]:
        """The run records of a job, oldest first."""
        found = [entry.uri for entry in self.storage.list_files(self.at("tables", "runs"))]
        return [json.loads(self.storage.read(uri)) for uri in sorted(found) if f"-{job}-" in uri]


@dataclass
class DemoRun(Place):
    """The demo data set after ingest, extract and train, and a night.

    Attributes:
        truth: what was made.
        lines: what the jobs printed.
        night: summary of the night.
    """

    truth: dict[str, Any] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)
    night: dict[str, Any] = field(default_factory=dict)
