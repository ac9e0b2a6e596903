"""Images of the faces that only one side found, for judging by eye."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.extract_counts import Found, Lone
from dflib.extraction.detect import Detection
from dflib.media.frame import Frame

SIDE = 480
"""Height of an image in pixels: the frame, and beside it the surroundings of the face."""

COLOURS = {"package": (255, 60, 60), "ours": (60, 255, 60)}


def draw(frames: Iterable[Frame], faces: Sequence[Found], alone: Sequence[Lone], folder: Path) -> None:
    """Writes an image of each of ``alone``: the frame with the boxes of both sides, and the face's surroundings."""
    import cv2

    folder.mkdir(parents=True, exist_ok=True)
    found = {of_frame.index: of_frame for of_frame in faces}
    for frame in frames:
        for lone in (face for face in alone if face.frame == frame.request.index):
            whole = frame.rgb.copy()
            thick = max(2, frame.height // 300)
            here = found[lone.frame]
            for side, boxes in (("package", here.package), ("ours", here.ours)):
                for face in boxes:
                    x, y, w, h = (round(value) for value in face.box)
                    cv2.rectangle(whole, (x, y), (x + w, y + h), COLOURS[side], thick)
            surroundings = _surroundings(frame.rgb, lone.face)
            both = np.hstack(
                [_to_height(whole, SIDE), cv2.resize(surroundings, (SIDE, SIDE), interpolation=cv2.INTER_AREA)]
            )
            other = "-" if lone.other is None else f"{lone.other:.2f}"
            text = f"{lone.clip} {lone.frame} only {lone.side} {lone.face.confidence:.3f} other {other}"
            cv2.putText(both, text, (8, 20), cv2.FONT_HERSHEY_SIMPLEX, 0.55, COLOURS[lone.side], 2)
            cv2.imwrite(str(folder / lone.image), cv2.cvtColor(both, cv2.COLOR_RGB2BGR))


def _surroundings(rgb: Any, face: Detection) -> Any:
    """A square of two and a half times the box's side, clipped to the frame."""
    import cv2

    x, y, w, h = face.box
    reach = 1.25 * max(w, h)
    left, top = max(0, round(x + w / 2 - reach)), max(0, round(y + h / 2 - reach))
    cut = rgb[top : round(y + h / 2 + reach), left : round(x + w / 2 + reach)].copy()
    corner = (round(x) - left, round(y) - top)
    opposite = (round(x + w) - left, round(y + h) - top)
    cv2.rectangle(cut, corner, opposite, COLOURS["package"], max(1, cut.shape[0] // 200))
    return cut


def _to_height(rgb: Any, height: int) -> Any:
    import cv2

    return cv2.resize(rgb, (round(rgb.shape[1] * height / rgb.shape[0]), height), interpolation=cv2.INTER_AREA)


def write_index(faces: Sequence[Lone], folder: Path) -> None:
    """Writes ``index.json``, which describes each image."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "index.json").write_text(json.dumps([_line(face) for face in faces], indent=2) + "\n")


def _line(lone: Lone) -> dict[str, Any]:
    x, y, width, height = (round(value) for value in lone.face.box)
    return {
        "image": lone.image,
        "clip": lone.clip,
        "frame": lone.frame,
        "side": lone.side,
        "box": [x, y, width, height],
        "size": min(width, height),
        "confidence": round(lone.face.confidence, 4),
        "other_side": None if lone.other is None else round(lone.other, 4),
    }
