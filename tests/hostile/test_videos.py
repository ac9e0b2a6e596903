"""Damaged and oversized videos through a task of extract: each is a row, done or refused with a reason."""

import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from dflib.config import Config
from dflib.config import load as conf_files
from dflib.extraction import isolation
from dflib.extraction.schedule import PendingVideo
from dflib.extraction.task import make_task
from dflib.runtime.gpus import Ask
from dflib.runtime.task_log import Origin
from dflib.storage import Storage
from tests.hostile import bombs, mutations

pytestmark = pytest.mark.hostile

HOME = Path(__file__).parents[2]
SEEDS = 60
"""Mutations of each small file."""
MAX_SECONDS = 20
"""CPU time of an input."""
MAX_BYTES = 1.5e9
"""Peak of the process that opens the videos, a cheap detector included."""
EXPLAINED = {"UNREADABLE", "NO_VIDEO_STREAM", "NO_FRAMES", "DECODE_ERROR", "TOO_LARGE", "TIMEOUT", "CRASHED"}

Settings = dict[str, Any]


@pytest.fixture(scope="module")
def config() -> Iterator[Config]:
    yield conf_files.load(
        HOME / "conf", "local", ["faces.detector=haar", "sampling.frames=even:4", "extract.max_cpu_seconds=15"]
    )
    isolation.close()


def extracted(content: bytes, folder: Path, config: Config) -> tuple[dict[str, Any], list[dict[str, Any]], float]:
    """The ledger row, the rows of frames, and the CPU seconds of a task with one video."""
    path = folder / "video"
    path.write_bytes(content)
    video = PendingVideo("t/video", f"file://{path}", None, None, "file", None, len(content), "x")
    task = make_task([[video]], "x", config, Storage(), Origin("run", "extract"), Ask("none", False))
    rows = pa.Table.from_batches(list(task(iter([pa.RecordBatch.from_pydict({"id": [0]})])))).to_pylist()
    (ledger,) = [row["extraction"] for row in rows if row["extraction"]]
    return ledger, [row["frame"] for row in rows if row["frame"]], rows[-1]["task"]["cpu_seconds"]


def outcome(ledger: dict[str, Any], frames: list[dict[str, Any]]) -> str:
    """DONE, PARTIAL, a reason, or ``else``: what is not explained, or is not what a ledger row may say."""
    if ledger["outcome"] == "FAILED":
        return ledger["reason"] if ledger["reason"] in EXPLAINED and ledger["detail"] else f"else: {ledger['detail']}"
    times = [frame["time"] for frame in frames]
    sound = (
        1 <= len(frames) == ledger["frames"] <= ledger["frames_wanted"]
        and times == sorted(set(times))
        and min(times) >= 0
        and max(times) <= ledger["duration"] + 1e-6
    )
    return (ledger["reason"] or "DONE") if sound else f"else: {times} of {ledger}"


def told(counts: Counter[str], slowest: tuple[float, str], seconds: float) -> str:
    right, partial = counts["DONE"], counts["PARTIAL"]
    unknown = {name: count for name, count in counts.items() if name.startswith("else")}
    refused = counts.total() - right - partial - sum(unknown.values())
    own = isolation._own
    assert own is not None
    return (
        f"\ntried {counts.total()}, done {right}, in part {partial}, refused {refused}, else {sum(unknown.values())}; "
        f"{dict(counts.most_common())}; slowest {slowest[1]} {slowest[0]:.1f} CPU s; "
        f"peak {own.peak_bytes() / 1e6:.0f} MB; {seconds:.0f} s"
    )


def run(inputs: Iterator[tuple[str, bytes]], folder: Path, config: Config) -> Counter[str]:
    counts: Counter[str] = Counter()
    slowest, started = (0.0, ""), time.monotonic()
    for name, content in inputs:
        ledger, frames, seconds = extracted(content, folder, config)
        found = outcome(ledger, frames)
        if found.startswith("else"):
            print(name, found)
        counts[found] += 1
        slowest = max(slowest, (seconds, name))
    print(told(counts, slowest, time.monotonic() - started))
    assert not [name for name in counts if name.startswith("else")]
    assert slowest[0] <= MAX_SECONDS, slowest
    assert isolation._own is not None and isolation._own.peak_bytes() <= MAX_BYTES
    return counts


def test_undamaged_files_are_done(tmp_path: Path, config: Config) -> None:
    files = mutations.files()
    assert run(iter(files.items()), tmp_path, config)["DONE"] == len(files)


def test_mutations(tmp_path: Path, config: Config) -> None:
    def inputs() -> Iterator[tuple[str, bytes]]:
        for name, content in mutations.files().items():
            for seed in range(SEEDS):
                kind, damaged = mutations.mutated(name, content, seed)
                yield f"{name}, {kind}, seed {seed}", damaged

    counts = run(inputs(), tmp_path, config)
    assert counts.total() >= 1000 and counts["DONE"] > 100 and counts["UNREADABLE"] > 100


@pytest.mark.parametrize(
    ("name", "reasons"),
    [
        ("index of 80 million entries, ten tracks", {"TOO_LARGE"}),
        ("index of 20 million entries, one track", {"TOO_LARGE"}),
        ("still of 16000x16000", {"TOO_LARGE"}),
        ("twenty stills of 7680x4320", {"TOO_LARGE"}),
        ("600 frames of 3840x2160", {"DONE"}),
        ("66,000 pixels wide", {"DONE"}),
    ],
)
def test_bombs(name: str, reasons: set[str], tmp_path: Path, config: Config) -> None:
    content = {
        "index of 80 million entries, ten tracks": lambda: bombs.index_bomb(),
        "index of 20 million entries, one track": lambda: bombs.index_bomb(20_000_000, 1),
        "still of 16000x16000": lambda: bombs.large_stills(16_000, 16_000, 1),
        "twenty stills of 7680x4320": lambda: bombs.large_stills(7680, 4320, 20),
        "600 frames of 3840x2160": lambda: bombs.long_4k(600),
        "66,000 pixels wide": lambda: bombs.wide(),
    }[name]()
    counts = run(iter([(name, content)]), tmp_path, config)
    assert set(counts) <= reasons
