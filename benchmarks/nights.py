"""What a night costs on the tables of the whole challenge: 119,154 videos and 2,383,080 scored faces.

    python benchmarks/nights.py FOLDER [--videos 119154] [--out nights.json]

The tables are made, with the rows that ingest, extract and score would have written (crops are a few bytes).  Night 1
checks and reports all of it, night 2 finds nothing new, and for comparison ``score`` and ``report`` are run by
themselves with nothing new.  For each: wall-clock seconds, CPU seconds of all processes, and the largest sum of their
resident memory.  Night 2 must write nothing but its run record.
"""

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pyarrow as pa
from deltalake import DeltaTable, write_deltalake

from dflib import __version__
from dflib.config import load as conf_files
from dflib.config.identity import extractor_id
from dflib.storage import Storage
from dflib.tables.schemas import (
    ALIASES,
    CHUNKS,
    EXTRACTIONS,
    FACES,
    FRAMES,
    MODELS,
    PREDICTIONS,
    TABLES,
    VIDEOS,
    Table,
)

HOME = Path(__file__).parents[1]
CHUNK_COUNT, FACES_PER_VIDEO, PART = 50, 20, 10_000
WHEN = datetime(2026, 1, 1, tzinfo=UTC)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--videos", type=int, default=119_154)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    folder = options.folder.absolute()
    if not (folder / "tables").exists():
        make(folder, options.videos)
    measured: dict[str, Any] = {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "machine": {"cpu": cpu(), "cores": os.cpu_count(), "dflib": __version__},
        "videos": options.videos,
        "faces": options.videos * FACES_PER_VIDEO,
        "runs": {},
    }
    for name, job in (
        ("night 1: all", "nightly"),
        ("night 2: nothing new", "nightly"),
        ("score: nothing new", "score"),
        ("report: nothing new", "report"),
    ):
        before = versions(folder)
        measured["runs"][name] = run(folder, job)
        measured["runs"][name]["tables_written"] = sum(
            versions(folder)[key] != before.get(key) for key in versions(folder)
        )
        print(f"{name:22} {json.dumps(measured['runs'][name])}", flush=True)
    if options.out:
        options.out.write_text(json.dumps(measured, indent=2) + "\n")


def make(folder: Path, videos: int) -> None:
    """Writes the tables and empty archives whose versions they name."""
    (folder / "chunks").mkdir(parents=True)
    extractor = extractor_id(conf_files.load(HOME / "conf", "local"))
    chunks = []
    for number in range(CHUNK_COUNT):
        path = folder / "chunks" / f"dfdc_train_part_{number:02}.zip"
        path.write_bytes(b"")
        entry = Storage().stat(f"file://{path}")
        chunks.append({
            "uri": entry.uri, "etag": entry.etag, "name": path.stem, "kind": "zip", "bytes": 1, "members": 1,
            "videos": videos // CHUNK_COUNT, "problems": [], "ingested_at": WHEN,
        })  # fmt: skip
    add(folder, CHUNKS, chunks)
    add(folder, MODELS, [{
        "model_id": "m", "network": "meso4", "uri": "file:///nowhere", "sha256": "0" * 64, "flavour": "none",
        "view": json.dumps({"size": 256, "margin": 0.3, "square": True, "interpolation": "area", "blank_face": False}),
        "origin": "made", "positive": "fake", "created_at": WHEN,
    }])  # fmt: skip
    add(folder, ALIASES, [{"alias": "champion", "since": WHEN, "model_id": "m", "set_by": "benchmark"}])
    random = np.random.default_rng(1)
    for start in range(0, videos, PART):
        numbers = range(start, min(videos, start + PART))
        add(folder, VIDEOS, [video(number, chunks) for number in numbers])
        add(folder, EXTRACTIONS, [extraction(number, extractor) for number in numbers])
        rows = list(faces(numbers, extractor, random))
        add(folder, FRAMES, [{
            "video_id": row["video_id"], "extractor": extractor, "frame_index": row["frame_index"], "faces": 1,
            "time": row["time"], "width": 1920, "height": 1080,
        } for row in rows])  # fmt: skip
        add(folder, FACES, rows)
        names = ("face_id", "video_id", "extractor", "frame_index", "track")
        scores = random.beta(0.5, 0.5, len(rows))
        add(folder, PREDICTIONS, [
            {name: row[name] for name in names} | {"model_id": "m", "p_fake": float(score), "run_id": "r"}
            for row, score in zip(rows, scores, strict=True)
        ])  # fmt: skip


def video(number: int, chunks: list[dict[str, Any]]) -> dict[str, Any]:
    chunk = chunks[number % CHUNK_COUNT]
    fake = number % 6 != 0
    return {
        "video_id": f"dfdc/v{number:06}", "dataset": "dfdc", "chunk": chunk["name"], "uri": chunk["uri"],
        "member": f"{chunk['name']}/v{number:06}.mp4", "offset": number * 4_000_000, "length": 4_000_000,
        "packing": "stored", "crc32": number, "size": 3_999_000, "fingerprint": f"{number:08x}-3999000",
        "label": "FAKE" if fake else "REAL", "original": f"dfdc/v{number - number % 6:06}" if fake else None,
        "source_group": f"dfdc/v{number - number % 6:06}", "problems": [], "ingested_at": WHEN,
    }  # fmt: skip


def extraction(number: int, extractor: str) -> dict[str, Any]:
    return {
        "video_id": f"dfdc/v{number:06}", "extractor": extractor, "fingerprint": f"{number:08x}-3999000",
        "outcome": "DONE", "attempts": 1, "frames": FACES_PER_VIDEO, "faces": FACES_PER_VIDEO, "bytes_read": 4_000_000,
        "requests": 1, "run_id": "r", "extracted_at": WHEN, "width": 1920, "height": 1080, "fps": 30.0,
        "duration": 10.0,
    }  # fmt: skip


def faces(numbers: range, extractor: str, random: np.random.Generator) -> Iterator[dict[str, Any]]:
    sizes = random.uniform(100, 400, len(numbers) * FACES_PER_VIDEO)
    for place, number in enumerate(numbers):
        for index in range(FACES_PER_VIDEO):
            frame, size = index * 15, float(sizes[place * FACES_PER_VIDEO + index])
            yield {
                "face_id": f"dfdc/v{number:06}-{extractor}-{frame}-0", "video_id": f"dfdc/v{number:06}",
                "extractor": extractor, "frame_index": frame, "face_index": 0, "time": frame / 30, "track": 0,
                "static": False, "short": False, "box_x": 100.0, "box_y": 100.0, "box_w": size, "box_h": size,
                "confidence": 0.99, "crop_x": 50.0, "crop_y": 50.0, "crop_scale": 1.0, "crop_w": 400, "crop_h": 400,
                "format": "jpeg", "image": b"crop", "sharpness": 100.0, "brightness": 120.0, "frontal": 0.9,
            }  # fmt: skip


def add(folder: Path, table: Table, rows: list[dict[str, Any]]) -> None:
    if unknown := set(rows[0]) - set(table.schema.names):
        raise ValueError(f"{table.name} has no columns {sorted(unknown)}")
    write_deltalake(folder / "tables" / table.name, pa.Table.from_pylist(rows, schema=table.schema), mode="append")


def versions(folder: Path) -> dict[str, int]:
    paths = {name: folder / "tables" / name for name in TABLES}
    return {name: DeltaTable(path).version() for name, path in paths.items() if (path / "_delta_log").exists()}


def run(folder: Path, job: str) -> dict[str, Any]:
    """Runs a job; returns its seconds, CPU seconds and largest memory in bytes."""
    places = [f"{name}.root={folder}/{name}" for name in ("tables", "models", "reports")]
    command = [str(HOME / "spark-submit.sh"), job, "--set", *places, f"sources.chunks={folder}/chunks/*.zip"]
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    largest = [0]
    watcher = threading.Thread(target=watch, args=(process.pid, largest), daemon=True)
    watcher.start()
    output, errors = process.communicate()
    if process.returncode not in (0, 3):
        sys.exit(f"{job} ended with {process.returncode}\n{output}\n{errors}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {
        "seconds": round(time.monotonic() - started, 1),
        "cpu_seconds": round(cpu_seconds, 1),
        "peak_bytes": largest[0],
    }


def watch(pid: int, largest: list[int]) -> None:
    """Keeps the largest sum of the resident memory of a process and its children while it lives."""
    while psutil.pid_exists(pid):
        total = 0
        try:
            parent = psutil.Process(pid)
            for process in (parent, *parent.children(recursive=True)):
                try:
                    total += process.memory_info().rss
                except psutil.NoSuchProcess:
                    continue
        except psutil.NoSuchProcess:
            return
        largest[0] = max(largest[0], total)
        time.sleep(0.2)


def cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor()


if __name__ == "__main__":
    main()
