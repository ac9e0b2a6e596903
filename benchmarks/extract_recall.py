"""Recall and precision of the faces that dflib keeps, against the mtcnn package in the same frames at full size.

Every Nth frame is taken (N = 5 is denser than dflib's default sampling, which makes following easier).  The package's
faces are those above ``faces.threshold`` of the base configuration; dflib's are those that ``extract_video`` keeps.
They are matched within a frame, largest overlap first, from an intersection over union of .5.  Faces whose shorter
side is below the minimum size are excluded after matching, so that none at the limit is lost by a pixel.

    recall              share of the package's faces that are matched
    precision           share of the kept faces that are matched
    precision_clear     the same for faces kept with a confidence above the threshold
    landmark_error      mean distance of the five points over the side of the package's box

The package has false positives and negatives too.  Faces that only one side found are written as images, to be judged
by eye.  With the verdicts (``judged``: variant to image name to whether it shows a face), the key ``judged`` of the
result has recall and precision of both sides against all true faces; a face that both sides found counts as true.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import extract_images, extract_variants
from benchmarks.extract_counts import MIN_OVERLAP, Found, Lone, count, judge, summarise
from dflib.config import Config
from dflib.errors import ConfigError
from dflib.extraction import detect, sampling, tracks
from dflib.extraction.detect import Detection, Detector
from dflib.extraction.video import Row, extract_video
from dflib.media.decode import Findings, decode
from dflib.media.limits import Limits
from dflib.media.plan import plan
from dflib.media.probe import probe


def compare(
    clips: Sequence[Path],
    names: Sequence[str],
    every: int,
    min_face: float,
    images: Path | None,
    judged: dict[str, dict[str, bool]],
) -> dict[str, Any]:
    """Figures of each named mode of :data:`extract_variants.OURS`, over all clips and for each clip.

    Args:
        clips: video files.
        names: of the modes.
        every: every Nth frame is compared.
        min_face: minimum shorter side of a box, in pixels of the frame.
        images: folder for an image, and an entry of ``index.json``, of each face that only one side found.
        judged: variant → image name → whether it shows a face.
    """
    package = extract_variants.mtcnn_package()
    threshold = extract_variants.settings("ours").faces.threshold
    configs = _different(names, every)
    detectors, skipped = _load(configs)
    counts: dict[str, dict[str, Any]] = {name: {} for name in detectors}
    lone: dict[str, list[Lone]] = {name: [] for name in detectors}
    for clip in clips:
        content = clip.read_bytes()
        theirs = _by_package(clip.name, content, package, configs[names[0]])
        for name, detector in detectors.items():
            frames = _found(content, theirs, threshold, configs[name], detector)
            counts[name][clip.name], alone = count(clip.name, frames, configs[name].faces.threshold, min_face)
            lone[name] += alone
            if images is not None and alone:
                indexes = {face.frame for face in alone}
                shown = (
                    frame for frame in _decoded(clip.name, content, configs[name]) if frame.request.index in indexes
                )
                extract_images.draw(shown, frames, alone, images / name)
        print(f"{clip.name} compared", file=sys.stderr)
    if images is not None:
        for name, faces in lone.items():
            extract_images.write_index(faces, images / name)
    result: dict[str, Any] = {"every": every, "min_face": min_face, "least_overlap": MIN_OVERLAP}
    result["variants"] = {name: {"skipped": reason} for name, reason in skipped.items()}
    for name, of_clips in counts.items():
        figures = summarise(list(of_clips.values()))
        if name in judged:
            figures["judged"] = judge(figures, lone[name], judged[name])
        by_clip = {clip: summarise([counted]) for clip, counted in of_clips.items()}
        result["variants"][name] = {**figures, "clips": by_clip}
    return result


def _different(names: Sequence[str], every: int) -> dict[str, Config]:
    """Configurations with distinct sections ``faces``, each under its first name, with exactly the requested frames."""
    configs: dict[str, Config] = {}
    for name in names:
        made = extract_variants.settings(name, [f"sampling.frames=every:{every}", "sampling.max_offset=0"])
        if all(made.faces != config.faces for config in configs.values()):
            configs[name] = made
    return configs


def _load(configs: dict[str, Config]) -> tuple[dict[str, Detector], dict[str, str]]:
    """The detectors, and the reason for each that is not installed."""
    detectors: dict[str, Detector] = {}
    skipped: dict[str, str] = {}
    for name, config in configs.items():
        try:
            detectors[name] = detect.load(config.faces.detector, tracks.candidate_threshold(config.faces))
        except ConfigError as error:
            skipped[name] = str(error)
    return detectors, skipped


def _decoded(clip: str, content: bytes, config: Config) -> Any:
    """The frames that ``extract_video`` decodes."""
    limits, findings = Limits.of(config.extract), Findings()
    info = probe(content, limits)
    requests = sampling.sample(config.sampling.frames, info.times, info.keys, info.duration)
    planned = plan(info, requests, config.sampling.max_offset)
    yield from decode(content, info, planned, limits, findings)
    if findings.problems:
        raise SystemExit(f"extract: {clip}: {findings.problems[0]}")


def _by_package(clip: str, content: bytes, package: Any, config: Config) -> dict[int, list[Detection]]:
    """Faces of each frame, from dflib's candidate threshold on; the package's default is higher."""
    found: dict[int, list[Detection]] = {}
    for frame in _decoded(clip, content, config):
        # As detected: not rounded to whole pixels, and not clipped at the edge.
        rows = package.detect_faces(
            frame.rgb,
            output_type="numpy",
            box_format="xyxy",
            fit_to_image=False,
            threshold_onet=tracks.candidate_threshold(config.faces),
        )
        faces = []
        for row in np.asarray(rows, dtype=np.float64).reshape(-1, 16):
            x1, y1, x2, y2 = (float(value) for value in row[1:5])
            points = np.stack([row[6:11], row[11:16]], axis=1)
            faces.append(Detection((x1, y1, x2 - x1, y2 - y1), float(row[5]), points))
        found[frame.request.index] = faces
    return found


def _found(
    content: bytes, theirs: dict[int, list[Detection]], threshold: float, config: Config, detector: Detector
) -> list[Found]:
    """The faces of each frame, of both sides."""
    rows = extract_video(content, "clip", "recall", config, detector)
    kept: dict[int, list[Detection]] = {row["frame_index"]: [] for row in rows.frames}
    if list(kept) != list(theirs):
        raise SystemExit("extract: dflib and the package did not process the same frames")
    for row in rows.faces:
        kept[row["frame_index"]].append(_detection(row))
    found = []
    for index, faces in theirs.items():
        clear = [face for face in faces if face.confidence > threshold]
        weak = [face for face in faces if face.confidence <= threshold]
        found.append(Found(index, clear, kept[index], weak))
    return found


def _detection(row: Row) -> Detection:
    points = None if row["landmarks"] is None else np.array(row["landmarks"]).reshape(5, 2)
    return Detection((row["box_x"], row["box_y"], row["box_w"], row["box_h"]), row["confidence"], points)


def table(recall: dict[str, Any]) -> list[list[str]]:
    """Rows for :func:`benchmarks.extract.aligned`."""
    keys = ["frames", "package", "kept", "recall", "precision", "precision_clear", "landmark_error"]
    keys += ["landmark_error_p95"]
    rows = [["faces", *keys, *(f"judged {key}" for key in ("recall", "precision", "package_recall"))]]
    measured = {name: figures for name, figures in recall["variants"].items() if "skipped" not in figures}
    for name, figures in measured.items():
        judged = figures.get("judged", {})
        values = [figures[key] for key in keys]
        values += [judged.get(key) for key in ("recall", "precision", "package_recall")]
        rows.append([name, *("-" if v is None else str(v) if isinstance(v, int) else f"{v:.4f}" for v in values)])
    return rows
