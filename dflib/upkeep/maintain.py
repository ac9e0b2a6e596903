"""Keeps tables small and fast: joins small files, and removes earlier versions, leftovers and old run records."""

import contextlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from dflib import uris
from dflib.config import MaintainConfig
from dflib.errors import TableError
from dflib.runtime.runs import job_of
from dflib.storage import Storage
from dflib.tables import history
from dflib.tables.schemas import CHECKS, MODELS, TABLES, TASKS, TRAINING_SET
from dflib.tables.store import STAGING_KEPT, Tables

_STAMP = re.compile(r"\d{8}T\d{6}")
_RUN_COLUMNS = {"run_id", "extraction_run", "published_by"}
"""Columns that name a run."""


@dataclass(frozen=True)
class TableUpkeep:
    """What is to be done for a table.

    Attributes:
        name: its folder below the root.
        small_files: files that are joined; 0: none.
        old_files, old_bytes: files that no version of the last days uses.
        constraints: CHECK constraints that a table of an earlier version of dflib lacks, and gets.
    """

    name: str
    small_files: int
    old_files: int
    old_bytes: int
    constraints: tuple[str, ...] = ()


@dataclass(frozen=True)
class Upkeep:
    """What was done, or would be done in a dry run.

    Attributes:
        tables: of each table for which there is something to do.
        staging_files, staging_bytes: leftovers of killed runs.
        records: run records that are too old, and that no row names.
        unused_sets, unused_set_bytes: training sets that no model names; they are only counted, because a training may
            be using one.
        violated: CHECK constraints that could not be added, since rows violate them, with the reason.
    """

    tables: tuple[TableUpkeep, ...]
    staging_files: int
    staging_bytes: int
    records: int
    unused_sets: tuple[str, ...]
    unused_set_bytes: int
    violated: tuple[str, ...] = ()

    @property
    def freed(self) -> int:
        """Bytes of what was deleted."""
        return self.staging_bytes + sum(table.old_bytes for table in self.tables)


def maintain(tables: Tables, storage: Storage, settings: MaintainConfig, dry_run: bool) -> Upkeep:
    """Joins small files, then deletes files that only old versions use, leftovers of killed runs, and old run records.

    Rows stay the same.  Training sets keep their files as they are.

    Args:
        tables: all tables.
        storage: holds staging folders and run records.
        settings: what is kept.
        dry_run: only counts.
    """
    now = datetime.now(UTC)
    done = []
    violated: list[str] = []
    for place in history.places(tables):
        small = history.small_files(tables, place)
        if small and not dry_run:
            history.join_files(tables, place)
        old = history.unused_files(tables, place, settings.keep_days)
        if not dry_run:
            history.delete(tables, old)
        constraints = tuple(tables.missing_constraints(place.table, place.folder))
        if constraints and not dry_run:
            try:
                tables.add_constraints(place.table, place.folder)
            except TableError as error:
                violated.append(str(error))
        if small or old or constraints:
            done.append(TableUpkeep(place.name, small, len(old), sum(old.values()), constraints))
    staging = dict(_old_staging(tables, storage, now - STAGING_KEPT))
    records = list(_old_records(tables, storage, now - timedelta(days=settings.keep_run_days)))
    if not dry_run:
        for uri in [*staging, *records]:
            storage.delete(uri)
    sets = _unused_sets(tables)
    size = sum(entry.size for folder in sets for entry in storage.list_files(uris.join(tables.root, folder)))
    return Upkeep(tuple(done), len(staging), sum(staging.values()), len(records), tuple(sets), size, tuple(violated))


def _old_staging(tables: Tables, storage: Storage, before: datetime) -> Iterator[tuple[str, int]]:
    """Files in staging folders that were made before; their names begin with the time."""
    folder = uris.join(tables.root, "_staging")
    for entry in storage.list_files(folder):
        name = entry.uri.removeprefix(folder + "/").partition("/")[0]
        if _STAMP.match(name) and name < f"{before:%Y%m%dT%H%M%SZ}":
            yield entry.uri, entry.size


def _old_records(tables: Tables, storage: Storage, before: datetime) -> Iterator[str]:
    """Records of runs that began before, except those that a proof needs and the newest of each job."""
    named: set[str] = set()
    for table in TABLES.values():
        columns = set() if table in (CHECKS, TASKS) else _RUN_COLUMNS & set(table.schema.names)
        for column in columns:
            named |= {row[column] for row in tables.read(table).select(column).distinct().collect()}
    newest: dict[str, str] = {}
    found = []
    for entry in storage.list_files(uris.join(tables.root, "runs")):
        run_id = uris.name(entry.uri).removesuffix(".json")
        if _STAMP.match(run_id):
            job = job_of(run_id)
            newest[job] = max(run_id, newest.get(job, ""))
            found.append((run_id, entry.uri))
    kept = named | set(newest.values())
    parents = set()
    for run_id, uri in found:
        if run_id in kept:
            with contextlib.suppress(ValueError, AttributeError):  # a damaged record names no parent
                parents.add(json.loads(storage.read(uri)).get("parent"))
    for run_id, uri in found:
        if run_id < f"{before:%Y%m%dT%H%M%S}" and run_id not in kept | parents:
            yield uri


def _unused_sets(tables: Tables) -> list[str]:
    """Folders of training sets that no model names."""
    used = {row["training_set"] for row in tables.read(MODELS).select("training_set").collect()}
    sets = [place.name for place in history.places(tables) if place.table is TRAINING_SET]
    return [name for name in sets if uris.name(name) not in used]
