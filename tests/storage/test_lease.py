"""Leases on a real S3 server: one holder at a time, whatever others do."""

import multiprocessing
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dflib.errors import StorageError, TableError
from dflib.storage import Storage, lease
from dflib.storage.lease import Patience
from tests.fault_proxy import Faults, fault_proxy
from tests.s3_server import REGION, checking_server, s3_server

LEASE = "s3://leases/_leases/t.json"
COUNTER = "s3://leases/counter"
QUICK = Patience(term=2, wait=20, poll=0.02)


def nothing() -> None:
    """For leases whose loss stops nothing."""


@pytest.fixture
def storage() -> Iterator[Storage]:
    with s3_server("leases") as endpoint:
        yield Storage(endpoint, REGION, path_style=True)


def increment(storage: Storage, times: int) -> None:
    """Reads, waits and writes: an increment that another one overlaps is lost."""
    for _ in range(times):
        with lease.held(storage, LEASE, "test", nothing, Patience(poll=0.01)):
            value = int(storage.read(COUNTER))
            time.sleep(0.002)
            storage.write(COUNTER, str(value + 1).encode())


def test_held_loses_no_increment_of_two_processes(storage: Storage) -> None:
    storage.write(COUNTER, b"0")
    context = multiprocessing.get_context("spawn")
    others = [context.Process(target=increment, args=(storage, 25)) for _ in range(2)]
    for process in others:
        process.start()
    for process in others:
        process.join(60)
    assert [process.exitcode for process in others] == [0, 0]
    assert storage.read(COUNTER) == b"50"


def test_held_loses_no_increment_on_a_failing_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    faults = Faults(errors=0.03, cuts=0.05, seed=3)
    with (
        checking_server(tmp_path, "key", "secret", "leases") as server,
        fault_proxy(server.endpoint, faults) as endpoint,
    ):
        storage = Storage(endpoint, REGION, path_style=True)
        storage.write(COUNTER, b"0")
        threads = [threading.Thread(target=increment, args=(storage, 8)) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)
        assert storage.read(COUNTER) == b"24"
    assert faults.counts["500"] + faults.counts["503"] > 0 and faults.counts["cut"] > 0


def test_held_recognises_a_write_whose_response_was_lost(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    """boto3 then sends it again, and the condition does not hold any more."""
    write = Storage.write_if

    def twice(self: Storage, uri: str, content: bytes, etag: str | None) -> str | None:
        assert write(self, uri, content, etag) is not None
        return write(self, uri, content, etag)

    monkeypatch.setattr(Storage, "write_if", twice)
    with lease.held(storage, LEASE, "test", nothing, QUICK) as taken:
        time.sleep(QUICK.term / 2)
        taken.check()
    with lease.held(storage, LEASE, "other", nothing, QUICK):
        pass


def test_held_takes_over_from_a_dead_holder_after_its_term(storage: Storage) -> None:
    dead = lease._take(storage, LEASE, "the dead", nothing, Patience(term=1))  # never renewed or released
    started = time.monotonic()
    with lease.held(storage, LEASE, "the living", nothing, QUICK) as taken:
        assert 1 <= time.monotonic() - started < 6
        assert b"the living" in storage.read(LEASE)
        with pytest.raises(TableError, match="the dead lost the lease: it expired"):
            dead.check()
        taken.check()


def test_held_is_renewed_beyond_its_term_and_names_its_holder(storage: Storage) -> None:
    with lease.held(storage, LEASE, "run-1", nothing, Patience(term=1)) as taken:
        with (
            pytest.raises(TableError, match=r"held by run-1 on .* until .* UTC, .*after 3 s; wait for"),
            lease.held(storage, LEASE, "run-2", nothing, Patience(term=1, wait=3, poll=0.1)),
        ):
            pass
        taken.check()


def test_held_reports_a_lost_lease_and_does_not_release_it(storage: Storage) -> None:
    stopped = threading.Event()
    lost = pytest.raises(TableError, match="run-1 lost the lease: it is held by run-2")
    with lost, lease.held(storage, LEASE, "run-1", stopped.set, Patience(term=1)) as taken:
        storage.write(LEASE, lease._body("run-2", "another", 1, free=False))
        assert stopped.wait(5)
        assert "run-2" in str(taken.problem)
    assert b"run-2" in storage.read(LEASE) and b'"free": false' in storage.read(LEASE)


def test_held_raises_when_the_lease_is_found_lost_at_its_release(storage: Storage) -> None:
    lost = pytest.raises(TableError, match="run-1 lost the lease: it is held by run-2")
    with lost, lease.held(storage, LEASE, "run-1", nothing, Patience()):
        storage.write(LEASE, lease._body("run-2", "another", 1, free=False))


def test_held_stops_the_work_when_a_renewal_hangs(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    stopped, plain = threading.Event(), Storage.write_if
    lost = pytest.raises(TableError, match="run-1 lost the lease: it expired before it could be renewed")
    with lost, lease.held(storage, LEASE, "run-1", stopped.set, Patience(term=1)):

        def hangs(self: Storage, uri: str, content: bytes, etag: str | None) -> str | None:
            time.sleep(4)
            return plain(self, uri, content, etag)

        monkeypatch.setattr(Storage, "write_if", hangs)
        started = time.monotonic()
        assert stopped.wait(3) and time.monotonic() - started < 2


def test_held_takes_over_a_damaged_lease_when_it_is_old(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    storage.write(LEASE, b"\xff{")
    monkeypatch.setattr(Patience, "term", 0.5)
    with lease.held(storage, LEASE, "run-1", nothing, QUICK):
        assert b"run-1" in storage.read(LEASE)


def test_refuse_unless_conditional_rejects_a_server_without_conditions(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    lease.refuse_unless_conditional(storage, "s3://leases/_leases/_probe")
    monkeypatch.setattr(Storage, "write_if", lambda self, uri, content, etag: self.write(uri, content) or "etag")
    with pytest.raises(StorageError, match=r"ignores conditions .*docs/s3\.md"):
        lease.refuse_unless_conditional(storage, "s3://leases/_leases/_probe")
