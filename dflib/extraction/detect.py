"""Faces of one picture: the detector's interface, and MTCNN behind it.

TensorFlow, mtcnn and cv2 are imported inside functions: the driver imports this module and detects nothing.
"""

import functools
import logging
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

log = logging.getLogger(__name__)

Image = NDArray[np.uint8]


@dataclass(frozen=True)
class Detection:
    """One face in pixels of the picture given.

    Attributes:
        box: x, y, width, height as detected; may lie partly outside the picture.
        confidence: 0 to 1.
        landmarks: left eye, right eye, nose, left and right mouth corner as seen in the picture (the viewer's
            left first), float64, shape (5, 2).
    """

    box: tuple[float, float, float, float]
    confidence: float
    landmarks: NDArray[np.float64]


class Detector(Protocol):
    """Finds faces in uint8 RGB pictures of shape (height, width, 3)."""

    def detect(self, rgb: Image) -> list[Detection]:
        """The faces of a picture, most confident first."""

    def scale(self, width: int) -> float:
        """By how much a picture of this width is resized before it is looked at."""


def scale_by_width(width: int) -> float:
    """The width rule of S3 and S4: <300 px ×2, ≤1000 ×1, ≤1900 ×½, above ×⅓."""
    if width < 300:
        return 2.0
    if width <= 1000:
        return 1.0
    return 0.5 if width <= 1900 else 1 / 3


class Mtcnn:
    """The mtcnn package's three networks, one picture at a time.

    The stages are run one after another rather than by ``MTCNN.detect_faces``, which takes every
    InvalidArgumentError of TensorFlow for "no faces"; here a picture without faces is one where a stage
    leaves no boxes, and an error is an error.  The results are those of the package to the bit.
    """

    def __init__(self, resize: str, floor: float, device: str = "CPU:0") -> None:
        """
        Args:
            resize: ``by_width`` or ``none``, as ``faces.resize``.
            floor: confidence above which candidates are given.
            device: TensorFlow's name of the device that the networks run on.
        """
        import cv2
        import tensorflow as tf
        from mtcnn import MTCNN

        cv2.setNumThreads(1)
        _limit_threads(tf)
        self._stages: list[Any] = MTCNN(device=device).stages
        for stage, side in zip(self._stages, (None, 24, 48), strict=True):
            # Keras calls its layers one by one, which takes half the time.  One graph for all sizes (None), so that
            # no new size is traced again; the same numbers to the bit.
            signature = [tf.TensorSpec((None, side, side, 3), tf.float32)]
            stage._model = tf.function(stage.model.call, input_signature=signature)
        self._by_width = resize == "by_width"
        self._floor = floor
        self._device = device

    def scale(self, width: int) -> float:
        return scale_by_width(width) if self._by_width else 1.0

    def detect(self, rgb: Image) -> list[Detection]:
        import tensorflow as tf

        small = _resized(rgb, self.scale(rgb.shape[1]))
        # Pixel sizes, not the nominal scale: a side is rounded to whole pixels.
        across, down = rgb.shape[1] / small.shape[1], rgb.shape[0] / small.shape[0]
        # Exact in float32: whole numbers and halves, divided by a power of two.
        normalized = (small[None] - np.float32(127.5)) / np.float32(128)
        boxes: NDArray[np.float64] | None = None
        with tf.device(self._device):
            for stage in self._stages:
                boxes = stage(
                    bboxes_batch=boxes,
                    images_normalized=normalized,
                    images_oshapes=np.array([small.shape]),
                    threshold_onet=self._floor,
                )
                if len(boxes) == 0:
                    return []
        assert boxes is not None
        # Columns: picture, x1, y1, x2, y2, confidence, five x, five y.
        found = []
        for row in boxes[np.isfinite(boxes).all(axis=1)]:
            x1, y1, x2, y2 = row[1] * across, row[2] * down, row[3] * across, row[4] * down
            points = np.stack([row[6:11] * across, row[11:16] * down], axis=1)
            found.append(Detection((x1, y1, x2 - x1, y2 - y1), float(row[5]), points))
        return sorted(found, key=lambda face: (-face.confidence, face.box))


@functools.lru_cache(maxsize=1)
def load(detector: str, resize: str, floor: float, device: str = "CPU:0") -> Detector:
    """The detector of this process: a worker keeps it from task to task, since loading takes seconds."""
    assert detector == "mtcnn", detector
    return Mtcnn(resize, floor, device)


def _resized(rgb: Image, scale: float) -> Image:
    import cv2

    if scale == 1:
        return rgb
    size = (max(1, round(rgb.shape[1] * scale)), max(1, round(rgb.shape[0] * scale)))
    return np.asarray(
        cv2.resize(rgb, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR), dtype=np.uint8
    )


def _limit_threads(tf: Any) -> None:
    """One thread: Spark runs a task a core.  Possible only before TensorFlow's first operation in the process."""
    threads = (
        tf.config.threading.get_intra_op_parallelism_threads(),
        tf.config.threading.get_inter_op_parallelism_threads(),
    )
    if threads == (1, 1):
        return
    try:
        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(1)
    except RuntimeError:
        log.warning("TensorFlow is already running with other threads (%s, %s) in this process", *threads)
