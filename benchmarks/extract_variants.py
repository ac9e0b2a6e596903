"""The ways of getting faces out of a clip that are measured against each other.

A way prepares a clip (not timed) and then does it (timed).  All run on one thread.
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
from dflib.extraction import decode, detect, sampling, tracks
from dflib.extraction.video import extract_video
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
    """What came out of a clip; ``parts`` are CPU seconds that the way itself keeps count of."""

    frames: int
    faces: int
    parts: dict[str, float] = field(default_factory=dict)


class Way(Protocol):
    def prepare(self, clip: Path) -> Any:
        """What may be known of a clip before the clock starts."""

    def run(self, clip: Path, prepared: Any) -> Done:
        """All that it takes, from the file to encoded faces in memory."""


def settings(name: str, more: Sequence[str] = ()) -> Config:
    """The configuration of one of :data:`OURS` with ``more`` laid over it."""
    return conf_files.load(CONF, "local", [*OURS[name], *more])


def probe(content: bytes) -> decode.StreamInfo:
    return decode.probe(content, BASE.extract.max_pixels)


def mtcnn_package() -> Any:
    """The package's own detector, on one thread; must be made before TensorFlow has run anything."""
    import tensorflow as tf
    from mtcnn import MTCNN

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    return MTCNN(device="CPU:0")


def frames_taken(clip: Path) -> list[int]:
    """Numbers of the frames that dflib takes of a clip with the base configuration."""
    info = probe(clip.read_bytes())
    requests = sampling.sample(BASE.sampling.frames, info.times, info.keys, info.duration)
    return [request.index for request in decode.plan(info, requests, BASE.sampling.max_offset).requests]


class Bare:
    """OpenCV decodes all frames; those that dflib takes become pixels."""

    def prepare(self, clip: Path) -> list[int]:
        return frames_taken(clip)

    def run(self, clip: Path, prepared: list[int]) -> Done:
        return Done(sum(1 for _ in _retrieved(clip, prepared)), 0)


class Seeds:
    """The recipe of S3 and S4: one frame a second, resized by its width, the mtcnn package on each, crops as PNG.

    Kinder than the originals, which load the networks anew for each frame, turn every frame into pixels, and pass
    frames on as PNG files.
    """

    THRESHOLD = 0.95
    MARGIN = 0.3  # of the box, on each side

    def __init__(self, same_frames: bool) -> None:
        """``same_frames``: the frames that dflib takes instead of one a second."""
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
            picture = cv2.cvtColor(cv2.resize(frame, size, interpolation=cv2.INTER_AREA), cv2.COLOR_BGR2RGB)
            found = self._detector.detect_faces(picture)
            for face in found:
                if len(found) > 1 and face["confidence"] <= self.THRESHOLD:
                    continue
                x, y, width, height = face["box"]
                left, top = max(0, int(x - width * self.MARGIN)), max(0, int(y - height * self.MARGIN))
                right, bottom = int(x + width * (1 + self.MARGIN)), int(y + height * (1 + self.MARGIN))
                crop = picture[top:bottom, left:right]
                if crop.size:
                    done, _ = cv2.imencode(".png", cv2.cvtColor(crop, cv2.COLOR_RGB2BGR))
                    faces += done
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


OTHERS: dict[str, Callable[[], Way]] = {
    "bare": Bare,
    "seeds11": lambda: Seeds(same_frames=False),
    "seeds20": lambda: Seeds(same_frames=True),
}

NAMES = [*OTHERS, *OURS]


def make(name: str) -> Way:
    """Imports and loads all that the way needs.

    Raises:
        ConfigError: its detector is not installed.
    """
    return OTHERS[name]() if name in OTHERS else Ours(name)


def _scale(width: int) -> float:
    """As S3 and S4 have it, a third being .33."""
    if width < 300:
        return 2.0
    if width <= 1000:
        return 1.0
    return 0.5 if width <= 1900 else 0.33


def _retrieved(clip: Path, wanted: Collection[int]) -> Iterator[Any]:
    """BGR pictures of the wanted frames; all frames are decoded, on one thread."""
    import cv2

    capture = cv2.VideoCapture(str(clip), cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
    if not capture.isOpened() or capture.get(cv2.CAP_PROP_N_THREADS) != 1:
        raise ValueError(f"{clip.name}: OpenCV does not open it on one thread")
    places, number, given = set(wanted), 0, 0
    while capture.grab():
        if number in places:
            done, picture = capture.retrieve()
            if not done:
                raise ValueError(f"{clip.name}: OpenCV does not give frame {number}")
            given += 1
            yield np.asarray(picture)
        number += 1
    capture.release()
    if given != len(places):
        raise ValueError(f"{clip.name}: OpenCV gave {given} of {len(places)} frames (it knows of {number})")
