"""Leases on storage with conditional writes: one process at a time holds a lease, for a term that it must renew.

A lease is one object, changed by conditional writes only, so that of several processes one succeeds.  The holder renews
it while it works and marks it free at the end.  When the holder dies, the object ages until another process takes it
over.  Ages are measured by the server's clock, so clocks of machines need not agree.

A lease can't stop a holder that sleeps past its term (a suspended machine, a long garbage collection) from going on
when it wakes, while another process may hold the lease.  The holder finds out (:meth:`Lease.check`) once it runs again.
"""

import contextlib
import json
import logging
import os
import random
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from dflib.errors import StorageError, TableError
from dflib.storage import Storage, Versioned

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Patience:
    """Times of a lease, in seconds.

    Attributes:
        term: age at which a lease that was not renewed expires.  It is renewed four times per term.
        wait: longest time to wait for a lease that another process holds.  A large MERGE takes minutes.
        poll: longest time between two attempts while waiting.
    """

    term: float = 60
    wait: float = 600
    poll: float = 1


LONGEST_TERM = 600.0
"""Longest term that is honoured."""
CLOCK_SECONDS = 1.0
"""Resolution of ages on S3: a lease is taken over this much later than its holder gives it up."""


class Lease:
    """A lease that this process has taken; see :func:`held`.

    Attributes:
        token: identifies this holding, in the object and elsewhere.
        problem: why the lease was lost; None: it is held.
    """

    def __init__(
        self,
        storage: Storage,
        uri: str,
        owner: str,
        token: str,
        patience: Patience,
        lost: Callable[[], None],
        etag: str,
        sent: float,
    ) -> None:
        self._storage, self._uri, self._owner, self._patience = storage, uri, owner, patience
        self._lost, self._etag, self._sent = lost, etag, sent
        self.token = token
        self.problem: str | None = None
        self._over = threading.Event()
        self._threads = [
            threading.Thread(target=work, name=f"lease {uri}", daemon=True) for work in (self._renew, self._watch)
        ]

    def check(self) -> None:
        """Raises :class:`TableError` when the lease has been lost or has expired."""
        if self.problem is None and _now() - self._sent > self._patience.term:
            self.problem = "it expired before it could be renewed"
        if self.problem is not None:
            raise TableError(f"{self._uri}: {self._owner} lost the lease: {self.problem}")

    def _watch(self) -> None:
        """Stops the work when the lease expires, even while a renewal hangs, since others may then take it."""
        while not self._over.wait(self._patience.term / 20):
            if _now() - self._sent > self._patience.term:
                self.problem = self.problem or "it expired before it could be renewed"
                self._lost()
                return

    def _renew(self) -> None:
        while self.problem is None and not self._over.wait(self._patience.term / 4):
            sent = _now()
            try:
                etag = _put(self._storage, self._uri, self._body(), self._etag, self.token)
                if etag is None:
                    self.problem = f"it is held by {holder(self._storage.read_versioned(self._uri))}"
            except StorageError as error:
                log.warning("the lease %s could not be renewed: %s", self._uri, error)
                continue
            if etag is None:
                self._lost()
                return
            self._etag, self._sent = etag, sent

    def _body(self, free: bool = False) -> bytes:
        return _body(self._owner, self.token, self._patience.term, free)

    def _release(self) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()
        if self.problem is not None:
            return
        try:
            # Marked free instead of deleted: not every server has conditional deletes, and another may hold it by now.
            if _put(self._storage, self._uri, self._body(free=True), self._etag, self.token) is None:
                self.problem = f"it is held by {holder(self._storage.read_versioned(self._uri))}"
        except StorageError as error:
            log.warning("the lease %s could not be released and stays until it expires: %s", self._uri, error)


@contextlib.contextmanager
def held(
    storage: Storage, uri: str, owner: str, lost: Callable[[], None], patience: Patience | None = None
) -> Iterator[Lease]:
    """Holds the lease ``uri`` while the block runs.

    Args:
        owner: named to others that wait, such as the id of a run.
        lost: called from another thread when the lease was lost; it should stop the work.

    Raises:
        TableError: another process held it for longer than ``patience.wait``; or it was lost during the block.
        StorageError: storage can't be reached or has no conditional writes.
    """
    lease = _take(storage, uri, owner, lost, patience or Patience())
    for thread in lease._threads:
        thread.start()
    try:
        yield lease
    finally:
        lease._release()
    if lease.problem is not None:
        lease.check()


def refuse_unless_conditional(storage: Storage, uri: str) -> None:
    """Checks that the server honours conditions, by two writes that it must refuse.

    Raises:
        StorageError: it does not.
    """
    fix = (
        "use a server with conditional writes (AWS S3, MinIO, SeaweedFS 4 …), put tables.root on a shared disk, or "
        "configure a log store of Delta that locks: spark.delta.logStore.s3a.impl, see docs/s3.md"
    )
    storage.write(uri, b"{}")
    try:
        honoured = storage.write_if(uri, b"{}", None) is None and storage.write_if(uri, b"{}", '"0"') is None
    except StorageError as error:
        raise StorageError(f"{error}; the lease of a table needs conditional writes; {fix}") from error
    if not honoured:
        raise StorageError(f"{uri}: the S3 server ignores conditions (If-None-Match, If-Match) on writes; {fix}")


def holder(found: Versioned | None) -> str:
    """The holder of a lease for messages: owner, machine, process, and when the lease expires unless renewed."""
    content = _content(found)
    if found is None or content.get("free"):
        return "nobody any more"
    until = datetime.now(UTC) + timedelta(seconds=_term(content) - found.age)
    return (
        f"{content.get('owner')} on {content.get('host')} (process {content.get('process')}) until {until:%H:%M:%S} UTC"
    )


def active(storage: Storage, uri: str) -> str:
    """The holder of the lease for messages; empty when nobody holds it."""
    found = storage.read_versioned(uri)
    return "" if _is_free(found) else holder(found)


def _take(storage: Storage, uri: str, owner: str, lost: Callable[[], None], patience: Patience) -> Lease:
    deadline = time.monotonic() + patience.wait
    token, waiting = uuid.uuid4().hex, False
    while True:
        found = storage.read_versioned(uri)
        if _is_free(found):
            sent = _now()
            body = _body(owner, token, patience.term, free=False)
            etag = _put(storage, uri, body, None if found is None else found.etag, token)
            if etag is not None:
                if found is not None and not _content(found).get("free"):
                    log.warning("the lease %s of %s has expired and is taken over", uri, _content(found).get("owner"))
                return Lease(storage, uri, owner, token, patience, lost, etag, sent)
        elif not waiting:
            log.info("waiting for %s, held by %s", uri, holder(found))
            waiting = True
        if time.monotonic() > deadline:
            raise TableError(
                f"{uri}: held by {holder(found)}, and still was after {patience.wait:.0f} s; wait for that run to end, "
                "or stop it: its lease then expires"
            )
        time.sleep(patience.poll * random.uniform(0.5, 1))


def _now() -> float:
    """Seconds on a clock that runs on while the machine is suspended, where there is one."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


def _is_free(found: Versioned | None) -> bool:
    if found is None:
        return True
    content = _content(found)
    return bool(content.get("free")) or found.age > _term(content) + CLOCK_SECONDS


def _put(storage: Storage, uri: str, body: bytes, etag: str | None, token: str) -> str | None:
    """Writes the lease and returns its new etag, or None when another process wrote it.

    A write whose response was lost counts, and one that the server deferred (409) is repeated: both are recognised by
    our token in the object.
    """
    while True:
        written = storage.write_if(uri, body, etag)
        if written is not None:
            return written
        found = storage.read_versioned(uri)
        if found is None or _content(found).get("token") != token:
            return None
        if found.content == body:
            return found.etag
        etag = found.etag


def _body(owner: str, token: str, term: float, free: bool) -> bytes:
    return json.dumps(
        {
            "owner": owner,
            "host": socket.gethostname(),
            "process": os.getpid(),
            "token": token,
            "term": term,
            "free": free,
            # These two also make every body unique: the etag is a hash of the content.
            "written": datetime.now(UTC).isoformat(),
            "nonce": uuid.uuid4().hex,
        }
    ).encode()


def _content(found: Versioned | None) -> dict[str, Any]:
    """The fields of the object; none of a damaged one, which is free once it is old."""
    if found is None:
        return {}
    try:
        content = json.loads(found.content)
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


def _term(content: dict[str, Any]) -> float:
    """The term in a lease, limited so that no lease is held for ever."""
    term = content.get("term")
    return min(max(float(term), 0), LONGEST_TERM) if isinstance(term, int | float) else Patience.term
