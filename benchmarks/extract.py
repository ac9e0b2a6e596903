"""What it costs to get the faces out of a clip, and which faces: dflib, the recipe of the seeds, and bare decoding.

    python -m benchmarks.extract clip.mp4 ... [--repeats 3] [--variants bare,seeds20,ours] [--out extract.json]
        [--recall-every 5 [--recall-variants ours] [--min-face 60] [--pictures DIR] [--judged judged.json]]

Each variant (:mod:`benchmarks.extract_variants`) has a process of its own on one thread, which has loaded all it
needs and done a clip of every frame size before the clock starts; ``start-up`` is the CPU time of that loading.  Then
every clip is done by every variant in turn, in an order that rotates, so that a noisy neighbour hits all alike.

A clip's figure is the median of its repeats.  A row of the table is over clips: median and largest CPU seconds,
CPU seconds a face (all clips together), median wall seconds, and the CPU time in that of ``bare`` and of ``seeds20`` on
the same clip in the same repeat: median and largest clip.

``--recall-every`` compares the faces themselves with the mtcnn package at full size: see
:mod:`benchmarks.extract_recall`.  ``--repeats 0`` does that alone.
"""

import argparse
import datetime
import importlib.metadata
import json
import os
import platform
import statistics
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from benchmarks import extract_variants
from benchmarks.extract_worker import ONE_THREAD, Worker
from dflib.errors import DflibError
from dflib.runtime import runs

AGAINST = ("bare", "seeds20")
"""Variants that the others are divided by."""

Sample = dict[str, Any]
"""One variant on one clip in one repeat: cpu, wall (seconds), frames, faces, parts, peak_bytes."""


def measure(clips: Sequence[Path], variants: Sequence[str], repeats: int) -> tuple[list[Sample], dict[str, Any]]:
    """Samples of all variants that can be had, and what starting each took (or why it was skipped)."""
    started: dict[str, Any] = {}
    workers: dict[str, Worker] = {}
    samples: list[Sample] = []
    first_of_size = list({_size(clip): clip for clip in reversed(clips)}.values())
    try:
        for name in variants:
            workers[name] = Worker(name)
            started[name] = workers[name].ready()
            if "skipped" in started[name]:
                workers.pop(name).close()
                continue
            for clip in first_of_size:
                workers[name].measure(clip)
        names = list(workers)
        turn = 0
        for repeat in range(repeats):
            for clip in clips:
                for name in names[turn % len(names) :] + names[: turn % len(names)]:
                    figures = workers[name].measure(clip)
                    samples.append({"variant": name, "clip": clip.name, "repeat": repeat, **figures})
                turn += 1
            print(f"repeat {repeat + 1} of {repeats} done", file=sys.stderr)
    finally:
        for worker in workers.values():
            worker.close()
    return samples, started


def summarise(samples: Sequence[Sample], started: dict[str, Any]) -> dict[str, Any]:
    """Figures of each variant: over all clips, and of each."""
    times: dict[tuple[str, str], list[Sample]] = {}
    for sample in samples:
        times.setdefault((sample["variant"], sample["clip"]), []).append(sample)
    result: dict[str, Any] = {}
    for name, start in started.items():
        if "skipped" in start:
            result[name] = {"skipped": start["skipped"]}
            continue
        clips = {clip: _of_clip(own, times, name, clip) for (variant, clip), own in times.items() if variant == name}
        figures = list(clips.values())
        faces = sum(clip["faces"] for clip in figures)
        cpu = sum(clip["cpu"] for clip in figures)
        result[name] = {
            "cpu": statistics.median(clip["cpu"] for clip in figures),
            "cpu_max": max(clip["cpu_max"] for clip in figures),
            "wall": statistics.median(clip["wall"] for clip in figures),
            "frames": sum(clip["frames"] for clip in figures),
            "faces": faces,
            "cpu_per_face": cpu / faces if faces else None,
            "peak_bytes": max(sample["peak_bytes"] for sample in samples if sample["variant"] == name),
            "startup_cpu": start["cpu"],
            "startup_wall": start["wall"],
            "startup_peak_bytes": start["peak_bytes"],
            **{f"{what}{end}": value for what in AGAINST for end, value in _ratios(figures, f"times_{what}")},
            "clips": clips,
        }
    return result


def _of_clip(own: list[Sample], times: dict[tuple[str, str], list[Sample]], name: str, clip: str) -> dict[str, Any]:
    counts = {(sample["frames"], sample["faces"]) for sample in own}
    if len(counts) > 1:
        raise SystemExit(f"extract: {name} on {clip}: frames and faces differ between repeats: {sorted(counts)}")
    cpu = statistics.median(sample["cpu"] for sample in own)
    figures: dict[str, Any] = {
        "cpu": cpu,
        "cpu_max": max(sample["cpu"] for sample in own),
        "wall": statistics.median(sample["wall"] for sample in own),
        "wall_max": max(sample["wall"] for sample in own),
        "frames": own[0]["frames"],
        "faces": own[0]["faces"],
        "cpu_per_face": cpu / own[0]["faces"] if own[0]["faces"] else None,
    }
    for part in own[0]["parts"]:
        figures[f"{part}_cpu"] = statistics.median(sample["parts"][part] for sample in own)
    for what in AGAINST:
        other = {sample["repeat"]: sample["cpu"] for sample in times.get((what, clip), [])}
        if other:
            figures[f"times_{what}"] = statistics.median(sample["cpu"] / other[sample["repeat"]] for sample in own)
    return figures


def _ratios(figures: list[dict[str, Any]], key: str) -> Iterable[tuple[str, float | None]]:
    values = [clip[key] for clip in figures if key in clip]
    return (("", statistics.median(values)), ("_max", max(values))) if values else (("", None), ("_max", None))


def describe(clips: Sequence[Path]) -> list[dict[str, Any]]:
    """What each clip is; names only, no places."""
    described = []
    for clip in clips:
        info = extract_variants.probe(clip.read_bytes())
        size = {"width": info.width, "height": info.height, "frames": len(info.times)}
        described.append({"clip": clip.name, "codec": info.codec, **size, "seconds": round(info.duration, 3)})
    return described


def machine() -> dict[str, Any]:
    cpu = platform.processor()
    info = Path("/proc/cpuinfo")
    if info.exists():
        named = [line.partition(":")[2].strip() for line in info.read_text().splitlines() if "model name" in line]
        cpu = named[0] if named else cpu
    packages = ("av", "opencv-python-headless", "numpy", "tensorflow", "mtcnn")
    return {
        "cpu": cpu,
        "cores": os.cpu_count(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        **{package: importlib.metadata.version(package) for package in packages},
        "dflib": runs.code_version(),
    }


def table(variants: dict[str, Any]) -> str:
    """The summary as aligned text."""
    heads = ["variant", "CPU s", "max", "a face", "wall s", "frames", "faces", "peak MB", "start-up"]
    rows = [heads + [f"/{what}{end}" for what in AGAINST for end in ("", " max")]]
    keys = ["cpu", "cpu_max", "cpu_per_face", "wall", "frames", "faces", "peak_bytes", "startup_cpu"]
    keys += [f"{what}{end}" for what in AGAINST for end in ("", "_max")]
    for name, figures in variants.items():
        if "skipped" not in figures:
            rows.append([name, *(_cell(key, figures[key]) for key in keys)])
    skipped = [f"{name}: skipped, {figures['skipped']}" for name, figures in variants.items() if "skipped" in figures]
    return "\n".join([aligned(rows), *skipped])


def _cell(key: str, value: float | None) -> str:
    if value is None:
        return "-"
    if key.endswith("bytes"):
        return f"{value / 1e6:.0f}"
    if isinstance(value, int):
        return str(value)
    return f"{value:.4f}" if key == "cpu_per_face" else f"{value:.2f}"


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Columns by their widest cell, the first one to the left and the others to the right."""
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.rjust(width) if place else cell.ljust(width) for place, (cell, width) in enumerate(pairs))
        for pairs in (list(zip(row, widths, strict=True)) for row in rows)
    )


def rounded(value: Any) -> Any:
    """The same with no more digits than mean anything."""
    if isinstance(value, dict):
        return {key: rounded(part) for key, part in value.items()}
    if isinstance(value, list):
        return [rounded(part) for part in value]
    return round(value, 4) if isinstance(value, float) else value


def _size(clip: Path) -> tuple[int, int]:
    info = extract_variants.probe(clip.read_bytes())
    return info.width, info.height


def _chosen(parser: argparse.ArgumentParser, option: str, given: str, known: Sequence[str]) -> list[str]:
    names = list(dict.fromkeys(given.split(",")))
    unknown = [name for name in names if name not in known]
    if unknown:
        parser.error(f"{option}: {', '.join(unknown)} unknown; there are {', '.join(known)}")
    return names


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", nargs="+", type=Path, help="video files")
    parser.add_argument("--repeats", type=int, default=3, help="of each clip by each variant; 0: no times")
    parser.add_argument(
        "--variants", default=",".join(extract_variants.NAMES), help="some of " + ", ".join(extract_variants.NAMES)
    )
    parser.add_argument("--out", type=Path, help="JSON")
    parser.add_argument("--recall-every", type=int, default=0, help="compare the faces of every Nth frame; 0: don't")
    parser.add_argument("--recall-variants", help="dflib's modes to compare; all chosen ones when left out")
    parser.add_argument("--min-face", type=float, default=60, help="source pixels of a box's shorter side")
    parser.add_argument("--pictures", type=Path, help="folder for pictures of the faces that only one side finds")
    parser.add_argument("--judged", type=Path, help="JSON: variant to picture name to whether it is a face")
    given = parser.parse_args()
    given.variants = _chosen(parser, "--variants", given.variants, extract_variants.NAMES)
    modes = ",".join(name for name in given.variants if name in extract_variants.OURS)
    given.recall_variants = _chosen(
        parser, "--recall-variants", given.recall_variants or modes or "ours", list(extract_variants.OURS)
    )
    missing = [str(clip) for clip in given.clips if not clip.is_file()]
    if missing:
        parser.error(f"no such clip: {', '.join(missing)}")
    if len({clip.name for clip in given.clips}) < len(given.clips):
        parser.error("two clips of the same name; figures go by name")
    return given


def main() -> int:
    given = _arguments()
    result: dict[str, Any] = {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "machine": machine(),
        "load_before": os.getloadavg()[0],
        "clips": describe(given.clips),
        "repeats": given.repeats,
    }
    if given.repeats > 0:
        samples, started = measure(given.clips, given.variants, given.repeats)
        result["load_after"] = os.getloadavg()[0]
        result["variants"] = summarise(samples, started)
        print(table(result["variants"]))
    if given.recall_every > 0:
        # Before TensorFlow and OpenCV are imported.
        os.environ.update(ONE_THREAD)
        from benchmarks import extract_recall

        judged = json.loads(given.judged.read_text()) if given.judged else {}
        recall = extract_recall.compare(
            given.clips, given.recall_variants, given.recall_every, given.min_face, given.pictures, judged
        )
        result["recall"] = recall
        print(aligned(extract_recall.table(recall)))
    if given.out:
        given.out.parent.mkdir(parents=True, exist_ok=True)
        given.out.write_text(json.dumps(rounded(result), indent=2) + "\n")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except DflibError as error:
        sys.exit(f"extract: {error}")
