"""What a task does with several cores."""

import threading
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from dflib.config import Config
from dflib.errors import CredentialsError
from dflib.extraction.schedule import Planned
from dflib.extraction.task import in_order, make_task
from dflib.runtime.gpus import Ask
from dflib.runtime.task_log import Origin
from dflib.storage import Storage
from tests.extraction.conftest import Rgb, numbered, with_portrait
from tests.fault_proxy import Faults, fault_proxy
from tests.s3_server import REGION, s3_server
from tools.demo.clips import encode_bytes

VOLATILE = ("extracted_at", "decode_seconds", "detect_seconds")


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_results_come_in_order_and_work_is_bounded(threads: int) -> None:
    """Later items end first; never more under way than threads and one that waits to be taken."""
    running, most, begun = 0, 0, 0
    lock = threading.Lock()

    def work(item: int) -> int:
        nonlocal running, most, begun
        with lock:
            running, begun = running + 1, begun + 1
            most = max(most, running)
        time.sleep(0.03 if item % 2 == 0 else 0.001)
        with lock:
            running -= 1
        return item

    taken = []
    for result in in_order(work, range(9), threads):
        taken.append(result)
        assert begun <= len(taken) + threads
    assert taken == list(range(9)) and most <= threads
    assert threads == 1 or most > 1


def test_an_error_of_the_work_is_raised() -> None:
    with pytest.raises(ZeroDivisionError):
        list(in_order(lambda item: 1 // item, [1, 0, 2], 2))


def test_several_cores_give_the_rows_of_one(tmp_path: Path, config: Config, portrait: Rgb) -> None:
    """Good, broken and missing videos; bytes and requests counted for each."""
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
        videos.append(Planned(f"t/{number}", f"file://{path}", None, None, "file", None, len(content), "x"))
    videos.append(Planned("t/gone", f"file://{tmp_path}/gone.mp4", None, None, "file", None, 10, "x"))

    def rows(threads: int) -> list[dict[str, Any]]:
        task = make_task([videos], "x", config, Storage(), Origin("run", "extract"), Ask("machine", False), threads)
        batches = list(task(iter([pa.RecordBatch.from_pydict({"id": [0]})])))
        *given, last = pa.Table.from_batches(batches).to_pylist()
        assert (last["task"]["videos"], last["task"]["device"]) == (5, "CPU:0")
        assert last["task"]["bytes_read"] == sum(row["extraction"]["bytes_read"] for row in given if row["extraction"])
        assert last["task"]["retries"] == 0, "no disk is asked twice"
        assert last["task"]["faces"] == sum(row["face"] is not None for row in given)
        for row in given:
            for name in VOLATILE:
                (row["extraction"] or {}).pop(name, None)
            row.pop("task")
        return given

    one, three = rows(1), rows(3)
    assert one == three
    ledger = [row["extraction"] for row in one if row["extraction"]]
    assert [row["outcome"] for row in ledger] == ["DONE", "FAILED", "DONE", "DONE", "FAILED"]
    assert [row["bytes_read"] for row in ledger[:4]] == [len(content) for content in contents]
    assert sum(row["face"] is not None for row in one) >= 6


def test_without_credentials_the_task_fails_and_not_each_video(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    storage = Storage("http://127.0.0.1:9", REGION, path_style=True)
    videos = [Planned("t/0", "s3://videos/0.mp4", None, None, "file", None, 10, "x")]
    task = make_task([videos], "x", config, storage, Origin("run", "extract"), Ask("machine", False), 2)
    with pytest.raises(CredentialsError, match=r"s3://videos/0.mp4: Unable to locate credentials"):
        list(task(iter([pa.RecordBatch.from_pydict({"id": [0]})])))


def test_the_row_of_a_task_counts_its_retries(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """As many as the server failed, of videos read side by side."""
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    with s3_server("videos") as endpoint:
        content = b"no video at all" * 20
        videos = []
        for number in range(30):
            uri = f"s3://videos/{number}.mp4"
            Storage(endpoint, REGION, path_style=True).write(uri, content)
            videos.append(Planned(f"t/{number}", uri, None, None, "file", None, len(content), "x"))
        faults = Faults(errors=0.15, cuts=0.1, seed=2)
        with fault_proxy(endpoint, faults) as failing:
            storage = Storage(failing, REGION, path_style=True)
            task = make_task([videos], "x", config, storage, Origin("run", "extract"), Ask("machine", False), 2)
            batches = list(task(iter([pa.RecordBatch.from_pydict({"id": [0]})])))
    *ledger, last = pa.Table.from_batches(batches).to_pylist()
    given = faults.counts["500"] + faults.counts["503"] + faults.counts["cut"]
    assert last["task"]["retries"] == given > 5
    assert last["task"]["requests"] == 30 and {row["extraction"]["reason"] for row in ledger} == {"UNREADABLE"}
