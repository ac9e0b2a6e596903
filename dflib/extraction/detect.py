"""The interface of face detectors, and the detector that a worker process has loaded."""

import functools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from dflib.media.frame import Image
from dflib.parts import catalog

Box = tuple[float, float, float, float]
"""x, y, width, height in pixels."""


@dataclass(frozen=True)
class Detection:
    """One face, in pixels of the image in which it was detected.

    Attributes:
        box: as detected; may lie partly outside the image.
        confidence: 0 to 1.
        landmarks: left eye, right eye, nose, left and right mouth corner as seen in the image (the viewer's
            left first), x and y, float64, shape (5, 2); None when the detector has no landmarks.
    """

    box: Box
    confidence: float
    landmarks: NDArray[np.float64] | None

    def scaled(self, scale_x: float, scale_y: float) -> "Detection":
        """The same face in an image that is ``scale_x`` times as wide and ``scale_y`` times as high."""
        x, y, width, height = self.box
        points = None if self.landmarks is None else self.landmarks * np.array([scale_x, scale_y])
        return Detection((x * scale_x, y * scale_y, width * scale_x, height * scale_y), self.confidence, points)


class Detector(Protocol):
    """Finds faces in uint8 RGB images of shape (height, width, 3)."""

    def detect(self, images: Sequence[Image]) -> list[list[Detection]]:
        """The faces of each image, most confident first; all images have the same size."""


@runtime_checkable
class Follower(Detector, Protocol):
    """A detector that can also search only the neighbourhood of expected faces, which is cheaper."""

    def follow(self, images: Sequence[Image], expected: Sequence[Sequence[Box]]) -> list[list[Detection]]:
        """The faces of each image near its expected boxes; all images have the same size."""


@dataclass(frozen=True)
class DetectorPart:
    """A detector as a named part: every module of :mod:`dflib.extraction.detectors` defines one as ``PART``.

    Attributes:
        make: returns the detector for a confidence threshold, above which faces are returned, and TensorFlow's name
            of the task's device, such as ``GPU:0``.
        on_device: whether it runs on the task's device; otherwise it runs on the CPU, and no GPU is requested.
        landmarks: whether its detections have landmarks.
        follows: whether it is a :class:`Follower`; without that, ``faces.search=follow:K`` searches every frame.
    """

    make: Callable[[float, str], Detector]
    on_device: bool = False
    landmarks: bool = False
    follows: bool = False


def part(name: str) -> DetectorPart:
    """The detector of that name in the catalog.

    Raises:
        ConfigError: a package that it needs is not installed.
    """
    found: DetectorPart = catalog.DETECTORS.load(name)
    return found


@functools.lru_cache(maxsize=1)
def load(name: str, threshold: float, device: str = "CPU:0") -> Detector:
    """The detector of this process; loading takes seconds, so a worker keeps it from task to task.

    Args:
        name: as ``faces.detector``.
        threshold: confidence above which faces are returned.
        device: TensorFlow's name of the task's device.

    Raises:
        ConfigError: a package that the detector needs is not installed.
    """
    import cv2

    # Spark runs one task per core.
    cv2.setNumThreads(1)
    return part(name).make(threshold, device)


def most_confident_first(faces: Iterable[Detection]) -> list[Detection]:
    """Faces by descending confidence; faces of equal confidence are ordered by their boxes."""
    return sorted(faces, key=lambda face: (-face.confidence, face.box))
