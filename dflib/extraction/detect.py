"""What a face detector is: the one interface that all of them have, and how one is chosen."""

import functools
import importlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]

Box = tuple[float, float, float, float]
"""x, y, width, height in pixels."""


@dataclass(frozen=True)
class Detection:
    """One face in pixels of the picture given.

    Attributes:
        box: as detected; may lie partly outside the picture.
        confidence: 0 to 1.
        landmarks: left eye, right eye, nose, left and right mouth corner as seen in the picture (the viewer's
            left first), float64, shape (5, 2); None when the detector gives none.
    """

    box: Box
    confidence: float
    landmarks: NDArray[np.float64] | None

    def scaled(self, across: float, down: float) -> "Detection":
        """The same face in a picture that is ``across`` times as wide and ``down`` times as high."""
        x, y, width, height = self.box
        points = None if self.landmarks is None else self.landmarks * np.array([across, down])
        return Detection((x * across, y * down, width * across, height * down), self.confidence, points)


class Detector(Protocol):
    """Finds faces in uint8 RGB pictures of shape (height, width, 3)."""

    def detect(self, pictures: Sequence[Image]) -> list[list[Detection]]:
        """The faces of each picture, most confident first; the pictures are of one size."""


@runtime_checkable
class Follower(Detector, Protocol):
    """A detector that can also look where faces are expected, for less."""

    def follow(self, pictures: Sequence[Image], expected: Sequence[Sequence[Box]]) -> list[list[Detection]]:
        """The faces of each picture near the boxes expected in it; the pictures are of one size."""


DETECTORS = {
    "mtcnn": ("mtcnn", "Mtcnn"),
    "haar": ("haar", "Haar"),
    "dlib_hog": ("dlib_hog", "DlibHog"),
    "blazeface": ("blazeface", "BlazeFace"),
}
"""Module and class of each ``faces.detector``."""


ON_DEVICES = ("mtcnn",)
"""Those that can run on a GPU."""


def most_confident_first(faces: Iterable[Detection]) -> list[Detection]:
    """Faces in the order that detectors give them in; of those as sure, by their place."""
    return sorted(faces, key=lambda face: (-face.confidence, face.box))


@functools.lru_cache(maxsize=1)
def load(detector: str, floor: float, device: str = "CPU:0") -> Detector:
    """The detector of this process: a worker keeps it from task to task, since loading takes seconds.

    Args:
        detector: as ``faces.detector``.
        floor: confidence above which faces are given.
        device: TensorFlow's name of the device to run on, for those of :data:`ON_DEVICES`.
    """
    import cv2

    # Spark runs a task a core.
    cv2.setNumThreads(1)
    # Imported by name: what one detector needs, the others do without.
    module, name = DETECTORS[detector]
    more = (device,) if detector in ON_DEVICES else ()
    made: Detector = getattr(importlib.import_module(f"dflib.extraction.detectors.{module}"), name)(floor, *more)
    return made
