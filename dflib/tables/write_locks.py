"""Locks of writers: one committer at a time for each table, one run at a time for some jobs.

Where Delta itself lets two drivers overwrite each other's commits (S3), a lease (:mod:`dflib.storage.lease`) is held
around each commit and only then, and afterwards the log is searched for the commit.  ``docs/s3.md`` lists what this
can't guarantee.

Some jobs hold a lock for the whole run, wherever the tables are (``exclusive`` and ``not_beside`` of a step), such as
those that delete uncommitted rows of an earlier run of theirs: concurrent runs would delete each other's.
"""

import contextlib
import fcntl
import logging
import os
import socket
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

from pyspark.sql import SparkSession

from dflib import uris
from dflib.errors import TableError
from dflib.storage import Storage, lease, local_path, scheme_of
from dflib.storage.lease import Lease, Patience

log = logging.getLogger(__name__)

USER_METADATA = "spark.databricks.delta.commitInfo.userMetadata"
RUN_TERM = 300.0
"""Seconds after which the lease of a dead run expires.  A run of hours should survive minutes in which storage does not
answer."""
HEAD_BYTES = 65536
"""Bytes read of a log entry: its first line names who committed it."""


class WriteLocks:
    """The locks of one writer on the tables below ``root``.

    Attributes:
        owner: named to others that wait, such as the id of a run.
        commit_patience, run_patience: times of the leases around a commit, and around a run.
    """

    def __init__(self, spark: SparkSession, root: str, storage: Storage, owner: str | None = None) -> None:
        self._spark, self._root, self._storage = spark, root, storage
        self.owner = owner or f"{socket.gethostname()}-{os.getpid()}"
        self.commit_patience = Patience()
        self.run_patience = Patience(term=RUN_TERM, wait=RUN_TERM + 10)
        self._probed = False
        self._runs: list[Lease] = []

    @contextlib.contextmanager
    def commit(self, folder: str, version: Callable[[], int | None]) -> Iterator[None]:
        """The block makes at most one commit to the table in ``folder``, and no other dflib makes one meanwhile.

        Does nothing where Delta keeps concurrent commits apart by itself.

        Args:
            folder: folder of the table below the root.
            version: returns the table's newest version; None: there is no table.

        Raises:
            TableError: another writer holds the lease for too long, the lease was lost (also one of :meth:`run` around
                the block), or the commit was overwritten.
        """
        if scheme_of(self._root).concurrent_commits or self._own_log_store():
            yield
            return
        # Losing a lease cancels Spark jobs, but there may have been none to cancel.
        self.check()
        with self._held(folder, self.commit_patience) as held:
            before = version()
            token = f"{self.owner}/{held.token}"
            self._spark.conf.set(USER_METADATA, token)
            try:
                yield
            except Exception as error:
                if held.problem is not None:
                    raise TableError(
                        f"{uris.join(self._root, folder)}: the commit was stopped because its lease was lost "
                        f"({held.problem}); run the job again"
                    ) from error
                raise
            finally:
                self._spark.conf.unset(USER_METADATA)
            self._find_commit(folder, -1 if before is None else before, token)
            try:
                held.check()
            except TableError as error:
                raise TableError(
                    f"{error}. Its commit to {uris.join(self._root, folder)} is in the log, but a concurrent one of "
                    "another writer may be lost: run the other job again too"
                ) from None

    @contextlib.contextmanager
    def run(self, job: str) -> Iterator[None]:
        """No other run of the job works below the same root while the block runs.  Blocks of several jobs may nest.

        On file systems of this machine by a file lock, which ends with the process however that ends; where the file
        system has no locks, a warning is logged.  Elsewhere by a lease; where Delta has a log store of its own, because
        the server may have no conditional writes, only a warning is logged.

        Raises:
            TableError: another run of the job is active; or the lease was lost because it could not be renewed.
        """
        path = local_path(uris.join(self._root, "_leases", f"run-{job}.lock"))
        if path is not None:
            with self._file_lock(path, job):
                yield
        elif scheme_of(self._root).conditional_writes and not self._own_log_store():
            with self._held(f"run-{job}", self.run_patience) as held:
                self._runs.append(held)
                try:
                    yield
                except Exception as error:
                    if held.problem is not None:
                        raise TableError(
                            f"{self._root}: {job} was stopped because its lease was lost ({held.problem}); run it "
                            "again when no other run of it is active"
                        ) from error
                    raise
                finally:
                    self._runs.remove(held)
        else:
            log.warning(
                "make sure that no other %s runs on %s: a log store of Delta's keeps apart commits only, not runs",
                job, self._root,
            )  # fmt: skip
            yield

    def check(self) -> None:
        """Raises :class:`TableError` when a lease of :meth:`run` around this call has been lost."""
        for run in self._runs:
            run.check()

    def refuse_beside(self, job: str) -> None:
        """Raises :class:`TableError` when a run of ``job`` is active below the same root."""
        path = local_path(uris.join(self._root, "_leases", f"run-{job}.lock"))
        by = ""
        if path is not None:
            with contextlib.suppress(FileNotFoundError), path.open() as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                except BlockingIOError:
                    by = file.read(200) or "another process"
                except OSError:
                    log.warning("%s: can't be locked; make sure that no %s runs here", path, job)
        else:
            by = lease.active(self._storage, uris.join(self._root, "_leases", f"run-{job}.json"))
        if by:
            raise TableError(
                f"{self._root}: {job} is running ({by}), and nothing may be written meanwhile; wait for it"
            )

    def _own_log_store(self) -> bool:
        """Whether Delta was configured with a log store that locks by itself, such as S3DynamoDBLogStore."""
        scheme = scheme_of(self._root)
        key = f"spark.delta.logStore.{scheme.jvm_name}.impl"
        # S3SingleDriverLogStore is Delta's default for S3, which does not lock.
        return not (self._spark.conf.get(key, None) or "S3SingleDriverLogStore").endswith("S3SingleDriverLogStore")

    @contextlib.contextmanager
    def _held(self, name: str, patience: Patience) -> Iterator[Lease]:
        leases = uris.join(self._root, "_leases")
        if not self._probed:
            probe = uris.join(leases, f"_probe-{uuid.uuid4().hex}")
            try:
                lease.refuse_unless_conditional(self._storage, probe)
            finally:
                self._storage.delete(probe)
            self._probed = True
        stop = self._spark.sparkContext.cancelAllJobs
        with lease.held(self._storage, uris.join(leases, f"{name}.json"), self.owner, stop, patience) as held:
            yield held

    @contextlib.contextmanager
    def _file_lock(self, path: Path, job: str) -> Iterator[None]:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            file = path.open("a+")
        except OSError as error:
            raise TableError(f"{path}: {error.strerror}") from error
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.seek(0)
                raise TableError(
                    f"{self._root}: another run of {job} is active ({file.read(200)}); two at once would undo "
                    "each other's work. Run it again when that run has ended, or stop that run"
                ) from None
            except OSError as error:
                log.warning("%s: can't be locked (%s); make sure that no other %s runs here", path, error.strerror, job)
            file.truncate(0)
            file.write(f"{self.owner} on {socket.gethostname()}, process {os.getpid()}")
            file.flush()
            yield

    def _find_commit(self, folder: str, before: int, token: str) -> None:
        """Raises :class:`TableError` when the log entries after version ``before`` do not hold the commit.

        One request where nobody else wrote.
        """
        table = uris.join(self._root, folder)
        number = before + 1
        while True:
            entry = uris.join(table, "_delta_log", f"{number:020d}.json")
            head = self._storage.read_versioned(entry, HEAD_BYTES)
            if head is None:
                break
            if token.encode() in head.content:
                if number > before + 1:
                    log.warning(
                        "%s: another writer made %d commits without taking the lease; nothing of this run is lost",
                        table, number - before - 1,
                    )  # fmt: skip
                return
            number += 1
        if number > before + 1:
            raise TableError(
                f"{table}: the commit of {self.owner} is not in the log; a writer that does not take the lease made "
                f"the versions {before + 1} to {number - 1} at the same time and overwrote it. The rows of this "
                "commit are not in the table: stop the other writer and run the job again"
            )
