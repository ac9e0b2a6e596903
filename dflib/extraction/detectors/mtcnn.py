"""MTCNN (Zhang et al. 2016) on the networks and weights of the mtcnn package, many pictures at once.

The package's own cascade is slow in what lies between its networks (tracing every size anew, a NMS that sorts and
copies per picture and scale) and takes every InvalidArgumentError of TensorFlow for "no faces" of the whole batch.
Here its three networks are compiled once for all sizes, P-Net with its sums rearranged, and what lies between them is
arrays over all pictures.
Searching a picture gives what ``MTCNN.detect_faces`` gives before it rounds to whole pixels: the same pyramid,
thresholds and suppression, proven by test.

TensorFlow, mtcnn and cv2 are imported inside functions: the driver imports this module and detects nothing.
"""

import functools
import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dflib.extraction.detect import Box, Detection, Image, most_confident_first
from dflib.extraction.detectors.mtcnn_p_net import rearranged

log = logging.getLogger(__name__)

Boxes = NDArray[np.float64]
"""Rows of picture, x1, y1, x2, y2, confidence."""

# The package's defaults.
CELL, STRIDE = 12, 2  # pixels that P-Net looks at, and by which it steps
MIN_FACE = 20  # pixels; the package finds nothing at all with 40
SHRINK = 0.709  # from one level of the pyramid to the next
P_THRESHOLD, R_THRESHOLD = 0.6, 0.7
P_OVERLAP_LEVEL, P_OVERLAP, R_OVERLAP, O_OVERLAP = 0.5, 0.7, 0.7, 0.7
R_SIDE, O_SIDE = 24, 48

MOST_BOXES = 2000
"""Of one picture's proposals, the best that are kept on a level: memory goes by their square (160 MB)."""

PIXELS_AT_ONCE = 4 << 20
"""Pixels of the pictures that go through the networks together (one picture may have more)."""

PIXELS_A_LEVEL = 192 << 10
"""Of them, those that P-Net sees at once: its maps take some 64 bytes a pixel and should stay in a CPU's caches."""

BOXES_AT_ONCE = 256
"""Boxes that R-Net and O-Net see at once: O-Net's maps take some 0.3 MB each, as reckoned from their shapes."""

AROUND = 2.0
"""Side of the square in which an expected face is looked for, in sides of its box: it may have moved by half of one."""

CELLS_A_FACE = (0.75, 1.06, 1.5)
"""Sides, in P-Net cells, to which an expected face is brought: neighbours lie SHRINK apart, as in the pyramid."""


class Mtcnn:
    """The three networks; see :class:`dflib.extraction.detect.Detector`."""

    def __init__(self, floor: float, device: str = "CPU:0") -> None:
        """
        Args:
            floor: confidence above which faces are given.
            device: TensorFlow's name of the device that the networks run on.
        """
        import tensorflow as tf
        from mtcnn import MTCNN

        _limit_threads(tf)
        self._floor = floor
        self._device = device
        with tf.device(device):
            p_model, r_net, o_net = (stage.model for stage in MTCNN(device=device).stages)
        p_net = rearranged(p_model)

        def propose(pictures: Any) -> tuple[Any, Any, Any]:
            """Places (picture, row, column) above the threshold, their four offsets and their confidence."""
            offsets, confidence = p_net(pictures)
            places = tf.where(confidence > P_THRESHOLD)
            return places, tf.gather_nd(offsets, places), tf.gather_nd(confidence, places)

        def level(pictures: Any, height: Any, width: Any) -> Any:
            # Bytes are resized and become float in one go; the package makes all pixels float first.
            resized = tf.image.resize(pictures, tf.stack([height, width]), method=tf.image.ResizeMethod.AREA)
            return (resized - 127.5) / 128.0

        def refine(network: Any, side: int, pictures: Any, boxes: Any, owners: Any) -> Any:
            patches = tf.image.crop_and_resize(pictures, boxes, owners, (side, side), extrapolation_value=127.5)
            return network.call((patches - 127.5) / 128.0)

        picture = tf.TensorSpec((None, None, None, 3), tf.uint8)
        number = tf.TensorSpec((), tf.int32)
        cut = (picture, tf.TensorSpec((None, 4), tf.float32), tf.TensorSpec((None,), tf.int32))
        # One graph for all sizes, so that no new size is traced again; the same numbers as eager layers to the bit.
        self._propose = tf.function(
            lambda pictures, height, width: propose(level(pictures, height, width)),
            input_signature=(picture, number, number),
        )
        self._r_net = tf.function(functools.partial(refine, r_net, R_SIDE), input_signature=cut)
        self._o_net = tf.function(functools.partial(refine, o_net, O_SIDE), input_signature=cut)

    def detect(self, pictures: Sequence[Image]) -> list[list[Detection]]:
        """Searches the whole pictures, which must be of one size, for faces from :data:`MIN_FACE` pixels up."""
        found: list[list[Detection]] = []
        for part in _batches(len(pictures), _pixels(pictures), PIXELS_AT_ONCE):
            batch = np.stack(pictures[part])
            found += self._refined(batch, self._proposals(batch))
        return found

    def follow(self, pictures: Sequence[Image], expected: Sequence[Sequence[Box]]) -> list[list[Detection]]:
        """Searches each picture only around the boxes where faces are expected.

        Args:
            pictures: of one size.
            expected: x, y, width, height of the faces expected in each of them, pixels.
        """
        found: list[list[Detection]] = []
        for part in _batches(len(pictures), _pixels(pictures), PIXELS_AT_ONCE):
            batch = np.stack(pictures[part])
            found += self._refined(batch, self._around(batch, expected[part]))
        return found

    def _proposals(self, pictures: Image) -> Boxes:
        """P-Net over the whole pyramid."""
        height, width = pictures.shape[1:3]
        levels = []
        for scale in _scales(height, width):
            size = (int(height * scale), int(width * scale))
            for part in _batches(len(pictures), size[0] * size[1], PIXELS_A_LEVEL):
                boxes = self._run_p_net(pictures[part], size)
                boxes[:, 0] += part.start
                boxes[:, 1:5] /= scale
                levels.append(_suppress(boxes, P_OVERLAP_LEVEL))
        return _suppress(np.concatenate([np.empty((0, 6)), *levels]), P_OVERLAP)

    def _around(self, pictures: Image, expected: Sequence[Sequence[Box]]) -> Boxes:
        """P-Net on small pictures of where faces are expected."""
        places = [(owner, box) for owner, boxes in enumerate(expected) for box in boxes]
        levels = [np.empty((0, 6))]
        for cells in CELLS_A_FACE if places else ():
            side = round(cells * CELL * AROUND)
            windows = np.empty((len(places), side, side, 3), np.uint8)
            corners = np.empty((len(places), 3))
            for number, (owner, (x, y, w, h)) in enumerate(places):
                around = max(2, round(max(w, h) * AROUND))
                left, top = round(x + w / 2 - around / 2), round(y + h / 2 - around / 2)
                windows[number] = _window(pictures[owner], left, top, around, side)
                corners[number] = left, top, around / side
            boxes = self._run_p_net(windows, (side, side))
            of_window = boxes[:, 0].astype(int)
            left, top, scale = corners[of_window].T
            boxes[:, [1, 3]] = boxes[:, [1, 3]] * scale[:, None] + left[:, None]
            boxes[:, [2, 4]] = boxes[:, [2, 4]] * scale[:, None] + top[:, None]
            boxes[:, 0] = np.array([owner for owner, _ in places])[of_window]
            levels.append(_suppress(boxes, P_OVERLAP_LEVEL))
        return _suppress(np.concatenate(levels), P_OVERLAP)

    def _run_p_net(self, pictures: Image, size: tuple[int, int]) -> Boxes:
        import tensorflow as tf

        with tf.device(self._device):
            places, offsets, confidence = self._propose(pictures, *size)
        owner, row, column = places.numpy().T
        # A cell begins at its second pixel, and offsets are shares of what is left: the package's way.
        corner = np.stack([column, row, column, row], axis=1) * STRIDE + np.array([1, 1, CELL, CELL])
        return np.column_stack([owner, corner + offsets.numpy() * (CELL - 1), confidence.numpy()]).astype(np.float64)

    def _refined(self, pictures: Image, boxes: Boxes) -> list[list[Detection]]:
        """R-Net and O-Net on proposals; the faces of each picture, most confident first."""
        found: list[list[Detection]] = [[] for _ in range(len(pictures))]
        boxes = _squared(boxes)
        if len(boxes):
            offsets, classes = self._cut(self._r_net, pictures, boxes)
            boxes[:, 5] = classes[:, 1]
            boxes = _moved(boxes, offsets)
            boxes = _squared(_suppress(boxes[boxes[:, 5] > R_THRESHOLD], R_OVERLAP))
        if len(boxes):
            offsets, points, classes = self._cut(self._o_net, pictures, boxes)
            boxes[:, 5] = classes[:, 1]
            # Five x, then five y, in shares of the box; the pixel more and the pixel less are the package's.
            across, down = (boxes[:, 3] - boxes[:, 1] + 1)[:, None], (boxes[:, 4] - boxes[:, 2] + 1)[:, None]
            x = points[:, :5] * across + boxes[:, 1:2] - 1
            y = points[:, 5:] * down + boxes[:, 2:3] - 1
            rows = np.concatenate([_moved(boxes, offsets), x, y], axis=1)
            rows = rows[(rows[:, 5] > self._floor) & np.isfinite(rows).all(axis=1)]
            for row in _suppress(rows, O_OVERLAP, of_smaller=True):
                x1, y1, x2, y2 = (float(value) for value in row[1:5])
                points_of_one = np.stack([row[6:11], row[11:16]], axis=1)
                found[int(row[0])].append(Detection((x1, y1, x2 - x1, y2 - y1), float(row[5]), points_of_one))
        return [most_confident_first(faces) for faces in found]

    def _cut(self, network: Callable[..., Any], pictures: Image, boxes: Boxes) -> list[NDArray[np.float32]]:
        """What a network says of the boxes, each cut from its picture and brought to the network's size."""
        import tensorflow as tf

        height, width = pictures.shape[1:3]
        shares = (boxes[:, [2, 1, 4, 3]] / np.array([height, width, height, width])).astype(np.float32)
        owners = boxes[:, 0].astype(np.int32)
        with tf.device(self._device):
            whole = tf.constant(pictures)
            given = [network(whole, shares[part], owners[part]) for part in _batches(len(boxes), 1, BOXES_AT_ONCE)]
        return [np.concatenate(parts) for parts in zip(*given, strict=True)]


def _batches(count: int, pixels: int, most: int) -> Iterator[slice]:
    """Parts of ``count`` pictures, each of ``pixels``, that together have ``most`` at most, or are one picture."""
    step = max(1, most // max(1, pixels))
    return (slice(start, min(start + step, count)) for start in range(0, count, step))


def _pixels(pictures: Sequence[Image]) -> int:
    return pictures[0].shape[0] * pictures[0].shape[1] if pictures else 0


def _scales(height: int, width: int) -> NDArray[np.float64]:
    """Scales of the pyramid; how many is the package's rule, less those too small for one cell."""
    smaller = min(height, width)
    count = max(0, round(-((np.log(smaller / CELL) / np.log(SHRINK)) + 1)))
    scales = CELL / MIN_FACE * SHRINK ** np.arange(count)
    return np.asarray(scales[(smaller * scales).astype(int) >= CELL])


def _suppress(boxes: Boxes, overlap: float, of_smaller: bool = False) -> Boxes:
    """Keeps of each picture the boxes that overlap with none of a higher confidence by more than ``overlap``.

    As the package has it, a box that is suppressed itself still suppresses others, which needs no loop.

    Args:
        boxes: rows as :data:`Boxes`; more columns may follow.
        overlap: intersection over union, or over the smaller of the two boxes with ``of_smaller``.
    """
    if len(boxes) < 2:
        return boxes
    # As the package sorts, ties included: ascending, then turned round.
    boxes = boxes[np.argsort(boxes[:, 5])[::-1]]
    boxes = boxes[np.argsort(boxes[:, 0], kind="stable")]
    kept = np.ones(len(boxes), bool)
    starts = np.flatnonzero(np.diff(boxes[:, 0], prepend=-1.0))
    for start, end in zip(starts, [*starts[1:], len(boxes)], strict=True):
        kept[start + MOST_BOXES : end] = False
        end = min(end, start + MOST_BOXES)
        x1, y1, x2, y2 = boxes[start:end, 1:5].T
        area = (x2 - x1) * (y2 - y1)
        across = np.maximum(0, np.minimum(x2, x2[:, None]) - np.maximum(x1, x1[:, None]))
        down = np.maximum(0, np.minimum(y2, y2[:, None]) - np.maximum(y1, y1[:, None]))
        shared = across * down
        whole = np.minimum(area, area[:, None]) if of_smaller else area + area[:, None] - shared
        with np.errstate(invalid="ignore", divide="ignore"):
            kept[start:end] = ~np.triu(shared / whole > overlap, k=1).any(axis=0)
    return np.asarray(boxes[kept])


def _squared(boxes: Boxes) -> Boxes:
    """Grows the shorter side to the longer one, about the same centre."""
    boxes = boxes.copy()
    w, h = boxes[:, 3] - boxes[:, 1], boxes[:, 4] - boxes[:, 2]
    side = np.maximum(w, h)
    boxes[:, 1] += w * 0.5 - side * 0.5
    boxes[:, 2] += h * 0.5 - side * 0.5
    boxes[:, 3:5] = boxes[:, 1:3] + side[:, None]
    return boxes


def _moved(boxes: Boxes, offsets: NDArray[np.float32]) -> Boxes:
    """Moves each side by its offset, given in shares of the box and a pixel more, as the package has it."""
    boxes = boxes.copy()
    w, h = boxes[:, 3] - boxes[:, 1] + 1, boxes[:, 4] - boxes[:, 2] + 1
    boxes[:, 1:5] += offsets * np.stack([w, h, w, h], axis=1)
    return boxes


def _window(picture: Image, left: int, top: int, around: int, side: int) -> Image:
    """A square of the picture at another size; what lies outside is grey, which the networks see as nothing."""
    import cv2

    x, y = max(left, 0), max(top, 0)
    inner = picture[y : max(top + around, 0), x : max(left + around, 0)]
    window = np.full((side, side, 3), 127, np.uint8)
    if inner.size == 0:
        return window
    scale = side / around
    height, width = (max(1, round(length * scale)) for length in inner.shape[:2])
    row, column = min(round((y - top) * scale), side - height), min(round((x - left) * scale), side - width)
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    window[row : row + height, column : column + width] = cv2.resize(inner, (width, height), interpolation=way)
    return window


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
