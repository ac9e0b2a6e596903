"""A lease on S3: of all who ask for it one holds it, for a term that it must renew.

The lease is one object, changed by conditional writes alone, so that of several who try one succeeds.  A holder
renews it while it works and marks it free at the end; when it dies the object grows old, and the next takes it over.
Age is told by the server's clock, so that clocks of machines need not agree.

A lease can't stop a holder that sleeps past its term (a suspended machine, a collector's long pause) from going on
when it wakes: others may hold it by then.  The holder is told (:meth:`Lease.check`) as soon as it can look.
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
    """Seconds of a lease.

    Attributes:
        term: age at which a lease that was not renewed is taken over.  It is renewed four times in a term.
        wait: longest time that one waits for another's.  A large MERGE takes minutes.
        poll: time between looks at another's.
    """

    term: float = 60
    wait: float = 600
    poll: float = 1


LONGEST_TERM = 600.0
CLOCK_SECONDS = 1.0
"""Grain of the age of an object on S3: a lease is taken over this much later than its holder gives it up."""


class Lease:
    """A lease that was held when it was given; see :func:`held`."""

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
        """Raises :class:`TableError` when the lease was lost, or its term ran out, before now."""
        if self.problem is None and _now() - self._sent > self._patience.term:
            self.problem = "its term ran out before it could be renewed"
        if self.problem is not None:
            raise TableError(f"{self._uri}: {self._owner} lost the lease: {self.problem}")

    def _watch(self) -> None:
        """Stops the work when the term runs out, also while a renewal hangs: then others may take the lease."""
        while not self._over.wait(self._patience.term / 20):
            if _now() - self._sent > self._patience.term:
                self.problem = self.problem or "its term ran out before it could be renewed"
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
            # Marked free and not deleted: not every server deletes on a condition, and it might be another's by now.
            if _put(self._storage, self._uri, self._body(free=True), self._etag, self.token) is None:
                self.problem = f"it is held by {holder(self._storage.read_versioned(self._uri))}"
        except StorageError as error:
            log.warning("the lease %s stays until its term ends: %s", self._uri, error)


@contextlib.contextmanager
def held(
    storage: Storage, uri: str, owner: str, lost: Callable[[], None], patience: Patience | None = None
) -> Iterator[Lease]:
    """Holds the lease ``uri`` while the block runs.

    Args:
        owner: who is named to others that wait, such as the id of a run.
        lost: called from another thread when the lease is found to be another's; it should stop the work.

    Raises:
        TableError: another held it for longer than one waits (names it, and until when); or it was lost meanwhile.
        StorageError: S3 can't be reached or knows no conditional writes.
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
    """Asks the server whether it keeps to conditions, by two writes that it must refuse.

    Raises:
        StorageError: it does not.
    """
    mend = (
        "use a server with conditional writes (AWS S3, MinIO, SeaweedFS 4 …), put tables.root on a shared disk, or let "
        "Delta keep its own lock: spark.delta.logStore.s3a.impl, see docs/s3.md"
    )
    storage.write(uri, b"{}")
    try:
        kept = storage.write_if(uri, b"{}", None) is None and storage.write_if(uri, b"{}", '"0"') is None
    except StorageError as error:
        raise StorageError(f"{error}; the lease of a table needs conditional writes; {mend}") from error
    if not kept:
        raise StorageError(f"{uri}: the S3 server ignores conditions (If-None-Match, If-Match) on writes; {mend}")


def holder(found: Versioned | None) -> str:
    """Who holds a lease, in words for a user: owner, machine, and until when if it is not renewed."""
    told = _told(found)
    if found is None or told.get("free"):
        return "nobody any more"
    until = datetime.now(UTC) + timedelta(seconds=_term(told) - found.age)
    return f"{told.get('owner')} on {told.get('host')} (process {told.get('process')}) until {until:%H:%M:%S} UTC"


def _take(storage: Storage, uri: str, owner: str, lost: Callable[[], None], patience: Patience) -> Lease:
    deadline = time.monotonic() + patience.wait
    token, told = uuid.uuid4().hex, False
    while True:
        found = storage.read_versioned(uri)
        if _is_free(found):
            sent = _now()
            body = _body(owner, token, patience.term, free=False)
            etag = _put(storage, uri, body, None if found is None else found.etag, token)
            if etag is not None:
                if found is not None and not _told(found).get("free"):
                    log.warning("the lease %s was left by %s: taken over", uri, _told(found).get("owner"))
                return Lease(storage, uri, owner, token, patience, lost, etag, sent)
        elif not told:
            log.info("waiting for %s, held by %s", uri, holder(found))
            told = True
        if time.monotonic() > deadline:
            raise TableError(
                f"{uri}: another is at work, {holder(found)}, and still was after {patience.wait:.0f} s; wait for that "
                "run to end, or stop it: its lease ends by itself"
            )
        time.sleep(patience.poll * random.uniform(0.5, 1))


def _now() -> float:
    """Seconds on a clock that goes on while the machine is suspended, where there is one."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


def _is_free(found: Versioned | None) -> bool:
    if found is None:
        return True
    told = _told(found)
    return bool(told.get("free")) or found.age > _term(told) + CLOCK_SECONDS


def _put(storage: Storage, uri: str, body: bytes, etag: str | None, token: str) -> str | None:
    """The new etag, or None when another wrote.

    A write whose answer was lost counts, and one that the server put off (409) is made again: both are told by our
    token in the object.
    """
    while True:
        written = storage.write_if(uri, body, etag)
        if written is not None:
            return written
        found = storage.read_versioned(uri)
        if found is None or _told(found).get("token") != token:
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
            # Also so that no two bodies are the same: the etag is a hash of the content.
            "written": datetime.now(UTC).isoformat(),
            "nonce": uuid.uuid4().hex,
        }
    ).encode()


def _told(found: Versioned | None) -> dict[str, Any]:
    """What the object says; a damaged one says nothing, and is free once it is old."""
    if found is None:
        return {}
    try:
        told = json.loads(found.content)
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


def _term(told: dict[str, Any]) -> float:
    """The term that a lease names, within reason: nobody can keep one for ever by naming a long one."""
    term = told.get("term")
    return min(max(float(term), 0), LONGEST_TERM) if isinstance(term, int | float) else Patience.term
