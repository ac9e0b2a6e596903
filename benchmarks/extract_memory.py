"""Memory of a task of extract: whether it stays constant over many clips, and what a long and a 4K clip need.

    python -m benchmarks.extract_memory clip.mp4 ... [--clips 200] [--out extract_memory.json]

Each part runs in its own process, like a task on one CPU core: one detector, one decoder.  The first part extracts the
clips on the command line repeatedly.  The long clip consists of the first one's packets, repeated for ten minutes; the
4K clip is synthetic (a moving portrait from matplotlib's sample data).  Resident memory is that of the whole process,
TensorFlow included.
"""

import argparse
import io
import json
import multiprocessing
import os
import resource
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.extract import machine
from dflib.config import load as conf_files

MEGABYTE = 1 << 20
LONG_SECONDS = 600
PRESETS = ("even:20", "per_second:1")


def resident() -> float:
    """Current resident memory of this process, MiB (Linux)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / MEGABYTE


def peak() -> float:
    """Peak resident memory of this process, MiB (Linux reports KiB)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def extract(contents: list[bytes], times: int, preset: str) -> dict[str, Any]:
    """Extracts clips in turn in this process; memory after each."""
    from dflib.config.identity import extractor_id
    from dflib.extraction import detect, tracks
    from dflib.extraction.video import extract_video

    settings = conf_files.load(Path(__file__).parent.parent / "conf", "local", [f"sampling.frames={preset}"])
    detector = detect.load(settings.faces.detector, tracks.candidate_threshold(settings.faces))
    loaded, after, faces, frames = resident(), [], 0, 0
    for number in range(times):
        rows = extract_video(contents[number % len(contents)], "v", extractor_id(settings), settings, detector)
        after.append(resident())
        faces, frames = faces + len(rows.faces), frames + len(rows.frames)
    return {
        "clips": times,
        "preset": preset,
        "frames": frames,
        "faces": faces,
        "loaded_mib": round(loaded),
        "after_mib": [round(value) for value in after],
        "peak_mib": round(peak()),
    }


def long(content: bytes) -> bytes:
    """The clip's video packets repeated for :data:`LONG_SECONDS`."""
    import av

    with av.open(io.BytesIO(content)) as source:
        stream = source.streams.video[0]
        ends = [packet.pts + (packet.duration or 1) for packet in source.demux(stream) if packet.size]
        assert stream.time_base is not None
        length = max(ends)
        rounds = int(LONG_SECONDS / float(length * stream.time_base)) + 1
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as target, av.open(io.BytesIO(content)) as first:
        copy = target.add_stream_from_template(first.streams.video[0])
        for number in range(rounds):
            with av.open(io.BytesIO(content)) as source:
                for packet in source.demux(source.streams.video[0]):
                    if packet.size:
                        packet.pts, packet.dts = packet.pts + number * length, packet.dts + number * length
                        packet.stream = copy
                        target.mux(packet)
    return buffer.getvalue()


def four_k() -> bytes:
    """Five seconds of 3840x2160: a portrait that moves in front of a plain wall."""
    import cv2
    import matplotlib

    from tools.demo.clips import encode_bytes

    portrait = cv2.imread(str(Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"))[:, :, ::-1]
    face = cv2.resize(np.ascontiguousarray(portrait), (1000, 1200), interpolation=cv2.INTER_CUBIC)

    def images() -> Iterator[Any]:
        for number in range(125):
            image = np.full((2160, 3840, 3), (70, 110, 90), np.uint8)
            x = 400 + 16 * number
            image[500:1700, x : x + 1000] = face
            yield image

    return encode_bytes(images(), fps=25, audio=False, options={"preset": "ultrafast"})[0]


def _in_process(contents: list[bytes], times: int, preset: str) -> dict[str, Any]:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(extract, (contents, times, preset))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clip", nargs="+", type=Path)
    parser.add_argument("--clips", type=int, default=200, help="number of extractions in the first part")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/extract_memory.json"))
    arguments = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    contents = [path.read_bytes() for path in arguments.clip]
    parts = {f"{arguments.clips} clips": _in_process(contents, arguments.clips, PRESETS[0])}
    ten_minutes, large = long(contents[0]), four_k()
    for preset in PRESETS:
        parts[f"10 minutes, {preset}"] = _in_process([ten_minutes], 1, preset)
        parts[f"3840x2160, {preset}"] = _in_process([large], 1, preset)
    for part in parts.values():
        after = part.pop("after_mib")
        # The first clips fill caches and pools; the question is whether memory keeps growing.
        part |= {"after_10th_mib": after[min(9, len(after) - 1)], "after_last_mib": after[-1]}
    print(f"{'':28}{'frames':>8}{'faces':>8}{'loaded':>8}{'10th':>8}{'last':>8}{'peak':>8}  MiB resident")
    for name, part in parts.items():
        figures = (
            part[key] for key in ("frames", "faces", "loaded_mib", "after_10th_mib", "after_last_mib", "peak_mib")
        )
        print(f"{name:28}" + "".join(f"{figure:8}" for figure in figures))
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    sizes = {"ten_minutes": len(ten_minutes), "3840x2160": len(large)}
    arguments.out.write_text(json.dumps({"machine": machine(), "bytes": sizes, "parts": parts}, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
