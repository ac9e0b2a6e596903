"""MTCNN (Zhang et al. 2016) with the networks and weights of the mtcnn package, for batches of images.

The package's own cascade is slow between its networks (it traces every size again, and its suppression sorts and
copies per image and scale), and turns any InvalidArgumentError of TensorFlow into "no faces" for the whole batch.
Here the three networks are compiled once for all sizes, P-Net with rearranged sums, and the steps between them work on
arrays over all images.
Searching one image returns what ``MTCNN.detect_faces`` returns before it rounds to whole pixels: the same pyramid,
thresholds and suppression. The tests compare the two.
"""

import functools
import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dflib.extraction.detect import Box, Detection, DetectorPart, most_confident_first
from dflib.extraction.detectors._mtcnn_p_net import rearranged
from dflib.media.frame import Image

log = logging.getLogger(__name__)

Boxes = NDArray[np.float64]
"""Rows of image index, x1, y1, x2, y2 (pixels), confidence; float64, shape (n, 6)."""

# The package's defaults.
CELL, STRIDE = 12, 2  # pixels: side of P-Net's receptive field, and its stride
MIN_FACE = 20  # pixels; with 40 the package finds nothing at all
SCALE_FACTOR = 0.709  # from one level of the pyramid to the next
P_THRESHOLD, R_THRESHOLD = 0.6, 0.7
P_OVERLAP_LEVEL, P_OVERLAP, R_OVERLAP, O_OVERLAP = 0.5, 0.7, 0.7, 0.7
R_SIDE, O_SIDE = 24, 48

MAX_BOXES = 2000
"""Proposals kept per image and level, the best ones: memory grows with their square (160 MB)."""

BATCH_PIXELS = 4 << 20
"""Pixels of the images that go through the networks together (a single image may have more)."""

P_NET_PIXELS = 192 << 10
"""Pixels in one call of P-Net: its maps take about 64 bytes per pixel and should stay in a CPU's caches."""

REFINED_BOXES = 256
"""Boxes in one call of R-Net and O-Net: by their shapes, O-Net's maps take about 0.3 MB per box."""

SEARCH_SIDE = 2.0
"""Side of the square searched for an expected face, in sides of its box: the face may have moved by half a side."""

FOLLOWED_CELLS = (0.75, 1.06, 1.5)
"""Sides, in P-Net cells, to which an expected face is resized: SCALE_FACTOR apart, as in the pyramid."""


class Mtcnn:
    """The three networks; see :class:`dflib.extraction.detect.Detector`."""

    def __init__(self, threshold: float, device: str = "CPU:0") -> None:
        """
        Args:
            threshold: confidence above which faces are returned.
            device: TensorFlow's name of the device that the networks run on.
        """
        import tensorflow as tf
        from mtcnn import MTCNN

        _limit_threads(tf)
        self._threshold = threshold
        self._device = device
        with tf.device(device):
            p_model, r_net, o_net = (stage.model for stage in MTCNN(device=device).stages)
        p_net = rearranged(p_model)

        def propose(images: Any) -> tuple[Any, Any, Any]:
            """Cells (image, row, column) above the threshold, their four offsets and their confidence."""
            offsets, confidence = p_net(images)
            cells = tf.where(confidence > P_THRESHOLD)
            return cells, tf.gather_nd(offsets, cells), tf.gather_nd(confidence, cells)

        def level(images: Any, height: Any, width: Any) -> Any:
            # Resizes and converts to float in one step; the package converts all pixels first.
            resized = tf.image.resize(images, tf.stack([height, width]), method=tf.image.ResizeMethod.AREA)
            return (resized - 127.5) / 128.0

        def refine(network: Any, side: int, images: Any, boxes: Any, owners: Any) -> Any:
            patches = tf.image.crop_and_resize(images, boxes, owners, (side, side), extrapolation_value=127.5)
            return network.call((patches - 127.5) / 128.0)

        image = tf.TensorSpec((None, None, None, 3), tf.uint8)
        number = tf.TensorSpec((), tf.int32)
        patches = (image, tf.TensorSpec((None, 4), tf.float32), tf.TensorSpec((None,), tf.int32))
        # One graph for all sizes, so that no size is traced again; bit-identical to the eager layers.
        self._propose = tf.function(
            lambda images, height, width: propose(level(images, height, width)),
            input_signature=(image, number, number),
        )
        self._r_net = tf.function(functools.partial(refine, r_net, R_SIDE), input_signature=patches)
        self._o_net = tf.function(functools.partial(refine, o_net, O_SIDE), input_signature=patches)

    def detect(self, images: Sequence[Image]) -> list[list[Detection]]:
        """Searches whole images of one size for faces from :data:`MIN_FACE` pixels up.

        Raises:
            ValueError: the images differ in size.
        """
        found: list[list[Detection]] = []
        for part in _batches(len(images), _pixels(images), BATCH_PIXELS):
            batch = np.stack(images[part])
            found += self._refined(batch, self._proposals(batch))
        return found

    def follow(self, images: Sequence[Image], expected: Sequence[Sequence[Box]]) -> list[list[Detection]]:
        """Searches each image only around its expected boxes.

        Args:
            images: uint8 RGB of one size.
            expected: for each image, boxes in its pixels.

        Raises:
            ValueError: the images differ in size.
        """
        found: list[list[Detection]] = []
        for part in _batches(len(images), _pixels(images), BATCH_PIXELS):
            batch = np.stack(images[part])
            found += self._refined(batch, self._followed(batch, expected[part]))
        return found

    def _proposals(self, images: Image) -> Boxes:
        """P-Net over the whole pyramid."""
        height, width = images.shape[1:3]
        levels = []
        for scale in _scales(height, width):
            size = (int(height * scale), int(width * scale))
            for part in _batches(len(images), size[0] * size[1], P_NET_PIXELS):
                boxes = self._run_p_net(images[part], size)
                boxes[:, 0] += part.start
                boxes[:, 1:5] /= scale
                levels.append(_suppress(boxes, P_OVERLAP_LEVEL))
        return _suppress(np.concatenate([np.empty((0, 6)), *levels]), P_OVERLAP)

    def _followed(self, images: Image, expected: Sequence[Sequence[Box]]) -> Boxes:
        """P-Net on small windows around the expected boxes."""
        searched = [(owner, box) for owner, boxes in enumerate(expected) for box in boxes]
        levels = [np.empty((0, 6))]
        for cells in FOLLOWED_CELLS if searched else ():
            side = round(cells * CELL * SEARCH_SIDE)
            windows = np.empty((len(searched), side, side, 3), np.uint8)
            corners = np.empty((len(searched), 3))
            for index, (owner, (x, y, w, h)) in enumerate(searched):
                pixels = max(2, round(max(w, h) * SEARCH_SIDE))
                left, top = round(x + w / 2 - pixels / 2), round(y + h / 2 - pixels / 2)
                windows[index] = _window(images[owner], left, top, pixels, side)
                corners[index] = left, top, pixels / side
            boxes = self._run_p_net(windows, (side, side))
            of_window = boxes[:, 0].astype(int)
            left, top, scale = corners[of_window].T
            boxes[:, [1, 3]] = boxes[:, [1, 3]] * scale[:, None] + left[:, None]
            boxes[:, [2, 4]] = boxes[:, [2, 4]] * scale[:, None] + top[:, None]
            boxes[:, 0] = np.array([owner for owner, _ in searched])[of_window]
            levels.append(_suppress(boxes, P_OVERLAP_LEVEL))
        return _suppress(np.concatenate(levels), P_OVERLAP)

    def _run_p_net(self, images: Image, size: tuple[int, int]) -> Boxes:
        import tensorflow as tf

        with tf.device(self._device):
            cells, offsets, confidence = self._propose(images, *size)
        owner, row, column = cells.numpy().T
        # As in the package: a cell begins at its second pixel, and offsets are fractions of its remaining side.
        corner = np.stack([column, row, column, row], axis=1) * STRIDE + np.array([1, 1, CELL, CELL])
        return np.column_stack([owner, corner + offsets.numpy() * (CELL - 1), confidence.numpy()]).astype(np.float64)

    def _refined(self, images: Image, boxes: Boxes) -> list[list[Detection]]:
        """R-Net and O-Net on the proposals of P-Net; the faces of each image, most confident first."""
        found: list[list[Detection]] = [[] for _ in range(len(images))]
        boxes = _squared(boxes)
        if len(boxes):
            offsets, classes = self._run(self._r_net, images, boxes)
            boxes[:, 5] = classes[:, 1]
            boxes = _moved(boxes, offsets)
            boxes = _squared(_suppress(boxes[boxes[:, 5] > R_THRESHOLD], R_OVERLAP))
        if len(boxes):
            offsets, points, classes = self._run(self._o_net, images, boxes)
            boxes[:, 5] = classes[:, 1]
            # Five x, then five y, as fractions of the box; the package adds and subtracts one pixel likewise.
            width, height = (boxes[:, 3] - boxes[:, 1] + 1)[:, None], (boxes[:, 4] - boxes[:, 2] + 1)[:, None]
            x = points[:, :5] * width + boxes[:, 1:2] - 1
            y = points[:, 5:] * height + boxes[:, 2:3] - 1
            rows = np.concatenate([_moved(boxes, offsets), x, y], axis=1)
            rows = rows[(rows[:, 5] > self._threshold) & np.isfinite(rows).all(axis=1)]
            for row in _suppress(rows, O_OVERLAP, of_smaller=True):
                x1, y1, x2, y2 = (float(value) for value in row[1:5])
                landmarks = np.stack([row[6:11], row[11:16]], axis=1)
                found[int(row[0])].append(Detection((x1, y1, x2 - x1, y2 - y1), float(row[5]), landmarks))
        return [most_confident_first(faces) for faces in found]

    def _run(self, network: Callable[..., Any], images: Image, boxes: Boxes) -> list[NDArray[np.float32]]:
        """The outputs of R-Net or O-Net for the boxes, each cut from its image and resized to the network's input."""
        import tensorflow as tf

        height, width = images.shape[1:3]
        relative = (boxes[:, [2, 1, 4, 3]] / np.array([height, width, height, width])).astype(np.float32)
        owners = boxes[:, 0].astype(np.int32)
        with tf.device(self._device):
            whole = tf.constant(images)
            outputs = [network(whole, relative[part], owners[part]) for part in _batches(len(boxes), 1, REFINED_BOXES)]
        return [np.concatenate(parts) for parts in zip(*outputs, strict=True)]


def _batches(count: int, pixels: int, max_pixels: int) -> Iterator[slice]:
    """Slices of ``count`` images of ``pixels`` each, with at most ``max_pixels`` together, or of a single image."""
    step = max(1, max_pixels // max(1, pixels))
    return (slice(start, min(start + step, count)) for start in range(0, count, step))


def _pixels(images: Sequence[Image]) -> int:
    return images[0].shape[0] * images[0].shape[1] if images else 0


def _scales(height: int, width: int) -> NDArray[np.float64]:
    """Scales of the pyramid: as many as in the package, without those at which the image is smaller than a cell."""
    smaller = min(height, width)
    count = max(0, round(-((np.log(smaller / CELL) / np.log(SCALE_FACTOR)) + 1)))
    scales = CELL / MIN_FACE * SCALE_FACTOR ** np.arange(count)
    return np.asarray(scales[(smaller * scales).astype(int) >= CELL])


def _suppress(boxes: Boxes, overlap: float, of_smaller: bool = False) -> Boxes:
    """Non-maximum suppression per image: drops boxes that overlap one of higher confidence by more than ``overlap``.

    As in the package, a suppressed box still suppresses others, so no loop is needed.

    Args:
        boxes: as :data:`Boxes`; more columns may follow.
        overlap: intersection over union or, with ``of_smaller``, over the smaller of the two boxes.
    """
    if len(boxes) < 2:
        return boxes
    # The package's order, ties included: ascending, then reversed.
    boxes = boxes[np.argsort(boxes[:, 5])[::-1]]
    boxes = boxes[np.argsort(boxes[:, 0], kind="stable")]
    kept = np.ones(len(boxes), bool)
    starts = np.flatnonzero(np.diff(boxes[:, 0], prepend=-1.0))
    for start, end in zip(starts, [*starts[1:], len(boxes)], strict=True):
        kept[start + MAX_BOXES : end] = False
        end = min(end, start + MAX_BOXES)
        x1, y1, x2, y2 = boxes[start:end, 1:5].T
        area = (x2 - x1) * (y2 - y1)
        width = np.maximum(0, np.minimum(x2, x2[:, None]) - np.maximum(x1, x1[:, None]))
        height = np.maximum(0, np.minimum(y2, y2[:, None]) - np.maximum(y1, y1[:, None]))
        shared = width * height
        whole = np.minimum(area, area[:, None]) if of_smaller else area + area[:, None] - shared
        with np.errstate(invalid="ignore", divide="ignore"):
            kept[start:end] = ~np.triu(shared / whole > overlap, k=1).any(axis=0)
    return np.asarray(boxes[kept])


def _squared(boxes: Boxes) -> Boxes:
    """Enlarges the shorter side to the longer one, about the same centre."""
    boxes = boxes.copy()
    w, h = boxes[:, 3] - boxes[:, 1], boxes[:, 4] - boxes[:, 2]
    side = np.maximum(w, h)
    boxes[:, 1] += w * 0.5 - side * 0.5
    boxes[:, 2] += h * 0.5 - side * 0.5
    boxes[:, 3:5] = boxes[:, 1:3] + side[:, None]
    return boxes


def _moved(boxes: Boxes, offsets: NDArray[np.float32]) -> Boxes:
    """Moves each side by its offset, a fraction of the box plus one pixel as in the package."""
    boxes = boxes.copy()
    w, h = boxes[:, 3] - boxes[:, 1] + 1, boxes[:, 4] - boxes[:, 2] + 1
    boxes[:, 1:5] += offsets * np.stack([w, h, w, h], axis=1)
    return boxes


def _window(image: Image, left: int, top: int, pixels: int, side: int) -> Image:
    """The square of ``pixels`` at (left, top), resized to ``side``; grey, about 0 normalised, outside the image."""
    import cv2

    x, y = max(left, 0), max(top, 0)
    inner = image[y : max(top + pixels, 0), x : max(left + pixels, 0)]
    window = np.full((side, side, 3), 127, np.uint8)
    if inner.size == 0:
        return window
    scale = side / pixels
    height, width = (max(1, round(length * scale)) for length in inner.shape[:2])
    row, column = min(round((y - top) * scale), side - height), min(round((x - left) * scale), side - width)
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    window[row : row + height, column : column + width] = cv2.resize(
        inner, (width, height), interpolation=interpolation
    )
    return window


def _limit_threads(tf: Any) -> None:
    """One thread, since Spark runs one task per core; can be set only before TensorFlow's first operation."""
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
        log.warning("TensorFlow already runs in this process, with intra-op and inter-op threads %s and %s", *threads)


PART = DetectorPart(make=Mtcnn, on_device=True, landmarks=True, follows=True)
