"""Run records: one JSON object a run, so that concurrent runs never conflict."""

import contextlib
import functools
import importlib.metadata
import json
import logging
import os
import platform
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dflib
from dflib import uris
from dflib.errors import MissingError
from dflib.runtime.periodic import every
from dflib.runtime.progress import Progress
from dflib.storage import Storage

log = logging.getLogger(__name__)

EVERY_SECONDS = 15.0
"""Between two heartbeats: each is one small request."""


@dataclass
class Run:
    """The record of one run of a job or step; written at its start, while it runs, and at its end, also after an error.

    ``outcome`` is RUNNING, DONE, FAILED or INTERRUPTED (by a signal); a run that was killed stays RUNNING. ``parent``
    is the run_id of the job that this run is a step of; None for a job of one step. ``packages`` are the versions of
    the driver's Python packages, by name. ``seen_at`` and ``progress`` (a
    :class:`dflib.runtime.progress.ProgressState`) describe a run that has not ended.
    """

    run_id: str
    job: str
    config_digest: str
    code_version: str
    started_at: str
    parent: str | None = None
    seen_at: str | None = None
    progress: dict[str, Any] | None = None
    ended_at: str | None = None
    outcome: str | None = None
    error: str | None = None
    seconds: float | None = None
    versions_before: dict[str, int] = field(default_factory=dict)
    versions_after: dict[str, int] = field(default_factory=dict)
    counts: dict[str, Any] = field(default_factory=dict)
    config: dict[str, Any] = field(default_factory=dict)
    packages: dict[str, str] = field(default_factory=dict)

    def masked_config(self) -> dict[str, Any]:
        """The configuration as it is stored, without the credentials that a URI may contain."""
        masked: dict[str, Any] = _masked(self.config)
        return masked

    def write(self, storage: Storage, tables_root: str) -> str:
        """Writes the record to ``<tables_root>/runs/<run_id>.json`` and returns its URI.

        The configuration holds no credentials, but a URI may contain some: those are masked.
        """
        uri = uris.join(tables_root, "runs", f"{self.run_id}.json")
        storage.write(uri, json.dumps(_masked(vars(self)), default=str).encode())
        return uri


def newest(storage: Storage, tables_root: str, job: str) -> Run | None:
    """The record of the newest run of a job or step; None when there is none that can be read.

    A record that was written by another version of dflib may lack or have other fields; such a run does not count.
    """
    folder = uris.join(tables_root, "runs")
    found = [entry.uri for entry in storage.list_files(folder) if job_of(uris.name(entry.uri)) == job]
    if not found:
        return None
    try:
        return Run(**json.loads(storage.read(max(found))))
    except (ValueError, TypeError, MissingError):
        return None


def job_of(run_id: str) -> str:
    """The job in a run_id, or in the name of its record: between the time and the process."""
    return run_id.partition("-")[2].rpartition("-")[0]


@contextlib.contextmanager
def heartbeat(
    record: Run, progress: Progress, storage: Storage, tables_root: str, ended: threading.Event | None = None
) -> Iterator[None]:
    """Writes the record again every :data:`EVERY_SECONDS` of the block, with the current time and progress.

    Nothing is written after the block. A record that can't be written is a warning, once, and no error.

    Args:
        record: as it is at the beginning of the block; it is not changed.
        ended: set when the block ends.
    """
    current = replace(record)
    warned = False

    def write_heartbeat() -> None:
        nonlocal warned
        try:
            current.seen_at = datetime.now(UTC).isoformat()
            state = progress.state
            current.progress = asdict(state) if state else None
            current.write(storage, tables_root)
        except Exception as error:  # no error of it may fail the job
            if not warned:
                log.warning("the progress of this run can't be written, so status does not show it: %s", error)
            warned = True

    with every(EVERY_SECONDS, write_heartbeat, ended):
        yield


def _masked(value: Any) -> Any:
    if isinstance(value, str):
        return uris.masked(value)
    if isinstance(value, dict):
        return {key: _masked(held) for key, held in value.items()}
    return [_masked(held) for held in value] if isinstance(value, list | tuple) else value


@functools.cache
def installed_packages() -> dict[str, str]:
    """Versions of the installed Python packages, by name, and of Python itself."""
    found = {"python": platform.python_version()}
    for distribution in importlib.metadata.distributions():
        found[distribution.metadata["Name"]] = distribution.version
    return dict(sorted(found.items(), key=lambda item: item[0].lower()))


def new_run_id(job: str) -> str:
    """Time (UTC), job and process: unique enough for objects in one folder, and sortable."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%S%f}-{job}-{os.getpid()}"


def code_version() -> str:
    """The version of dflib, with the commit when it runs from a checkout."""
    folder = Path(dflib.__file__).parent.parent
    # Not of a repository that happens to be around an installed package.
    if not (folder / ".git").exists():
        return dflib.__version__
    try:
        commit = subprocess.run(
            ["git", "describe", "--always", "--dirty"], cwd=folder, capture_output=True, text=True, check=True
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return dflib.__version__
    return f"{dflib.__version__}+{commit}"
