"""Videos that end, stop or starve the process that extracts them."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from dflib.config import Config
from dflib.errors import ClusterError, VideoError
from dflib.extraction import detect, isolation, tracks
from dflib.extraction.isolation import Isolation
from dflib.extraction.video import VideoRows, extract_video
from dflib.extraction.video_process import Setup
from dflib.runtime import process
from dflib.runtime.gpus import Ask
from tests.extraction.conftest import Rgb, numbered, with_portrait
from tests.hostile import bombs
from tools.demo.clips import encode_bytes

MARKED = Path(__file__).parent / "marked"
Start = Callable[..., Isolation]


@pytest.fixture
def cheap(config: Config) -> Config:
    """With a detector that starts at once."""
    return config.model_copy(update={"faces": config.faces.model_copy(update={"detector": "haar"})})


@pytest.fixture
def start(cheap: Config, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Starts processes that obey the marks of :mod:`tests.extraction.marked`."""
    monkeypatch.syspath_prepend(str(MARKED))
    started: list[Isolation] = []

    def begin(threads: int = 1, detector: str = "haar") -> Isolation:
        threshold = tracks.candidate_threshold(cheap.faces)
        started.append(Isolation(Setup(Ask("none", False), None, {}, threads, detector, threshold)))
        return started[-1]

    yield begin
    for one in started:
        one.close()


def limited(config: Config, **limits: Any) -> Config:
    return config.model_copy(update={"extract": config.extract.model_copy(update=limits)})


@pytest.fixture(scope="module")
def clip() -> bytes:
    return encode_bytes(numbered(12), audio=False)[0]


def marked(clip: bytes, mark: str) -> bytes:
    """The clip with a mark in a box that readers skip."""
    text = b"test-mark:" + mark.encode()
    return clip + (8 + len(text)).to_bytes(4, "big") + b"free" + text


def failure(isolated: Isolation, content: bytes, config: Config) -> tuple[str, str]:
    with pytest.raises(VideoError) as caught:
        isolated.extract(content, "t/bad", "x", config)
    return caught.value.reason, caught.value.detail


def stable(rows: VideoRows) -> Any:
    ledger = {name: value for name, value in rows.ledger.items() if not name.endswith("_seconds")}
    return ledger, rows.frames, rows.faces


def test_rows_are_those_of_extract_video(start: Start, cheap: Config, portrait: Rgb) -> None:
    content = encode_bytes(with_portrait(portrait, 12), audio=False)[0]
    detector = detect.load("haar", tracks.candidate_threshold(cheap.faces))
    expected = extract_video(content, "t/a", "x", cheap, detector)
    found = start().extract(content, "t/a", "x", cheap)
    assert stable(found) == stable(expected) and len(found.faces) >= 3


@pytest.mark.parametrize(("mark", "how"), [("SEGV", "SIGSEGV"), ("ABRT", "SIGABRT"), ("exit=3", "exit code 3")])
def test_a_crash_costs_its_video(mark: str, how: str, start: Start, cheap: Config, clip: bytes) -> None:
    isolated = start()
    assert len(isolated.extract(clip, "t/before", "x", cheap).frames) == 4
    assert failure(isolated, marked(clip, mark), cheap) == (
        "CRASHED",
        f"ended its process twice, the second time alone in it, with {how}",
    )
    assert len(isolated.extract(clip, "t/after", "x", cheap).frames) == 4


def test_a_process_that_is_killed_once_costs_nothing(start: Start, cheap: Config, clip: bytes, tmp_path: Path) -> None:
    rows = start().extract(marked(clip, f"kill-once={tmp_path}/killed"), "t/a", "x", cheap)
    assert (tmp_path / "killed").exists() and len(rows.frames) == 4


def test_endless_work_is_ended_by_its_cpu_time(start: Start, cheap: Config, clip: bytes) -> None:
    isolated, limits = start(), limited(cheap, max_cpu_seconds=1)
    isolated.start()
    before = time.monotonic()
    assert failure(isolated, marked(clip, "hang"), limits) == (
        "TIMEOUT",
        "took more than extract.max_cpu_seconds=1 of CPU time",
    )
    assert time.monotonic() - before > 1
    assert len(isolated.extract(clip, "t/after", "x", limits).frames) == 4


def test_waiting_is_no_use_of_cpu_time_but_ends_too(
    start: Start, cheap: Config, clip: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    isolated, limits = start(), limited(cheap, max_cpu_seconds=1)
    # As when the machine is slow: it sleeps when it is opened for its packets, and for its frames.
    assert len(isolated.extract(marked(clip, "sleep=0.6"), "t/slow", "x", limits).frames) == 4
    monkeypatch.setattr(isolation, "STALLED_SECONDS", 0.5)
    reason, detail = failure(isolated, marked(clip, "sleep=1000"), limits)
    assert reason == "TIMEOUT" and "used no CPU time for 0.5 s" in detail


def test_memory_is_limited(start: Start, cheap: Config, clip: bytes) -> None:
    limits = limited(cheap, max_video_memory=200 << 20)
    isolated = start()
    assert failure(isolated, marked(clip, "eat"), limits) == (
        "TOO_LARGE",
        f"needed more than extract.max_video_memory={200 << 20} bytes besides its content",
    )
    assert len(isolated.extract(clip, "t/after", "x", limits).frames) == 4


def test_memory_is_limited_while_a_file_is_opened(start: Start, cheap: Config) -> None:
    """A real file of kilobytes for whose index FFmpeg needs gigabytes; the limit that would find it first is lifted."""
    content = bombs.index_bomb()
    assert len(content) < 20_000
    isolated = start()
    reason, detail = failure(isolated, content, limited(cheap, max_video_memory=300 << 20, max_index_entries=10**10))
    assert reason == "TOO_LARGE" and "extract.max_video_memory" in detail
    assert isolated.peak_bytes() < 1 << 30


def test_any_other_error_is_the_videos(start: Start, cheap: Config, clip: bytes) -> None:
    isolated = start()
    assert failure(isolated, marked(clip, "raise=this"), cheap) == ("INTERNAL_ERROR", "AssertionError: this")
    crops = cheap.crops.model_copy(update={"keep_frames": True})
    reason, detail = failure(isolated, bombs.wide(), cheap.model_copy(update={"crops": crops}))
    assert reason == "TOO_LARGE" and "crops.keep_frames=false" in detail
    assert len(isolated.extract(clip, "t/after", "x", cheap).frames) == 4


@pytest.mark.parametrize(
    ("mark", "reason", "limits"),
    [
        ("SEGV", "CRASHED", {}),
        ("eat", "TOO_LARGE", {"max_video_memory": 150 << 20}),
    ],
)
def test_videos_that_share_a_process_are_not_charged(
    mark: str, reason: str, limits: dict[str, int], start: Start, cheap: Config, clip: bytes
) -> None:
    """Videos that are in the process when it ends are tried again; only the one that ends it again fails."""
    isolated, settings = start(threads=3), limited(cheap, **limits)
    contents = [marked(clip, "sleep=0.1")] * 3 + [marked(clip, mark)] + [marked(clip, "sleep=0.1")] * 3

    def outcome(content: bytes) -> str | int:
        try:
            return len(isolated.extract(content, "t/a", "x", settings).frames)
        except VideoError as error:
            return error.reason

    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(outcome, contents)) == [4, 4, 4, reason, 4, 4, 4]


def test_a_detector_that_does_not_load_fails_the_task(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ClusterError, match="nowhere can't be loaded: ValueError: unknown detector"):
        start(detector="nowhere").start()
    monkeypatch.setattr(isolation.sys, "executable", "/bin/false")
    with pytest.raises(ClusterError, match="ended with exit code 1 before it opened any"):
        start().start()


def test_the_process_ends_with_its_parent(clip: bytes, tmp_path: Path) -> None:
    """However that ends, and while a decoder never returns."""
    path = tmp_path / "hang.mp4"
    path.write_bytes(marked(clip, "hang"))
    script = f"""
import os, sys, threading, time
from pathlib import Path
from dflib.config import load
from dflib.extraction.isolation import Isolation
from dflib.extraction.video_process import Setup
from dflib.runtime.gpus import Ask
isolated = Isolation(Setup(Ask("none", False), None, {{}}, 1, "haar", 0.5))
print(isolated.start().pid, flush=True)
content = Path({str(path)!r}).read_bytes()
isolated.extract(content, "t/a", "x", load.load(Path("conf"), "local", []))
"""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(MARKED), *filter(None, sys.path)])}
    home = Path(__file__).parents[2]
    with subprocess.Popen([sys.executable, "-c", script], cwd=home, env=environment, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        threading.Event().wait(0.5)
        assert process.Usage(child).cpu_seconds() > 0
        parent.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 10
    while _runs(child):
        assert time.monotonic() < deadline, "the child outlives its parent"
        time.sleep(0.05)


def _runs(pid: int) -> bool:
    """Whether the process runs; one that has ended may stay for its parent's sake."""
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0] != b"Z"
    except FileNotFoundError:
        return False
