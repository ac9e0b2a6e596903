"""Run records: the whole configuration, no secret that somebody put into a URI, and signs of life meanwhile."""

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


def test_the_record_holds_the_configuration_without_secrets(tmp_path: Path) -> None:
    told = conf_files.load(
        CONF,
        "local",
        [
            "sources.labels=s3://user:pass@w0rd@bucket/labels.csv",
            "sources.chunks=s3://bucket/part_?.zip,s3://bucket/a.zip?X-Amz-Signature=hidden&x=y",
        ],
    )
    run = Run("id", "ingest", told.digest(), "0", "2026-01-01", config=told.model_dump(mode="json"))
    run.error = "http://user:pass@minio:9000/x: refused"
    uri = run.write(Storage(), f"file://{tmp_path}")
    record = json.loads(Storage().read(uri))
    assert record["config"]["sources"].pop("labels") == "s3://***@bucket/labels.csv"
    assert record["config"]["sources"].pop("chunks") == ["s3://bucket/part_?.zip", "s3://bucket/a.zip?***"]
    expected = told.model_dump(mode="json", exclude={"sources": {"chunks", "labels"}})
    assert record["config"] == expected and record["config_digest"] == told.digest()
    assert record["error"] == "http://***@minio:9000/x: refused"


class Clock(threading.Event):
    """The end of a run, with a time that goes on only when :meth:`pass_by` says so."""

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
        """Comes back when the thread waits again, with the seconds that it waits."""
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


def test_the_record_is_written_anew_at_most_every_few_seconds() -> None:
    storage, clock, progress, record = Written(), Clock(), Progress(io.StringIO()), running()
    begun = datetime.now(UTC)
    with heartbeat(record, progress, storage, "file:///t", clock):
        assert clock.asleep() == EVERY_SECONDS
        progress.start("faces", 40)
        for done in range(5):
            progress.set(done)
        clock.passed.put(EVERY_SECONDS - 0.1)
        assert storage.records == [], "whatever progress is told, it is not time"
        clock.passed.put(0.2)
        assert clock.asleep() == EVERY_SECONDS and len(storage.records) == 1
        progress.start("pages", 7)
        clock.passed.put(EVERY_SECONDS)
        clock.asleep()
    assert [told["outcome"] for told in storage.records] == ["RUNNING"] * 2
    first, second = (told["progress"] for told in storage.records)
    assert (first["what"], first["done"], first["total"]) == ("faces", 4, 40) and first["rate"] > 0
    assert second == {"what": "pages", "done": 0, "total": 7, "rate": None}
    assert begun <= datetime.fromisoformat(storage.records[0]["seen_at"]) <= datetime.now(UTC)
    assert (record.seen_at, record.progress) == (None, None), "what is written at the end has neither"


def test_the_last_record_wins() -> None:
    """A sign of life that is being written when the run ends is written before the record of the end."""
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
    assert [told["outcome"] for told in storage.records] == ["RUNNING", "DONE"]


@pytest.mark.parametrize("error", [StorageError("gone"), RuntimeError("gone")])
def test_a_record_that_cant_be_written_breaks_no_job(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
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
    assert [told.getMessage() for told in caplog.records] == ["status can't tell how far this run is: gone"]


def test_an_error_of_the_job_ends_it_too() -> None:
    storage = Written()
    with pytest.raises(ZeroDivisionError), heartbeat(running(), Progress(io.StringIO()), storage, "file:///t"):
        raise ZeroDivisionError
    assert storage.records == [] and "record" not in {thread.name for thread in threading.enumerate()}
