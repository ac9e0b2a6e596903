"""Speed-up by a second executor, and the error of ``estimate``, on real clips on a standalone cluster.

    python -m benchmarks.cluster CLIP.mp4 … [--videos 70] [--out benchmarks/results/cluster.json]

The cluster runs on this machine, with executors of one core.  The clips are copied into two chunk zips, one with
``--videos`` members and one with four times as many.

- Estimate: one executor extracts the small chunk; ``estimate`` learns from that run; one executor extracts the large
  chunk.  The estimate is compared with the wall-clock time in the run record.
- Scaling: two executors extract the large chunk too.  The stage lasts from the start of its first task to the end of
  its last task in the table ``tasks``.
- Reference: one process decodes the clips with OpenCV, then two processes do so at the same time.  Two cores that
  share caches and memory are less than twice as fast as one, and no scheduler can be faster than that.
"""

import argparse
import datetime
import itertools
import json
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.extract import aligned, machine, rounded
from tests.cluster.standalone import Cluster, standalone
from tests.jobs.places import Place

TIMES = 4
EXECUTOR = ("spark.executor.cores=1", "spark.executor.memory=1g")
BARE = "import cv2, sys\ncv2.setNumThreads(1)\nfor path in sys.argv[1:]:\n" + (
    "    video = cv2.VideoCapture(path, cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])\n    while video.grab(): pass\n"
)


def make_chunk(path: Path, clips: Sequence[Path], videos: int, first: int) -> None:
    """A chunk zip as the challenge publishes it, of copies of the clips."""
    names = [f"clip{number:05}.mp4" for number in range(first, first + videos)]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        folder = path.stem
        for name, clip in zip(names, itertools.cycle(clips), strict=False):
            archive.write(clip, f"{folder}/{name}")
        labels = {name: {"label": "REAL", "split": "train", "original": None} for name in names}
        archive.writestr(f"{folder}/metadata.json", json.dumps(labels))


def extract(place: Place, cluster: Cluster, executors: int) -> dict[str, float]:
    """Runs extract on ``executors`` executors; seconds of the run and of its stage, and counts."""
    place.submit("extract", options=cluster.options(*EXECUTOR, f"spark.cores.max={executors}"))
    record = place.runs("extract")[-1]
    tasks = place.table("tasks").query("run_id == @record['run_id']")
    ended = [begun.timestamp() + seconds for begun, seconds in zip(tasks["started_at"], tasks["seconds"], strict=True)]
    return {
        "executors": executors,
        "videos": record["counts"]["videos"],
        "faces": record["counts"]["faces"],
        "tasks": len(tasks),
        "workers": int(tasks["worker"].nunique()),
        "run": record["seconds"],
        "stage": max(ended) - tasks["started_at"].min().timestamp(),
        "task_cpu": float(tasks["cpu_seconds"].sum()),
    }


def bare(clips: Sequence[Path], processes: int, times: int) -> float:
    """Wall-clock seconds in which ``processes`` processes each decode all clips ``times`` times."""
    command = [sys.executable, "-c", BARE, *[str(clip) for clip in clips] * times]
    started = time.monotonic()
    running = [subprocess.Popen(command) for _ in range(processes)]
    assert [one.wait() for one in running] == [0] * processes
    return time.monotonic() - started


def measure(clips: Sequence[Path], videos: int, folder: Path) -> dict[str, Any]:
    """Both measurements; chunks and tables are written to ``folder``."""
    chunks = folder / "chunks"
    chunks.mkdir()
    make_chunk(chunks / "dfdc_train_part_0.zip", clips, videos, 0)
    make_chunk(chunks / "dfdc_train_part_1.zip", clips, TIMES * videos, videos)
    logs = folder / "cluster"
    logs.mkdir()
    small, large = (f"{chunks}/dfdc_train_part_{number}.zip" for number in (0, 1))
    settings = ["tables.metastore=none", "sampling.frames=even:20"]
    with standalone(logs, {"a": "0", "b": "1"}) as cluster:
        one, two = (Place(folder / name, env="standalone", settings=settings) for name in ("one", "two"))
        options = cluster.options(*EXECUTOR, "spark.cores.max=1")
        for place in (one, two):
            place.root.mkdir()
        one.submit("ingest", f"sources.chunks={small}", options=options)
        learned_from = extract(one, cluster, 1)
        one.submit("ingest", f"sources.chunks={large}", options=options)
        output = one.submit("estimate", "estimate.cores=1", options=options).stdout
        estimated = 60 * float(output.split("estimate: ")[1].split(" minutes")[0].replace(",", ""))
        alone = extract(one, cluster, 1)
        two.submit("ingest", f"sources.chunks={large}", options=options)
        both = extract(two, cluster, 2)
    decoders = {str(count): bare(clips, count, 6) for count in (1, 2)}
    assert alone["faces"] == both["faces"]
    return {
        "estimate": {
            "learned_from": learned_from,
            "output": output.splitlines(),
            "estimated": estimated,
            "measured": alone["run"],
            "error": estimated / alone["run"] - 1,
        },
        "scaling": {
            "one": alone,
            "two": both,
            "stage": alone["stage"] / both["stage"],
            "run": alone["run"] / both["run"],
            "bare_decoders": 2 * decoders["1"] / decoders["2"],
        },
    }


def table(found: dict[str, Any]) -> str:
    """For a terminal."""
    estimate, scaling = found["estimate"], found["scaling"]
    rows = [
        ["", "one executor", "two", "speed-up"],
        *(
            [name, f"{scaling['one'][name]:.0f} s", f"{scaling['two'][name]:.0f} s", f"{scaling[name]:.2f}"]
            for name in ("stage", "run")
        ),
        ["decoding only", "", "", f"{scaling['bare_decoders']:.2f}"],
    ]
    line = f"estimate: {estimate['estimated']:.0f} s, measured {estimate['measured']:.0f} s: {estimate['error']:+.0%}"
    return "\n".join([aligned(rows), line, *estimate["output"]])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", nargs="+", type=Path)
    parser.add_argument(
        "--videos", type=int, default=70, help="members of the small chunk; the large one has four times these"
    )
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="dflib-benchmark-") as name:
        found = measure([clip.resolve() for clip in arguments.clips], arguments.videos, Path(name))
    result = rounded({"date": str(datetime.date.today()), "machine": machine(), **found})
    print(table(result))
    if arguments.out:
        arguments.out.write_text(json.dumps(result, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
