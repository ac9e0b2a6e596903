"""Faces that two sides found in the same frames: counts, recall and precision, before and after judging by eye."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dflib.extraction import tracks
from dflib.extraction.detect import Detection

MIN_OVERLAP = 0.5
"""Intersection over union from which two boxes are of one face."""

SIDES = ("package", "ours")


@dataclass(frozen=True)
class Found:
    """The faces of one frame.

    Attributes:
        index: of the frame.
        package, ours: faces of the two sides.
        weak: faces of the package below the threshold, which are not counted.
    """

    index: int
    package: list[Detection]
    ours: list[Detection]
    weak: list[Detection]


@dataclass(frozen=True)
class Lone:
    """A face that only one side found.

    Attributes:
        clip, frame: where.
        side: one of :data:`SIDES`.
        number: among that side's faces of the frame.
        face: the detection.
        other: confidence of the package's detection below its threshold; None without one.
    """

    clip: str
    frame: int
    side: str
    number: int
    face: Detection
    other: float | None

    @property
    def image(self) -> str:
        """Name of the image that shows it."""
        return f"{Path(self.clip).stem}_{self.frame:06d}_{self.side}_{self.number}.png"


def count(clip: str, frames: Sequence[Found], threshold: float, min_face: float) -> tuple[dict[str, Any], list[Lone]]:
    """Counts and landmark errors of a clip, and the faces that only one side found.

    Args:
        clip: its name.
        frames: the faces of both sides.
        threshold: confidence above which a face of dflib counts as clear.
        min_face: pixels of the shorter side of a box below which a face is not counted.
    """
    counted: dict[str, Any] = dict.fromkeys(
        ["frames", "package", "package_matched", "kept", "kept_matched", "clear", "clear_matched"], 0
    )
    errors: list[float] = []
    lone: list[Lone] = []
    counted["frames"] = len(frames)
    for frame in frames:
        pairs = match(frame.package, frame.ours)
        theirs, own = {one for one, _ in pairs}, {other for _, other in pairs}
        for number, face in enumerate(frame.package):
            if min(face.box[2:]) >= min_face:
                counted["package"] += 1
                counted["package_matched"] += number in theirs
                if number not in theirs:
                    lone.append(Lone(clip, frame.index, "package", number, face, None))
        for number, face in enumerate(frame.ours):
            if min(face.box[2:]) >= min_face:
                for kind in ("kept", "clear") if face.confidence > threshold else ("kept",):
                    counted[kind] += 1
                    counted[f"{kind}_matched"] += number in own
                if number not in own:
                    lone.append(Lone(clip, frame.index, "ours", number, face, _best(face, frame.weak)))
        for one, other in pairs:
            theirs_face, own_face = frame.package[one], frame.ours[other]
            if min(theirs_face.box[2:]) >= min_face and own_face.landmarks is not None:
                assert theirs_face.landmarks is not None
                distances = np.linalg.norm(theirs_face.landmarks - own_face.landmarks, axis=1)
                errors.append(float(distances.mean()) / (theirs_face.box[2] * theirs_face.box[3]) ** 0.5)
    return counted | {"landmark_errors": errors}, lone


def match(one: Sequence[Detection], other: Sequence[Detection]) -> list[tuple[int, int]]:
    """Pairs of indexes into the two lists, largest overlap first, each face in at most one pair."""
    overlaps = [(tracks.overlap(a, b), i, j) for i, a in enumerate(one) for j, b in enumerate(other)]
    pairs: list[tuple[int, int]] = []
    for overlap, i, j in sorted(overlaps, key=lambda found: (-found[0], found[1], found[2])):
        if overlap >= MIN_OVERLAP and all(i != a and j != b for a, b in pairs):
            pairs.append((i, j))
    return pairs


def summarise(counted: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Sums of the counts, recall and precision, and landmark errors as fractions of the box's side."""
    figures = {key: sum(clip[key] for clip in counted) for key in counted[0] if key != "landmark_errors"}
    errors = [error for clip in counted for error in clip["landmark_errors"]]
    return figures | {
        "recall": _share(figures["package_matched"], figures["package"]),
        "precision": _share(figures["kept_matched"], figures["kept"]),
        "precision_clear": _share(figures["clear_matched"], figures["clear"]),
        "landmark_error": statistics.fmean(errors) if errors else None,
        "landmark_error_p95": float(np.quantile(errors, 0.95)) if errors else None,
    }


def judge(figures: dict[str, Any], lone: Sequence[Lone], verdicts: dict[str, bool]) -> dict[str, Any]:
    """Recall and precision of both sides after the faces that only one of them found were judged by eye.

    Args:
        figures: from :func:`summarise`.
        lone: the faces that only one side found.
        verdicts: image name → whether it shows a face.

    Raises:
        SystemExit: an image was not judged, or a verdict belongs to no image.
    """
    names = {face.image for face in lone}
    if names != set(verdicts):
        differing = sorted(names ^ set(verdicts))
        raise SystemExit(f"extract: {len(differing)} images not judged, or judged and missing: {differing[:3]}")
    true = {side: sum(verdicts[face.image] for face in lone if face.side == side) for side in SIDES}
    both = figures["package_matched"]
    faces = both + true["package"] + true["ours"]
    return {
        "faces": faces,
        "only_package_true": true["package"],
        "only_package_false": figures["package"] - both - true["package"],
        "only_ours_true": true["ours"],
        "only_ours_false": figures["kept"] - figures["kept_matched"] - true["ours"],
        "recall": _share(both + true["ours"], faces),
        "precision": _share(figures["kept_matched"] + true["ours"], figures["kept"]),
        "package_recall": _share(both + true["package"], faces),
        "package_precision": _share(both + true["package"], figures["package"]),
    }


def _best(face: Detection, others: Sequence[Detection]) -> float | None:
    near = [other.confidence for other in others if tracks.overlap(face, other) >= MIN_OVERLAP]
    return max(near, default=None)


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
