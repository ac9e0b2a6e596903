"""Run records: the whole configuration without secrets, and heartbeats."""

import io
import json
import logging
import queue
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from dflib.config import load as conf_files
from dflib.errors import StorageError
from dflib.runtime.progress import Progress
from dflib.runtime.runs import EVERY_SECONDS, Run, heartbeat
from dflib.storage import Storage

CONF = Path(__file__).parents[2] / "conf"


def test_run_write_masks_secrets_in_uris(tmp_path: Path) -> None:
    config = conf_files.load(CONF, "local", ["sources.dataset=d"])
    # Such a configuration is refused when it is loaded; records of earlier versions are read and written all the same.
    chunks = ("s3://bucket/part_?.zip", "s3://bucket/a.zip?X-Amz-Signature=hidden&x=y")
    secret = {"labels": "s3://user:pass@w0rd@bucket/labels.csv", "chunks": chunks}
    config = config.model_copy(update={"sources": config.sources.model_copy(update=secret)})
    run = Run("id", "ingest", config.digest(), "0", "2026-01-01", config=config.model_dump(mode="json"))
    run.error = "http://user:pass@minio:9000/x: refused"
    uri = run.write(Storage(), f"file://{tmp_path}")
    record = json.loads(Storage().read(uri))
    assert record["config"]["sources"].pop("labels") == "s3://***@bucket/labels.csv"
    assert record["config"]["sources"].pop("chunks") == [
        "s3://bucket/part_?.zip",
        "s3://bucket/a.zip?***",
    ]
    expected = config.model_dump(mode="json", exclude={"sources": {"chunks", "labels"}})
    assert record["config"] == expected and record["config_digest"] == config.digest()
    assert record["error"] == "http://***@minio:9000/x: refused"


class Clock(threading.Event):
    """The event that ends a run, with a clock that only the test advances."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: queue.Queue[float | None] = queue.Queue()
        self.passed: queue.Queue[float | None] = queue.Queue()

    def wait(self, timeout: float | None = None) -> bool:
        self.asked.put(timeout)
        left = timeout or 0.0
        while left > 0 and not self.is_set():
            left -= self.passed.get() or 0.0
        return self.is_set()

    def set(self) -> None:
        super().set()
        self.passed.put(None)

    def asleep(self) -> float | None:
        """Returns when the thread waits again, with the seconds that it waits."""
        return self.asked.get(timeout=30)


class Written(Storage):
    """Remembers the records that are written, each as it began to be written."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[dict[str, Any]] = []

    def write(self, uri: str, content: bytes) -> None:
        self.records.append(json.loads(content))


def running() -> Run:
    return Run("id", "score", "0", "0", "2026-01-01T00:00:00+00:00", outcome="RUNNING")


def test_heartbeat_writes_the_record_every_few_seconds() -> None:
    storage, clock, progress, record = Written(), Clock(), Progress(io.StringIO()), running()
    begun = datetime.now(UTC)
    with heartbeat(record, progress, storage, "file:///t", clock):
        assert clock.asleep() == EVERY_SECONDS
        progress.start("faces", 40)
        for done in range(5):
            progress.set(done)
        clock.passed.put(EVERY_SECONDS - 0.1)
        assert storage.records == [], "updates of progress write nothing"
        clock.passed.put(0.2)
        assert clock.asleep() == EVERY_SECONDS and len(storage.records) == 1
        progress.start("pages", 7)
        clock.passed.put(EVERY_SECONDS)
        clock.asleep()
    assert [record["outcome"] for record in storage.records] == ["RUNNING"] * 2
    first, second = (record["progress"] for record in storage.records)
    assert (first["what"], first["done"], first["total"]) == ("faces", 4, 40) and first["rate"] > 0
    assert second == {"what": "pages", "done": 0, "total": 7, "rate": None}
    assert begun <= datetime.fromisoformat(storage.records[0]["seen_at"]) <= datetime.now(UTC)
    assert (record.seen_at, record.progress) == (None, None), "the final record has neither"


def test_heartbeat_never_overwrites_the_final_record() -> None:
    """A heartbeat that is being written when the run ends is finished before the final record."""
    under_way, go_on = threading.Event(), threading.Event()

    class Slow(Written):
        def write(self, uri: str, content: bytes) -> None:
            if json.loads(content)["outcome"] == "RUNNING":
                under_way.set()
                assert go_on.wait(30)
            super().write(uri, content)

    storage, clock, record = Slow(), Clock(), running()
    with heartbeat(record, Progress(io.StringIO()), storage, "file:///t", clock):
        clock.asleep()
        clock.passed.put(EVERY_SECONDS)
        assert under_way.wait(30)
        threading.Timer(0.3, go_on.set).start()
    record.outcome = "DONE"
    record.write(storage, "file:///t")
    assert [record["outcome"] for record in storage.records] == ["RUNNING", "DONE"]


@pytest.mark.parametrize("error", [StorageError("gone"), RuntimeError("gone")])
def test_heartbeat_warns_once_when_the_record_cannot_be_written(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    class Failing(Storage):
        def write(self, uri: str, content: bytes) -> None:
            raise error

    clock = Clock()
    with (
        caplog.at_level(logging.WARNING),
        heartbeat(running(), Progress(io.StringIO()), Failing(), "file:///t", clock),
    ):
        for _ in range(3):
            clock.asleep()
            clock.passed.put(EVERY_SECONDS)
        clock.asleep()
    assert [entry.getMessage() for entry in caplog.records] == [
        "the progress of this run can't be written, so status does not show it: gone"
    ]


def test_heartbeat_ends_when_the_job_fails() -> None:
    def threads() -> list[threading.Thread]:
        return [thread for thread in threading.enumerate() if thread.name == "write_heartbeat"]

    storage = Written()
    with pytest.raises(ZeroDivisionError), heartbeat(running(), Progress(io.StringIO()), storage, "file:///t"):
        assert len(threads()) == 1
        raise ZeroDivisionError
    assert storage.records == [] and threads() == []
