"""Difference between a view cut from the stored crop and the same view cut from the frame.

    python benchmarks/views.py clip.mp4 ... [--frames 4] [--weights Meso4_DF.h5 --positive real] [--out views.json]

The mtcnn package detects faces in evenly spaced frames.  Each is stored like extract stores it (section ``crops`` of
the configuration: margin, longer side, JPEG quality), and ``dflib.models.view.cut`` cuts every view twice: from the
stored crop and from the frame.  The figures are grey levels (mean over pixels and channels, then over faces) and, for
views of the weights' input size, the change of p_fake.

``without_jpeg`` is the difference without JPEG encoding; ``native`` and ``scaled`` are the differences for faces whose
crop has native size and for those whose crop was scaled down.
"""

import argparse
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import av
import numpy as np

from dflib import config
from dflib.config import View
from dflib.config import load as conf_files
from dflib.errors import DflibError
from dflib.extraction import crops
from dflib.media.frame import Frame, FrameRequest
from dflib.models import networks
from dflib.models.importers import keras_hdf5
from dflib.models.view import cut, decode_rgb

CONF = Path(__file__).parent.parent / "conf"


def view(size: int, **changes: Any) -> View:
    fields = {"margin": 0.3, "square": True, "interpolation": "area", "blank_face": False}
    return View.model_validate({"size": size} | fields | changes)


VIEWS = {
    "256 square .3 area (default)": view(256),
    "256 square .3 nearest (MesoNet's loader)": view(256, interpolation="nearest"),
    "256 box .0 nearest": view(256, margin=0.0, square=False, interpolation="nearest"),
    "256 aligned .3 area (S1)": view(256, align="landmarks", padding="reflect"),
    "256 aligned .3 linear": view(256, align="landmarks", padding="reflect", interpolation="linear"),
    "256 square .3 area, marked": view(256, mark_landmarks=True),
    "128 box .3 area (S3, S4)": view(128, square=False),
    "224 square .3 area": view(224),
    "299 box .0 area (S2)": view(299, margin=0.0, square=False),
    "380 square 1/3 area": view(380, margin=1 / 3),
}

DETECTED_WIDTH = 960
"""Width in pixels to which wider frames are reduced before detection."""


@dataclass(frozen=True)
class Face:
    """A face of a frame; box (x, y, width, height) and five landmarks (5, 2) in pixels of the frame."""

    clip: str
    frame: Frame
    box: tuple[float, float, float, float]
    landmarks: np.ndarray


def frames(clip: Path, count: int) -> Iterator[Frame]:
    """``count`` evenly spaced frames, without rotation; each is in the middle of one of as many equal parts."""
    with av.open(str(clip)) as container:
        total = sum(1 for packet in container.demux(video=0) if packet.size)
        indexes = {int((number + 0.5) * total / count) for number in range(count)}
        container.seek(0)
        for number, frame in enumerate(container.decode(video=0)):
            if number in indexes:
                yield Frame(FrameRequest(number, frame.time), frame.time, frame)


def find(clips: list[Path], count: int, threshold: float) -> Iterator[Face]:
    import tensorflow as tf
    from mtcnn import MTCNN

    tf.config.threading.set_intra_op_parallelism_threads(2)
    detector = MTCNN(device="CPU:0")
    for clip in clips:
        for frame in frames(clip, count):
            scale = min(1.0, DETECTED_WIDTH / frame.width)
            small = frame.resized(round(frame.width * scale), round(frame.height * scale))
            for found in detector.detect_faces(small, box_format="xywh", output_type="json"):
                box = tuple(value / scale for value in found["box"])
                if found["confidence"] > threshold and crops.inside(box, frame.width, frame.height):
                    points = found["keypoints"]
                    names = ("left_eye", "right_eye", "nose", "mouth_left", "mouth_right")
                    yield Face(clip.name, frame, box, np.array([points[name] for name in names], float) / scale)


def inside_crop(face: Face, crop: crops.EncodedCrop) -> tuple[np.ndarray, np.ndarray]:
    """Box and landmarks in pixels of the crop."""
    x, y, w, h = face.box
    box = np.array([x - crop.x, y - crop.y, w, h]) * crop.scale
    return box, (face.landmarks - (crop.x, crop.y)) * crop.scale


def before_jpeg(face: Face, crop: crops.EncodedCrop) -> np.ndarray:
    """The crop before JPEG encoding, uint8 RGB."""
    left, top = int(crop.x), int(crop.y)
    right, bottom = left + round(crop.width / crop.scale), top + round(crop.height / crop.scale)
    if crop.scale == 1:
        return face.frame.region(left, top, right, bottom)
    right, bottom = min(right + (right & 1), face.frame.width), min(bottom + (bottom & 1), face.frame.height)
    return face.frame.region(left, top, right, bottom, (crop.width, crop.height))


class Scorer:
    """p_fake of the published weights."""

    def __init__(self, path: Path, network: str, size: int, positive: str) -> None:
        self.size = size
        self._network = networks.build(network, size)
        keras_hdf5.load_weights(self._network, path.read_bytes(), str(path))
        self._positive = positive

    def __call__(self, images: list[np.ndarray]) -> np.ndarray:
        p = self._network(np.stack(images).astype(np.float32), training=False).numpy()[:, 0]
        return np.asarray(p if self._positive == "fake" else 1 - p)


def measure(faces: list[Face], stored: config.CropsConfig, scorer: Scorer | None) -> list[dict[str, Any]]:
    """A row of figures for each view: of all faces, and separately for native and scaled crops."""
    made = [crops.cut(face.frame, face.box, stored) for face in faces]
    decoded = [decode_rgb(crop.image) for crop in made]
    scaled = np.array([crop.scale < 1 for crop in made])
    rows = []
    for name, of in VIEWS.items():
        from_frame, from_crop, from_raw = [], [], []
        for face, crop, image in zip(faces, made, decoded, strict=True):
            box, landmarks = inside_crop(face, crop)
            from_frame.append(cut(face.frame.rgb, face.box, face.landmarks, of))
            from_crop.append(cut(image, box, landmarks, of))
            from_raw.append(cut(before_jpeg(face, crop), box, landmarks, of))
        pairs = list(zip(from_frame, from_crop, from_raw, strict=True))
        loss = np.array([np.abs(a.astype(int) - b).mean() for a, b, _ in pairs])
        without_jpeg = np.array([np.abs(a.astype(int) - c).mean() for a, _, c in pairs])
        row: dict[str, Any] = {
            "view": name,
            "faces": len(faces),
            "difference": loss.mean(),
            "worst": loss.max(),
            "without_jpeg": without_jpeg.mean(),
            "native": loss[~scaled].mean() if (~scaled).any() else None,
            "scaled": loss[scaled].mean() if scaled.any() else None,
        }
        if scorer is not None and of.size == scorer.size:
            before, after = scorer(from_frame), scorer(from_crop)
            change = np.abs(after - before)
            row |= {
                "p_fake": before.mean(),
                "change": change.mean(),
                "worst_change": change.max(),
                "flips": int(((before > 0.5) != (after > 0.5)).sum()),
            }
        rows.append(
            {key: round(float(value), 4) if isinstance(value, np.floating) else value for key, value in row.items()}
        )
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", nargs="*", type=Path)
    parser.add_argument("--frames", type=int, default=4, help="of each clip")
    parser.add_argument("--weights", type=Path, help="HDF5 weights of meso4 with an input of 256 pixels")
    parser.add_argument("--positive", choices=["real", "fake"], help="which class the weights call 1")
    parser.add_argument("--out", type=Path, help="JSON")
    arguments = parser.parse_args()
    if not arguments.clips:
        parser.error("no clips: name one or more video files")
    if arguments.weights and not arguments.positive:
        parser.error("--weights needs --positive: which class do they call 1?")
    settings = conf_files.load(CONF, "local")
    faces = list(find(arguments.clips, arguments.frames, settings.faces.threshold))
    if not faces:
        raise SystemExit("no face was found in these clips")
    scorer = Scorer(arguments.weights, "meso4", 256, arguments.positive) if arguments.weights else None
    rows = measure(faces, settings.crops, scorer)
    print(f"{len(faces)} faces of {len({face.clip for face in faces})} clips; grey levels 0 to 255")
    columns = list(dict.fromkeys(key for row in rows for key in row if key not in ("view", "faces")))
    print(f"{'view':42}" + "".join(f"{column:>13}" for column in columns))
    for row in rows:
        cells = (row.get(column) for column in columns)
        print(f"{row['view']:42}" + "".join(f"{'' if cell is None else cell:>13}" for cell in cells))
    if arguments.out:
        arguments.out.write_text(json.dumps({"crops": settings.crops.model_dump(), "views": rows}, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except DflibError as error:
        sys.exit(f"views: {error}")
