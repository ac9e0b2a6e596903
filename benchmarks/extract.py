"""Cost and recall of extracting faces from clips: dflib, the published recipe, and decoding alone.

    python -m benchmarks.extract clip.mp4 ... [--repeats 3] [--variants bare,seeds20,ours] [--out extract.json]
        [--recall-every 5 [--recall-variants ours] [--min-face 60] [--images DIR] [--judged judged.json]]

Each variant (:mod:`benchmarks.extract_variants`) runs in its own single-threaded process.  Before timing starts it has
loaded everything and processed a clip of every frame size; ``start-up`` is the CPU time of loading.  The variants then
take turns on every clip in a rotating order, so that other load on the machine affects all of them alike.

The figure of a clip is the median of its repeats.  A row of the table covers all clips: median and largest CPU
seconds, CPU seconds per face, median wall-clock seconds, and the ratio of the CPU time to that of ``bare`` and of
``seeds20`` on the same clip in the same repeat (median and largest clip).

``--recall-every`` compares the faces with those of the mtcnn package at full size: see
:mod:`benchmarks.extract_recall`.  ``--repeats 0`` skips the timing.
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
"""Variants to which the CPU time of the others is compared."""

Sample = dict[str, Any]
"""One variant on one clip in one repeat: cpu and wall (seconds), frames, faces, parts, peak_bytes."""


def measure(clips: Sequence[Path], variants: Sequence[str], repeats: int) -> tuple[list[Sample], dict[str, Any]]:
    """Samples of all available variants, and the cost of starting each (or the reason why it was skipped)."""
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
    """Figures of each variant, over all clips and for each clip."""
    times: dict[tuple[str, str], list[Sample]] = {}
    for sample in samples:
        times.setdefault((sample["variant"], sample["clip"]), []).append(sample)
    result: dict[str, Any] = {}
    for name, start in started.items():
        if "skipped" in start:
            result[name] = {"skipped": start["skipped"]}
            continue
        clips = {
            clip: _clip_figures(own, times, name, clip) for (variant, clip), own in times.items() if variant == name
        }
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
            **{f"{base}{end}": value for base in AGAINST for end, value in _ratios(figures, f"times_{base}")},
            "clips": clips,
        }
    return result


def _clip_figures(
    own: list[Sample], times: dict[tuple[str, str], list[Sample]], name: str, clip: str
) -> dict[str, Any]:
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
    for base in AGAINST:
        other = {sample["repeat"]: sample["cpu"] for sample in times.get((base, clip), [])}
        if other:
            figures[f"times_{base}"] = statistics.median(sample["cpu"] / other[sample["repeat"]] for sample in own)
    return figures


def _ratios(figures: list[dict[str, Any]], key: str) -> Iterable[tuple[str, float | None]]:
    values = [clip[key] for clip in figures if key in clip]
    return (("", statistics.median(values)), ("_max", max(values))) if values else (("", None), ("_max", None))


def describe(clips: Sequence[Path]) -> list[dict[str, Any]]:
    """Codec, size and length of each clip; by file name, without its folder."""
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
    rows = [heads + [f"/{base}{end}" for base in AGAINST for end in ("", " max")]]
    keys = ["cpu", "cpu_max", "cpu_per_face", "wall", "frames", "faces", "peak_bytes", "startup_cpu"]
    keys += [f"{base}{end}" for base in AGAINST for end in ("", "_max")]
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
    """A text table: the first column aligned to the left, the others to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.rjust(width) if column else cell.ljust(width) for column, (cell, width) in enumerate(pairs))
        for pairs in (list(zip(row, widths, strict=True)) for row in rows)
    )


def rounded(value: Any) -> Any:
    """The same with floats rounded to four decimals."""
    if isinstance(value, dict):
        return {key: rounded(part) for key, part in value.items()}
    if isinstance(value, list):
        return [rounded(part) for part in value]
    return round(value, 4) if isinstance(value, float) else value


def _size(clip: Path) -> tuple[int, int]:
    info = extract_variants.probe(clip.read_bytes())
    return info.width, info.height


def _chosen(parser: argparse.ArgumentParser, option: str, value: str, known: Sequence[str]) -> list[str]:
    names = list(dict.fromkeys(value.split(",")))
    unknown = [name for name in names if name not in known]
    if unknown:
        parser.error(f"{option}: {', '.join(unknown)} unknown; known: {', '.join(known)}")
    return names


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", nargs="+", type=Path, help="video files")
    parser.add_argument("--repeats", type=int, default=3, help="of each clip by each variant; 0: no timing")
    parser.add_argument(
        "--variants", default=",".join(extract_variants.NAMES), help="some of " + ", ".join(extract_variants.NAMES)
    )
    parser.add_argument("--out", type=Path, help="JSON")
    parser.add_argument(
        "--recall-every", type=int, default=0, help="compare the faces of every Nth frame; 0: no recall"
    )
    parser.add_argument("--recall-variants", help="dflib's modes to compare; default: those in --variants")
    parser.add_argument("--min-face", type=float, default=60, help="shorter side of a box, pixels of the frame")
    parser.add_argument("--images", type=Path, help="folder for images of the faces that only one side finds")
    parser.add_argument("--judged", type=Path, help="JSON: variant to image name to whether it shows a face")
    arguments = parser.parse_args()
    arguments.variants = _chosen(parser, "--variants", arguments.variants, extract_variants.NAMES)
    modes = ",".join(name for name in arguments.variants if name in extract_variants.OURS)
    arguments.recall_variants = _chosen(
        parser, "--recall-variants", arguments.recall_variants or modes or "ours", list(extract_variants.OURS)
    )
    missing = [str(clip) for clip in arguments.clips if not clip.is_file()]
    if missing:
        parser.error(f"no such clip: {', '.join(missing)}")
    if len({clip.name for clip in arguments.clips}) < len(arguments.clips):
        parser.error("two clips have the same name; results are keyed by it")
    return arguments


def main() -> int:
    arguments = _arguments()
    result: dict[str, Any] = {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "machine": machine(),
        "load_before": os.getloadavg()[0],
        "clips": describe(arguments.clips),
        "repeats": arguments.repeats,
    }
    if arguments.repeats > 0:
        samples, started = measure(arguments.clips, arguments.variants, arguments.repeats)
        result["load_after"] = os.getloadavg()[0]
        result["variants"] = summarise(samples, started)
        print(table(result["variants"]))
    if arguments.recall_every > 0:
        # Before TensorFlow and OpenCV are imported.
        os.environ.update(ONE_THREAD)
        from benchmarks import extract_recall

        judged = json.loads(arguments.judged.read_text()) if arguments.judged else {}
        recall = extract_recall.compare(
            arguments.clips,
            arguments.recall_variants,
            arguments.recall_every,
            arguments.min_face,
            arguments.images,
            judged,
        )
        result["recall"] = recall
        print(aligned(extract_recall.table(recall)))
    if arguments.out:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text(json.dumps(rounded(result), indent=2) + "\n")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except DflibError as error:
        sys.exit(f"extract: {error}")
