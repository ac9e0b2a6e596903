"""The variants of face extraction that are compared.

A variant prepares a clip (not timed) and then processes it (timed).  All run on one thread.
"""

import math
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from dflib.config import Config
from dflib.config import load as conf_files
from dflib.config.identity import extractor_id
from dflib.extraction import detect, sampling, tracks
from dflib.extraction.video import extract_video
from dflib.media import probe as packets
from dflib.media.limits import Limits
from dflib.media.plan import plan
from dflib.media.timeline import StreamInfo
from dflib.parts import catalog

CONF = Path(__file__).parent.parent / "conf"

BASE = conf_files.load(CONF, "local")

OURS: dict[str, list[str]] = {
    "ours": [],
    "ours_every": ["faces.search=every"],
    "ours_by_width": ["faces.resize=by_width"],
    "ours_full_decode": ["sampling.max_offset=0"],
    **{f"ours_{name}": [f"faces.detector={name}"] for name in catalog.DETECTORS.names if name != BASE.faces.detector},
}
"""The settings in which each mode of dflib differs from the base configuration."""


@dataclass(frozen=True)
class Done:
    """The result of a clip; ``parts`` are CPU seconds that the variant itself measures."""

    frames: int
    faces: int
    parts: dict[str, float] = field(default_factory=dict)


class Variant(Protocol):
    def prepare(self, clip: Path) -> Any:
        """What may be known of a clip before timing starts."""

    def run(self, clip: Path, prepared: Any) -> Done:
        """From the file to encoded faces in memory."""


def settings(name: str, more: Sequence[str] = ()) -> Config:
    """The configuration of one of :data:`OURS`, overridden by ``more``."""
    return conf_files.load(CONF, "local", [*OURS[name], *more])


def probe(content: bytes) -> StreamInfo:
    return packets.probe(content, Limits.of(BASE.extract))


def mtcnn_package() -> Any:
    """The package's own detector, on one thread; must be made before TensorFlow's first operation."""
    import tensorflow as tf
    from mtcnn import MTCNN

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    return MTCNN(device="CPU:0")


def frames_taken(clip: Path) -> list[int]:
    """Indexes of the frames that dflib decodes with the base configuration."""
    info = probe(clip.read_bytes())
    requests = sampling.sample(BASE.sampling.frames, info.times, info.keys, info.duration)
    return [request.index for request in plan(info, requests, BASE.sampling.max_offset).requests]


class Bare:
    """OpenCV decodes all frames and converts those that dflib takes."""

    def prepare(self, clip: Path) -> list[int]:
        return frames_taken(clip)

    def run(self, clip: Path, prepared: list[int]) -> Done:
        return Done(sum(1 for _ in _retrieved(clip, prepared)), 0)


class Seeds:
    """The recipe of S3 and S4: one frame per second, resized by its width, the mtcnn package on each, crops as PNG.

    Faster than the originals, which load the networks again for each frame, convert every frame, and pass frames on as
    PNG files.
    """

    THRESHOLD = 0.95
    MARGIN = 0.3  # of the box, on each side

    def __init__(self, same_frames: bool) -> None:
        """``same_frames``: use the frames that dflib takes instead of one per second."""
        self._same_frames = same_frames
        self._detector = mtcnn_package()

    def prepare(self, clip: Path) -> list[int]:
        import cv2

        if self._same_frames:
            return frames_taken(clip)
        capture = cv2.VideoCapture(str(clip))
        every = max(1, math.floor(capture.get(cv2.CAP_PROP_FPS)))
        capture.release()
        return list(range(0, len(probe(clip.read_bytes()).times), every))

    def run(self, clip: Path, prepared: list[int]) -> Done:
        import cv2

        frames = faces = 0
        for frame in _retrieved(clip, prepared):
            frames += 1
            scale = _scale(frame.shape[1])
            size = (int(frame.shape[1] * scale), int(frame.shape[0] * scale))
            image = cv2.cvtColor(cv2.resize(frame, size, interpolation=cv2.INTER_AREA), cv2.COLOR_BGR2RGB)
            found = self._detector.detect_faces(image)
            for face in found:
                if len(found) > 1 and face["confidence"] <= self.THRESHOLD:
                    continue
                x, y, width, height = face["box"]
                left, top = max(0, int(x - width * self.MARGIN)), max(0, int(y - height * self.MARGIN))
                right, bottom = int(x + width * (1 + self.MARGIN)), int(y + height * (1 + self.MARGIN))
                crop = image[top:bottom, left:right]
                if crop.size:
                    succeeded, _ = cv2.imencode(".png", cv2.cvtColor(crop, cv2.COLOR_RGB2BGR))
                    faces += succeeded
        return Done(frames, faces)


class Ours:
    """``extract_video``, from the file's bytes to rows."""

    def __init__(self, name: str) -> None:
        self._config = settings(name)
        self._extractor = extractor_id(self._config)
        self._detector = detect.load(self._config.faces.detector, tracks.candidate_threshold(self._config.faces))

    def prepare(self, clip: Path) -> None:
        return None

    def run(self, clip: Path, prepared: None) -> Done:
        rows = extract_video(clip.read_bytes(), clip.stem, self._extractor, self._config, self._detector)
        parts = {name: rows.ledger[f"{name}_seconds"] for name in ("decode", "detect")}
        return Done(len(rows.frames), len(rows.faces), parts)


OTHERS: dict[str, Callable[[], Variant]] = {
    "bare": Bare,
    "seeds11": lambda: Seeds(same_frames=False),
    "seeds20": lambda: Seeds(same_frames=True),
}

NAMES = [*OTHERS, *OURS]


def make(name: str) -> Variant:
    """The variant of that name, with everything it needs loaded.

    Raises:
        ConfigError: its detector is not installed.
    """
    return OTHERS[name]() if name in OTHERS else Ours(name)


def _scale(width: int) -> float:
    """The rule of S3 and S4, with .33 for a third."""
    if width < 300:
        return 2.0
    if width <= 1000:
        return 1.0
    return 0.5 if width <= 1900 else 0.33


def _retrieved(clip: Path, indexes: Collection[int]) -> Iterator[Any]:
    """BGR images of some frames; all frames are decoded, on one thread."""
    import cv2

    capture = cv2.VideoCapture(str(clip), cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
    if not capture.isOpened() or capture.get(cv2.CAP_PROP_N_THREADS) != 1:
        raise ValueError(f"{clip.name}: OpenCV cannot open it with one thread")
    requested, index, retrieved = set(indexes), 0, 0
    while capture.grab():
        if index in requested:
            succeeded, image = capture.retrieve()
            if not succeeded:
                raise ValueError(f"{clip.name}: OpenCV cannot retrieve frame {index}")
            retrieved += 1
            yield np.asarray(image)
        index += 1
    capture.release()
    if retrieved != len(requested):
        raise ValueError(f"{clip.name}: OpenCV returned {retrieved} of {len(requested)} frames (it read {index})")
