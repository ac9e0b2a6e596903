"""The README's figures of cost, from the JSON in ``benchmarks/results``.

python -m benchmarks.readme_figures            # prints the section
python -m benchmarks.readme_figures --write    # puts it into the README
"""

import argparse
import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
README = Path(__file__).parent.parent / "README.md"
START, END = "<!-- figures: made by python -m benchmarks.readme_figures --write -->", "<!-- end of figures -->"

WAYS = {
    "bare": "OpenCV decodes; no face is looked for",
    "seeds11": "published recipe: OpenCV, 1 frame a second (11), the mtcnn package",
    "seeds20": "the same on the same 20 frames",
    "ours": "**dflib**",
    "ours_every": "dflib, `faces.search=every`",
    "ours_full_decode": "dflib, `sampling.max_offset=0` (every frame decoded)",
    "ours_by_width": "dflib, `faces.resize=by_width`",
    "ours_blazeface": "dflib, `faces.detector=blazeface`",
    "ours_haar": "dflib, `faces.detector=haar`",
    "ours_dlib_hog": "dflib, `faces.detector=dlib_hog`",
}
"""Variants of :mod:`benchmarks.extract` in the README's words and order."""


def section() -> str:
    """Markdown of all that was measured."""
    parts = [
        *cost(read("extract")),
        "",
        *faces(read("extract_recall")),
        "",
        *memory(read("extract_memory")),
        "",
        *views(read("views")),
    ]
    return "\n".join(parts)


def cost(measured: dict[str, Any]) -> list[str]:
    """The table of :mod:`benchmarks.extract` and the circumstances."""
    lines = [
        "| way | CPU s a clip | ÷ decoding, median | largest | ÷ recipe, 20 frames | CPU ms a face | peak MB |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, way in WAYS.items():
        found = measured["variants"].get(name, {"skipped": "not run"})
        if "skipped" in found:
            continue
        face = f"{1000 * found['cpu_per_face']:.0f}" if found["cpu_per_face"] else "-"
        lines.append(
            f"| {way} | {found['cpu']:.2f} | {found['bare']:.2f} | {found['bare_max']:.2f} | {found['seeds20']:.2f} | "
            f"{face} | {found['peak_bytes'] / 1e6:.0f} |"
        )
    machine, ours = measured["machine"], measured["variants"]["ours"]
    counted = Counter(f"{clip['width']}x{clip['height']}" for clip in measured["clips"])
    sizes = ", ".join(f"{number} of {size}" for size, number in counted.most_common())
    lines += [
        "",
        f"{len(measured['clips'])} clips of the challenge (10 s, 300 frames; {sizes}), 20 frames of each, one thread, "
        f"a process a way, the ways in turn, {measured['repeats']} repeats; {machine['cpu']}, {machine['cores']} "
        f"cores, {measured['date']}, dflib {machine['dflib']}. Start-up is apart: {ours['startup_cpu']:.1f} s of CPU "
        "once a worker.",
    ]
    return lines


def faces(measured: dict[str, Any]) -> list[str]:
    """What :mod:`benchmarks.extract_recall` counted."""
    recall = measured["recall"]
    lines = []
    for name, way in (("ours", "**dflib**"), ("ours_every", "`faces.search=every`")):
        found = recall["variants"].get(name)
        if not found:
            continue
        line = (
            f"{way} finds {found['package_matched']} of the {found['package']} faces of "
            f"{recall['min_face']:.0f} pixels or more that the mtcnn package finds at full size in {found['frames']} "
            f"frames of {len(measured['clips'])} clips (recall {found['recall']:.4f}); precision against the package "
            f"{found['precision']:.4f}"
        )
        judged = found.get("judged")
        if judged:
            lone = sum(judged[f"only_{side}_{truth}"] for side in ("package", "ours") for truth in ("true", "false"))
            line += (
                f". After a look at each of the {lone} faces that only one of the two has: recall "
                f"{judged['recall']:.4f}, precision {judged['precision']:.4f}; the package "
                f"{judged['package_recall']:.4f} and {judged['package_precision']:.4f}"
            )
        lines += [f"{line}.", ""]
    return lines[:-1]


def memory(measured: dict[str, Any]) -> list[str]:
    """What :mod:`benchmarks.extract_memory` saw."""
    return [
        "| memory of a task, one decoder on the CPU | after 10 clips, MiB | at the end | peak |",
        "|---|---|---|---|",
        *(
            f"| {name} | {part['after_10th_mib']} | {part['after_last_mib']} | {part['peak_mib']} |"
            for name, part in measured["parts"].items()
        ),
    ]


def views(measured: dict[str, Any]) -> list[str]:
    """What :mod:`benchmarks.views` saw."""
    losses = [row["difference"] for row in measured["views"]]
    return [
        f"Cutting a model's view from the stored crop instead of the frame changes it by {min(losses):.2f} to "
        f"{max(losses):.2f} grey levels of 255 ({len(losses)} views, `benchmarks/results/views.json`)."
    ]


def read(name: str) -> dict[str, Any]:
    """One of the results."""
    found: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text())
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true")
    if not parser.parse_args().write:
        sys.stdout.write(section() + "\n")
        return 0
    text = README.read_text()
    before, after = text[: text.index(START)], text[text.index(END) :]
    README.write_text(f"{before}{START}\n{section()}\n{after}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
