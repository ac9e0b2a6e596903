"""The tables of measured costs in README.md and docs/measured-costs.md, from the JSON in ``benchmarks/results``.

python -m benchmarks.cost_tables            # writes both
python -m benchmarks.cost_tables --check    # exits with 1 when one is out of date
"""

import json
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tools import made_pages

RESULTS = Path(__file__).parent / "results"
HOME = Path(__file__).parent.parent
START, END = "<!-- Made by python -m benchmarks.cost_tables; do not edit. -->", "<!-- End of the made part. -->"

README_VARIANTS = {
    "bare": "OpenCV, decoding only",
    "seeds11": "published recipe: OpenCV, one frame a second (11 frames), mtcnn package",
    "seeds20": "published recipe on the same 20 frames",
    "ours": "**dflib**, 20 frames",
}
"""Variants of :mod:`benchmarks.extract` in the README's table; the other ones are in the documentation."""
DOCS_VARIANTS = {
    "ours_every": "`faces.search=every`",
    "ours_full_decode": "`sampling.max_offset=0` (every frame decoded)",
    "ours_by_width": "`faces.resize=by_width`",
    "ours_blazeface": "`faces.detector=blazeface`",
    "ours_haar": "`faces.detector=haar`",
    "ours_dlib_hog": "`faces.detector=dlib_hog`",
}


def readme() -> list[str]:
    """The one table of the README and how it was measured."""
    measured = read("extract")
    machine, ours = measured["machine"], measured["variants"]["ours"]
    counted = Counter(f"{clip['width']}x{clip['height']}" for clip in measured["clips"])
    sizes = ", ".join(f"{number} of {size}" for size, number in counted.most_common())
    return [
        *variants(measured, README_VARIANTS),
        "",
        f"{len(measured['clips'])} clips of the challenge (10 s, 300 frames; {sizes}), one thread, "
        f"{measured['repeats']} repeats in turn.",
        f"{machine['cpu']}, {machine['cores']} cores, {measured['date']}, dflib {machine['dflib']}. Start-up is extra:",
        f"{ours['startup_cpu']:.1f} s of CPU once a worker.",
    ]


def docs() -> list[str]:
    """What the README's table leaves out."""
    return [
        "## Settings of extract",
        "",
        "In the same run as the table of the README. Each row changes one setting of dflib's default.",
        "",
        *variants(read("extract"), DOCS_VARIANTS),
        "",
        "## Faces found",
        "",
        *faces(read("extract_recall")),
        "",
        "## Memory of extraction",
        "",
        *memory(read("extract_memory")),
        "",
        "## Memory of training",
        "",
        *training_memory(read("train_memory")),
        "",
        "## Loss by cutting views from stored crops",
        "",
        *views(read("views")),
        "",
        "## Scaling",
        "",
        *scaling(read("cluster")),
    ]


def variants(measured: dict[str, Any], names: dict[str, str]) -> list[str]:
    """Rows of :mod:`benchmarks.extract`."""
    lines = [
        "| variant | CPU s a clip | ÷ decoding: median | largest | ÷ recipe | CPU ms a face | peak MB |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, text in names.items():
        found = measured["variants"].get(name, {"skipped": "not run"})
        if "skipped" in found:
            continue
        face = f"{1000 * found['cpu_per_face']:.0f}" if found["cpu_per_face"] else "-"
        lines.append(
            f"| {text} | {found['cpu']:.2f} | {found['bare']:.2f} | {found['bare_max']:.2f} | {found['seeds20']:.2f} | "
            f"{face} | {found['peak_bytes'] / 1e6:.0f} |"
        )
    return lines


def faces(measured: dict[str, Any]) -> list[str]:
    """Recall and precision of :mod:`benchmarks.extract_recall`."""
    recall = measured["recall"]
    lines = [
        f"Faces of {recall['min_face']:.0f} pixels or more in every fifth frame of {len(measured['clips'])} clips, "
        "compared with the mtcnn package at full size. The last two columns are after a manual check of each face that "
        "only one of the two finds.",
        "",
        "| setting | frames | found of the package's | recall | precision | recall, checked | precision, checked |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, text in (("ours", "default"), ("ours_every", "`faces.search=every`")):
        found = recall["variants"].get(name)
        if found:
            judged = found.get("judged") or {}
            lines.append(
                f"| {text} | {found['frames']} | {found['package_matched']} of {found['package']} | "
                f"{found['recall']:.4f} | {found['precision']:.4f} | {_figure(judged, 'recall')} | "
                f"{_figure(judged, 'precision')} |"
            )
    judged = recall["variants"]["ours"].get("judged")
    if judged:
        lines.append(
            f"| mtcnn package | {recall['variants']['ours']['frames']} | - | - | - | "
            f"{_figure(judged, 'package_recall')} | {_figure(judged, 'package_precision')} |"
        )
    return lines


def _figure(found: dict[str, Any], name: str) -> str:
    return f"{found[name]:.4f}" if name in found else "-"


def memory(measured: dict[str, Any]) -> list[str]:
    """Rows of :mod:`benchmarks.extract_memory`."""
    return [
        "Resident memory of one task with one decoder on the CPU, MiB.",
        "",
        "| input | after 10 clips | at the end | peak |",
        "|---|---|---|---|",
        *(
            f"| {name} | {part['after_10th_mib']} | {part['after_last_mib']} | {part['peak_mib']} |"
            for name, part in measured["parts"].items()
        ),
    ]


def training_memory(measured: dict[str, Any]) -> list[str]:
    """Rows of :mod:`benchmarks.train_memory`."""
    lines = [
        f"One training step with `train.batch_size={measured['batch']}` on the CPU. The graph of TensorFlow grows with "
        "the number of micro-batches; the activations of a step shrink.",
        "",
        "| network | input | `train.accumulate` | step, MiB | ÷ whole batch | graph, MiB |",
        "|---|---|---|---|---|---|",
    ]
    for network, found in measured["networks"].items():
        for parts, way in found["ways"].items():
            lines.append(
                f"| {network} | {found['size']} px | {parts} | {way['step_mib']:.0f} | {way['step_mib_ratio']:.2f} | "
                f"{way['graph_mib']:.0f} |"
            )
    return lines


def views(measured: dict[str, Any]) -> list[str]:
    """What :mod:`benchmarks.views` measured."""
    losses = [row["difference"] for row in measured["views"]]
    return [
        f"Cutting a model's view from the stored crop instead of from the frame changes it by {min(losses):.2f} to "
        f"{max(losses):.2f} grey levels of 255 on average ({len(losses)} views)."
    ]


def scaling(measured: dict[str, Any]) -> list[str]:
    """What :mod:`benchmarks.cluster` measured."""
    found, estimate = measured["scaling"], measured["estimate"]
    lines = [
        f"Extraction of {found['one']['videos']} clips on a standalone cluster with one and two executors of one core, "
        f"{measured['machine']['cores']} cores in all ({measured['date']}).",
        "",
        "| | one executor | two executors | speed-up |",
        "|---|---|---|---|",
    ]
    for name, text in (("stage", "extraction stage, s"), ("run", "whole run, s")):
        one, two = found["one"][name], found["two"][name]
        lines.append(f"| {text} | {one:.0f} | {two:.0f} | {found[name]:.2f} |")
    lines += [
        f"| decoding only, without Spark | | | {found['bare_decoders']:.2f} |",
        "",
        f"`estimate` learned from {estimate['learned_from']['videos']} clips and estimated "
        f"{estimate['estimated']:.0f} s for the run on one executor, which took {estimate['measured']:.0f} s "
        f"({estimate['error']:+.0%}).",
    ]
    return lines


def read(name: str) -> dict[str, Any]:
    """One of the results."""
    found: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text())
    return found


def pages() -> dict[Path, str]:
    """Each page with its made part brought up to date."""
    return {
        HOME / "README.md": _replaced(HOME / "README.md", readme()),
        HOME / "docs" / "measured-costs.md": _replaced(HOME / "docs" / "measured-costs.md", docs()),
    }


def _replaced(page: Path, lines: Iterable[str]) -> str:
    text = page.read_text()
    made = "\n".join(lines)
    return f"{text[: text.index(START)]}{START}\n{made}\n{text[text.index(END) :]}"


if __name__ == "__main__":
    sys.exit(made_pages.main(__doc__, "benchmarks.cost_tables", pages(), {}))
