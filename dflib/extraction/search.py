"""Finds the faces of sampled frames, searching as few whole frames as possible.

Detecting a face is cheap where it is expected.  So only every K-th frame is searched (``faces.search=follow:K``), and
faces are followed through the gap between two searched frames.  A confident face at the ends of a gap must be found
again in each of its frames; a frame where that fails is searched as well.  So a cut, a face that turns away, or one
that comes or goes costs an additional search and never a face.  Only a person who both comes and goes within one gap
is missed.
"""

import itertools
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from dflib.config import FacesConfig
from dflib.extraction.detect import Box, Detection, Detector, Follower, most_confident_first
from dflib.extraction.tracks import enlarged_overlap, overlap
from dflib.media.frame import Frame, Image

GROUP_FRAMES = 32
"""Frames held at once: enough for gaps to have two ends."""

GROUP_BYTES = 128 << 20
"""Memory of the frames held at once: 10 decoded frames of 3840x2160; 32 of 1920x1080 take 96 MiB."""

DARK = 60
"""Mean level (0 to 255) below which a frame is dark: faces lit by a screen at night are detected once brightened."""

GAMMA = 0.5
"""Exponent that brightens dark frames: in a real clip of mean level 34, the face is above .95 in 20 of 20 frames with
it, and in 1 without."""

SAME_FACE = 0.5
"""Overlap, as a share of the smaller box, above which two detections in one frame are of one face."""

SAME_PLACE = 0.3
"""Overlap of the enlarged boxes from which a face is the expected one."""


def groups(frames: Iterable[Frame]) -> Iterator[list[Frame]]:
    """Splits the frames of a video into groups of bounded memory, each with frames of one size."""
    group: list[Frame] = []
    held = 0
    for frame in frames:
        differs = bool(group) and (frame.width, frame.height) != (group[0].width, group[0].height)
        if len(group) == GROUP_FRAMES or (group and held + frame.bytes > GROUP_BYTES) or differs:
            yield group
            group, held = [], 0
        group.append(frame)
        held += frame.bytes
    if group:
        yield group


def scale_of(width: int, height: int, settings: FacesConfig) -> float:
    """Factor by which a frame is resized before detection.

    The rule of S3 and S4: <300 px ×2, ≤1000 ×1, ≤1900 ×½, above ×⅓; of the width as in S3 and S4, or of the longer
    side, which costs the same for upright images and finds faces of the same size in them.
    """
    if settings.resize == "none":
        return 1.0
    side = width if settings.resize == "by_width" else max(width, height)
    if side < 300:
        return 2.0
    if side <= 1000:
        return 1.0
    return 0.5 if side <= 1900 else 1 / 3


def search(frames: Sequence[Frame], detector: Detector, settings: FacesConfig) -> list[list[Detection]]:
    """The faces of each frame of a group in pixels of the frame, most confident first.

    With ``faces.second_look``, frames without a confident face are searched again: brightened if they are dark, and
    at twice the size if they were reduced.  At twice the size only the neighbourhood of faces in adjacent frames is
    searched; where there are none, every K-th frame is searched, and those next to a frame with a detection.

    Args:
        frames: of one size.
        detector: with the threshold :func:`dflib.extraction.tracks.candidate_threshold`.
        settings: the section ``faces``.
    """
    scale = scale_of(frames[0].width, frames[0].height, settings)
    images = _resized(frames, scale)
    if not settings.second_look:
        return _detect(frames, images, detector, settings)
    dark = [float(image[::4, ::4].mean()) < DARK for image in images]
    found = _detect(frames, images, detector, settings, thorough=not all(dark))

    for run in _runs([i for i, faces in enumerate(found) if dark[i] and not _confident(faces, settings)]):
        again = _detect([frames[i] for i in run], [_brightened(images[i]) for i in run], detector, settings)
        _merge(found, run, again)
    if scale >= 1:
        return found
    for run in _runs([i for i, faces in enumerate(found) if not _confident(faces, settings)]):
        hard = [frames[i] for i in run]
        larger = _resized(hard, min(1, 2 * scale))
        larger = [_brightened(image) if dark[i] else image for i, image in zip(run, larger, strict=True)]
        expected = [_adjacent_boxes(found, i) for i in run]
        if all(expected) and settings.search != "every" and isinstance(detector, Follower):
            again = _detect_near(hard, larger, detector, expected)
        else:
            again = _detect(hard, larger, detector, settings, thorough=False)
        _merge(found, run, again)
    return found


def _runs(indexes: Sequence[int]) -> list[list[int]]:
    """Runs of consecutive indexes: faces can be followed only between adjacent frames."""
    runs: list[list[int]] = []
    for index in indexes:
        if not runs or runs[-1][-1] != index - 1:
            runs.append([])
        runs[-1].append(index)
    return runs


def _detect(
    frames: Sequence[Frame],
    images: Sequence[Image],
    detector: Detector,
    settings: FacesConfig,
    thorough: bool = True,
) -> list[list[Detection]]:
    """Faces of whole frames; unless ``thorough``, gaps between two frames without any detection are skipped."""
    step = 1 if settings.search == "every" else int(settings.search.removeprefix("follow:"))
    if step > 1 and isinstance(detector, Follower):
        found = _follow(images, detector, settings, step, thorough)
    else:
        found = detector.detect(images)
    return _in_frame_pixels(found, frames[0], images[0])


def _detect_near(
    frames: Sequence[Frame], images: Sequence[Image], detector: Follower, boxes: Sequence[Sequence[Box]]
) -> list[list[Detection]]:
    """Faces of frames near boxes, which are in pixels of the frame."""
    scale_x, scale_y = images[0].shape[1] / frames[0].width, images[0].shape[0] / frames[0].height
    expected = [[(x * scale_x, y * scale_y, w * scale_x, h * scale_y) for x, y, w, h in of_one] for of_one in boxes]
    return _in_frame_pixels(detector.follow(images, expected), frames[0], images[0])


def _resized(frames: Sequence[Frame], scale: float) -> list[Image]:
    size = (max(1, round(frames[0].width * scale)), max(1, round(frames[0].height * scale)))
    return [frame.resized(*size) for frame in frames]


def _brightened(image: Image) -> Image:
    """Gamma correction with the exponent :data:`GAMMA`."""
    levels = np.round(255 * (np.arange(256) / 255) ** GAMMA).astype(np.uint8)
    return np.asarray(levels[image])


def _in_frame_pixels(found: Sequence[Sequence[Detection]], frame: Frame, image: Image) -> list[list[Detection]]:
    # From the sizes, not the nominal scale: sides are rounded to whole pixels.
    scale_x, scale_y = frame.width / image.shape[1], frame.height / image.shape[0]
    return [[face.scaled(scale_x, scale_y) for face in faces] for faces in found]


def _adjacent_boxes(found: Sequence[Sequence[Detection]], index: int) -> list[Box]:
    """Boxes in the nearest frames with faces, before and after a frame."""
    before = next((found[other] for other in range(index - 1, -1, -1) if found[other]), [])
    after = next((found[other] for other in range(index + 1, len(found)) if found[other]), [])
    return [face.box for face in (*before, *after)]


def _follow(
    images: Sequence[Image], detector: Follower, settings: FacesConfig, step: int, thorough: bool
) -> list[list[Detection]]:
    ends = sorted({*range(0, len(images), step), len(images) - 1})
    found: dict[int, list[Detection]] = dict(zip(ends, detector.detect([images[end] for end in ends]), strict=True))
    expected: dict[int, list[tuple[Box, bool]]] = {}
    for start, end in itertools.pairwise(ends):
        for index in range(start + 1, end):
            expected[index] = _interpolated(found[start], found[end], (index - start) / (end - start), settings)
    # Without a confident face there may be one that is hard to detect, so such frames are searched.
    followed = [index for index in sorted(expected) if any(required for _, required in expected[index])]
    near = detector.follow([images[i] for i in followed], [[box for box, _ in expected[i]] for i in followed])
    for index, faces in zip(followed, near, strict=True):
        if _all_found([box for box, required in expected[index] if required], faces):
            found[index] = faces
    missing = [index for index in expected if index not in found and (thorough or expected[index])]
    found |= dict(zip(missing, detector.detect([images[index] for index in missing]), strict=True))
    return [found.get(index, []) for index in range(len(images))]


def _confident(faces: Sequence[Detection], settings: FacesConfig) -> bool:
    return any(face.confidence > settings.threshold for face in faces)


def _merge(found: list[list[Detection]], indexes: Sequence[int], again: Sequence[Sequence[Detection]]) -> None:
    """Adds the detections of a second search; of two detections of one face, the more confident one is kept."""
    for index, faces in zip(indexes, again, strict=True):
        kept: list[Detection] = []
        for face in most_confident_first([*found[index], *faces]):
            if all(overlap(face, other, of_smaller=True) < SAME_FACE for other in kept):
                kept.append(face)
        found[index] = kept


def _interpolated(
    before: Sequence[Detection], after: Sequence[Detection], position: float, settings: FacesConfig
) -> list[tuple[Box, bool]]:
    """Expected boxes at ``position`` (0 to 1) of a gap, and whether a face must be found there.

    The box of a face at both ends is interpolated; a face at one end only is expected at its place.
    """
    unmatched = list(after)
    boxes: list[tuple[Box, bool]] = []
    for face in before:
        other = _take_nearest(face, unmatched, settings.track_iou)
        if other is None:
            boxes.append((face.box, face.confidence > settings.threshold))
            continue
        x, y, w, h = (a + (b - a) * position for a, b in zip(face.box, other.box, strict=True))
        boxes.append(((x, y, w, h), max(face.confidence, other.confidence) > settings.threshold))
    return boxes + [(face.box, face.confidence > settings.threshold) for face in unmatched]


def _all_found(boxes: Sequence[Box], faces: Sequence[Detection]) -> bool:
    """Whether each box has a face of its own near it."""
    unmatched = list(faces)
    return all(_take_nearest(Detection(box, 1.0, None), unmatched, SAME_PLACE) is not None for box in boxes)


def _take_nearest(face: Detection, others: list[Detection], min_overlap: float) -> Detection | None:
    """Removes and returns the face nearest to ``face``; None, and none is removed, if the overlap is too small."""
    nearest = max(others, key=lambda other: enlarged_overlap(face, other), default=None)
    if nearest is None or enlarged_overlap(face, nearest) < min_overlap:
        return None
    # By identity: detections contain arrays, whose comparison is no single truth value.
    others[:] = [other for other in others if other is not nearest]
    return nearest
