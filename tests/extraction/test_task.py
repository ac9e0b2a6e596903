"""Tasks with several threads, and errors that concern no single video."""

import logging
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from dflib.config import Config
from dflib.errors import CredentialsError
from dflib.extraction import task as task_module
from dflib.extraction.isolation import Isolation
from dflib.extraction.schedule import PendingVideo
from dflib.extraction.task import make_task, map_in_order
from dflib.extraction.video import VideoRows
from dflib.runtime.gpus import Ask
from dflib.runtime.task_log import Origin
from dflib.storage import Storage
from tests.extraction.conftest import Rgb, numbered, with_portrait
from tests.fault_proxy import Faults, fault_proxy
from tests.s3_server import REGION, s3_server
from tools.demo.clips import encode_bytes

VOLATILE = ("extracted_at", "decode_seconds", "detect_seconds")


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_map_in_order_keeps_order_and_bounds_work(threads: int) -> None:
    """Later items finish first; never more in progress than threads, plus one result that waits to be consumed."""
    running, max_running, started = 0, 0, 0
    lock = threading.Lock()

    def work(item: int) -> int:
        nonlocal running, max_running, started
        with lock:
            running, started = running + 1, started + 1
            max_running = max(max_running, running)
        time.sleep(0.03 if item % 2 == 0 else 0.001)
        with lock:
            running -= 1
        return item

    results = []
    for result in map_in_order(work, range(9), threads):
        results.append(result)
        assert started <= len(results) + threads
    assert results == list(range(9)) and max_running <= threads
    assert (max_running > 1) == (threads > 1)


def test_map_in_order_raises_errors_of_the_work() -> None:
    with pytest.raises(ZeroDivisionError):
        list(map_in_order(lambda item: 1 // item, [1, 0, 2], 2))


def test_task_returns_the_same_rows_with_several_threads(tmp_path: Path, config: Config, portrait: Rgb) -> None:
    """Good, broken and missing videos; bytes and requests are counted for each."""
    cheap = config.model_copy(update={"faces": config.faces.model_copy(update={"detector": "haar"})})
    contents = [
        encode_bytes(with_portrait(portrait, 12))[0],
        b"no video at all",
        encode_bytes(numbered(20))[0],
        encode_bytes(with_portrait(portrait, 16, step=-2))[0],
    ]
    videos = []
    for number, content in enumerate(contents):
        path = tmp_path / f"{number}.mp4"
        path.write_bytes(content)
        videos.append(PendingVideo(f"t/{number}", f"file://{path}", None, None, "file", None, len(content), "x"))
    videos.append(PendingVideo("t/gone", f"file://{tmp_path}/gone.mp4", None, None, "file", None, 10, "x"))

    def rows_of_task(threads: int) -> list[dict[str, Any]]:
        task = make_task([videos], "x", cheap, Storage(), Origin("run", "extract"), Ask("machine", False), threads)
        batches = list(task(iter([pa.RecordBatch.from_pydict({"id": [0]})])))
        *rows, last = pa.Table.from_batches(batches).to_pylist()
        assert (last["task"]["videos"], last["task"]["device"]) == (5, "CPU:0")
        assert last["task"]["bytes_read"] == sum(row["extraction"]["bytes_read"] for row in rows if row["extraction"])
        assert last["task"]["retries"] == 0, "local files are read without retries"
        assert last["task"]["faces"] == sum(row["face"] is not None for row in rows)
        for row in rows:
            for name in VOLATILE:
                (row["extraction"] or {}).pop(name, None)
            row.pop("task")
        return rows

    one, three = rows_of_task(1), rows_of_task(3)
    assert one == three
    ledger = [row["extraction"] for row in one if row["extraction"]]
    assert [row["outcome"] for row in ledger] == ["DONE", "FAILED", "DONE", "DONE", "FAILED"]
    assert [row["bytes_read"] for row in ledger[:4]] == [len(content) for content in contents]
    assert sum(row["face"] is not None for row in one) >= 6


def test_whatever_a_video_causes_is_its_row(
    tmp_path: Path, config: Config, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Also an error of reading that nobody thought of, and a value that fits into no column.

    Each row is later than the last ingest of the archive, also where the clock was set back in between.
    """
    caplog.set_level(logging.CRITICAL, "dflib.extraction.task")  # pytest-xdist can't pass on text that is not UTF-8
    ingested = datetime.now(UTC) + timedelta(days=1)
    cheap = config.model_copy(update={"faces": config.faces.model_copy(update={"detector": "haar"})})
    content = encode_bytes(numbered(20), audio=False)[0]
    videos = []
    for name in ("good", "odd", "vast", "fine"):
        (tmp_path / f"{name}.mp4").write_bytes(content)
        uri = f"file://{tmp_path}/{name}.mp4"
        videos.append(PendingVideo(name, uri, None, None, "file", None, len(content), "x", ingested_at=ingested))
    read, extract = task_module.read_member, Isolation.extract

    def reading(storage: Storage, uri: str, *place: Any) -> bytes:
        if uri.endswith("odd.mp4"):
            raise RuntimeError("odd \udcff")
        return read(storage, uri, *place)

    def extracting(isolated: Isolation, content: bytes, video_id: str, *more: Any) -> VideoRows:
        rows = extract(isolated, content, video_id, *more)
        return replace(rows, ledger=rows.ledger | {"width": 1 << 40}) if video_id == "vast" else rows

    monkeypatch.setattr(task_module, "read_member", reading)
    monkeypatch.setattr(Isolation, "extract", extracting)
    task = make_task([videos], "x", cheap, Storage(), Origin("run", "extract"), Ask("none", False))
    rows = pa.Table.from_batches(list(task(iter([pa.RecordBatch.from_pydict({"id": [0]})])))).to_pylist()
    ledger = {row["extraction"]["video_id"]: row["extraction"] for row in rows if row["extraction"]}
    assert {name: row["reason"] for name, row in ledger.items()} == {
        **dict.fromkeys(("good", "fine")),
        **dict.fromkeys(("odd", "vast"), "INTERNAL_ERROR"),
    }
    assert all(row["extracted_at"] > ingested for row in ledger.values())
    assert ledger["odd"]["detail"] == "RuntimeError: odd ?" and ledger["vast"]["detail"].startswith("ArrowInvalid: ")
    assert {row["frame"]["video_id"] for row in rows if row["frame"]} == {"good", "fine"}


def test_missing_credentials_fail_the_task(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    storage = Storage("http://127.0.0.1:9", REGION, path_style=True)
    videos = [PendingVideo("t/0", "s3://videos/0.mp4", None, None, "file", None, 10, "x")]
    task = make_task([videos], "x", config, storage, Origin("run", "extract"), Ask("machine", False), 2)
    with pytest.raises(CredentialsError, match=r"s3://videos/0.mp4: Unable to locate credentials"):
        list(task(iter([pa.RecordBatch.from_pydict({"id": [0]})])))


def test_task_row_counts_retries(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """One for each failure of the server, over videos read in parallel."""
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    with s3_server("videos") as endpoint:
        content = b"no video at all" * 20
        videos = []
        for number in range(30):
            uri = f"s3://videos/{number}.mp4"
            Storage(endpoint, REGION, path_style=True).write(uri, content)
            videos.append(PendingVideo(f"t/{number}", uri, None, None, "file", None, len(content), "x"))
        faults = Faults(errors=0.15, cuts=0.1, seed=2)
        with fault_proxy(endpoint, faults) as failing:
            storage = Storage(failing, REGION, path_style=True)
            task = make_task([videos], "x", config, storage, Origin("run", "extract"), Ask("machine", False), 2)
            batches = list(task(iter([pa.RecordBatch.from_pydict({"id": [0]})])))
    *ledger, last = pa.Table.from_batches(batches).to_pylist()
    failures = faults.counts["500"] + faults.counts["503"] + faults.counts["cut"]
    assert last["task"]["retries"] == failures > 5
    assert last["task"]["requests"] == 30 and {row["extraction"]["reason"] for row in ledger} == {"UNREADABLE"}
