"""One writer at a time for a Delta table on S3, where Delta itself lets two drivers overwrite each other's commits.

Around each commit, and only then, a lease is held (:mod:`dflib.storage.lease`), and afterwards the log is asked whether
the commit is in it.  What this can't guarantee stands in ``docs/s3.md``.

And one run at a time of those jobs that delete what a killed run of theirs left, wherever the tables are.
"""

import contextlib
import fcntl
import logging
import os
import socket
import uuid
from collections.abc import Callable, Iterator

from pyspark.sql import SparkSession

from dflib import uris
from dflib.errors import TableError
from dflib.storage import Storage, lease
from dflib.storage.lease import Lease, Patience

log = logging.getLogger(__name__)

LOG_STORE = "spark.delta.logStore.s3a.impl"
"""Where Delta is given a log store that locks by itself, such as S3DynamoDBLogStore, no lease is taken."""
SINGLE = "S3SingleDriverLogStore"
"""Delta's own choice for S3, which does not."""
USER_METADATA = "spark.databricks.delta.commitInfo.userMetadata"
RUN_TERM = 300.0
"""Seconds until a dead run on S3 counts as dead: a run of hours should outlive minutes in which S3 does not answer."""
HEAD_BYTES = 65536
"""Of a log entry: its first line says who committed it."""


class Committer:
    """Commits to the tables below ``root``.

    Args:
        owner: who others that wait are told of, such as the id of a run.
    """

    def __init__(self, spark: SparkSession, root: str, storage: Storage, owner: str | None = None) -> None:
        self._spark, self._root, self._storage = spark, root, storage
        self.owner = owner or f"{socket.gethostname()}-{os.getpid()}"
        self.patience = Patience()
        self.patience_of_runs = Patience(term=RUN_TERM, wait=RUN_TERM + 10)
        self._asked = False
        self._run: Lease | None = None

    @contextlib.contextmanager
    def alone(self, folder: str, version: Callable[[], int | None]) -> Iterator[None]:
        """The block makes at most one commit to the table in ``folder``, and nobody else makes one meanwhile.

        On a local disk, where Delta's rename is atomic, nothing is added.

        Args:
            version: the table's newest version.

        Raises:
            TableError: another writes for longer than one waits, the lease was lost, or the commit was overwritten.
        """
        if not self._by_lease:
            yield
            return
        if self._run is not None:
            # Where nothing ran that could be cancelled when it was lost.
            self._run.check()
        with self._held(folder, self.patience) as taken:
            before = version()
            token = f"{self.owner}/{taken.token}"
            self._spark.conf.set(USER_METADATA, token)
            try:
                yield
            except Exception as error:
                if taken.problem is not None:
                    raise TableError(
                        f"{uris.join(self._root, folder)}: the commit was stopped, since its lease was lost "
                        f"({taken.problem}); run the job again"
                    ) from error
                raise
            finally:
                self._spark.conf.unset(USER_METADATA)
            self._look(folder, -1 if before is None else before, token)
            try:
                taken.check()
            except TableError as error:
                raise TableError(
                    f"{error}. Its commit to {uris.join(self._root, folder)} is there, but one that another made at "
                    "the same time may be lost: run the other job again too"
                ) from None

    @contextlib.contextmanager
    def only_run(self, job: str) -> Iterator[None]:
        """No other run of the job works below the same root while the block runs.

        On a disk by a lock that ends with this process, however that ends; where a disk knows no locks, that is warned
        of.  On S3 by a lease; where Delta is given a log store of its own because the server knows no conditions, by
        nothing, with a warning.

        Raises:
            TableError: another run of it is at work; or, on S3, another took the lease since it could not be renewed.
        """
        if self._by_lease:
            with self._held(f"run-{job}", self.patience_of_runs) as taken:
                self._run = taken
                try:
                    yield
                except Exception as error:
                    if taken.problem is not None:
                        raise TableError(
                            f"{self._root}: {job} was stopped, since its lease was lost ({taken.problem}); run it "
                            "again when no other runs"
                        ) from error
                    raise
                finally:
                    self._run = None
        elif uris.is_local(self._root):
            with self._locked(job):
                yield
        else:
            log.warning(
                "see that no other %s runs on %s: a log store of Delta's own keeps commits apart only", job, self._root
            )
            yield

    @property
    def _by_lease(self) -> bool:
        """Whether the tables are on S3, and nothing else keeps writers apart."""
        return not uris.is_local(self._root) and (self._spark.conf.get(LOG_STORE, None) or SINGLE).endswith(SINGLE)

    @contextlib.contextmanager
    def _held(self, name: str, patience: Patience) -> Iterator[Lease]:
        leases = uris.join(self._root, "_leases")
        if not self._asked:
            probe = uris.join(leases, f"_probe-{uuid.uuid4().hex}")
            try:
                lease.refuse_unless_conditional(self._storage, probe)
            finally:
                self._storage.delete(probe)
            self._asked = True
        stop = self._spark.sparkContext.cancelAllJobs
        with lease.held(self._storage, uris.join(leases, f"{name}.json"), self.owner, stop, patience) as taken:
            yield taken

    @contextlib.contextmanager
    def _locked(self, job: str) -> Iterator[None]:
        path = uris.local_path(uris.join(self._root, "_leases", f"run-{job}.lock"))
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
                    f"{self._root}: {job} is at work there already ({file.read(200)}), and two at once would take what "
                    "is each other's for what a killed run left; run it again when that one has ended, or stop it"
                ) from None
            except OSError as error:
                log.warning("%s: can't be locked (%s); see that no other %s runs here", path, error.strerror, job)
            file.truncate(0)
            file.write(f"{self.owner} on {socket.gethostname()}, process {os.getpid()}")
            file.flush()
            yield

    def _look(self, folder: str, before: int, token: str) -> None:
        """Looks for the commit among the log's entries after ``before``: one read, when nobody else wrote."""
        place = uris.join(self._root, folder)
        number = before + 1
        while True:
            entry = uris.join(place, "_delta_log", f"{number:020d}.json")
            head = self._storage.read_versioned(entry, HEAD_BYTES)
            if head is None:
                break
            if token.encode() in head.content:
                if number > before + 1:
                    log.warning(
                        "%s: another writer made %d commits without asking for the lease; nothing of this run is lost",
                        place, number - before - 1,
                    )  # fmt: skip
                return
            number += 1
        if number > before + 1:
            raise TableError(
                f"{place}: the commit of {self.owner} is not in the log; a writer that does not ask for the lease "
                f"made the versions {before + 1} to {number - 1} at the same time and overwrote it. The rows of this "
                "commit are not in the table: stop the other writer and run the job again"
            )
