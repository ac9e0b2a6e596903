"""Where in the sampled frames of a video its faces are looked for, and how often.

A face is found for little where it is expected, so most frames are not searched: every few frames one is, and in
between faces are followed.  A clear face at the ends of a gap must be found again in each frame of it; a frame
where that fails is searched like the others.  So a cut, a face that turns away, or one that comes or goes cost a
search and never a face.  Only who comes and goes within one gap is not seen.
"""

import itertools
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from dflib.config import FacesConfig
from dflib.extraction.decode import Frame
from dflib.extraction.detect import Box, Detection, Detector, Follower, Image, most_confident_first
from dflib.extraction.tracks import nearness, overlap

GROUP_FRAMES = 32
"""Frames held at once: enough for gaps to have two ends."""

GROUP_BYTES = 128 << 20
"""And their memory: 10 frames of 3840x2160 as decoded; 32 of 1920x1080 take 96 MiB."""

DARK = 60
"""Mean level (0 to 255) below which frames are dark: a face lit by a screen at night is found surely when lifted."""

LIFT = 0.5
"""Exponent for dark frames: a real clip of mean 34 shows its face above .95 in 20 of 20 frames so, in 1 otherwise."""

SAME_FACE = 0.5
"""Share of the smaller box above which two findings of two looks at one frame are one face."""

SAME_PLACE = 0.3
"""Nearness above which a face is the one that was expected."""


def groups(frames: Iterable[Frame]) -> Iterator[list[Frame]]:
    """Cuts the frames of a video into groups of bounded memory, each of one size of frame."""
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
    """By how much a frame is resized before it is looked at.

    The rule of S3 and S4: <300 px ×2, ≤1000 ×1, ≤1900 ×½, above ×⅓; of the width as they have it, or of the longer
    side, which costs the same for upright pictures and finds faces of the same size in them.
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

    Frames without a clear face get a second look: lightened when they are dark, and at twice the size where they
    were reduced.  In the larger pictures only the places are looked at where neighbours have faces; without such
    neighbours every few frames are searched, and those beside a frame that shows something.

    Args:
        frames: of one size.
        detector: asked for all faces above :func:`dflib.extraction.tracks.candidate_threshold`.
        settings: the section ``faces`` of the configuration.
    """
    scale = scale_of(frames[0].width, frames[0].height, settings)
    pictures = _pictures(frames, scale)
    if not settings.second_look:
        return _look(frames, pictures, detector, settings)
    dark = [float(picture[::4, ::4].mean()) < DARK for picture in pictures]
    found = _look(frames, pictures, detector, settings, thorough=not all(dark))

    for run in _runs([place for place, faces in enumerate(found) if dark[place] and not _clear(faces, settings)]):
        again = _look([frames[place] for place in run], [_lifted(pictures[place]) for place in run], detector, settings)
        _unite(found, run, again)
    if scale >= 1:
        return found
    for run in _runs([place for place, faces in enumerate(found) if not _clear(faces, settings)]):
        hard = [frames[place] for place in run]
        larger = _pictures(hard, min(1, 2 * scale))
        larger = [_lifted(picture) if dark[place] else picture for place, picture in zip(run, larger, strict=True)]
        near = [_neighbours(found, place) for place in run]
        if all(near) and settings.search != "every" and isinstance(detector, Follower):
            again = _near(hard, larger, detector, near)
        else:
            again = _look(hard, larger, detector, settings, thorough=False)
        _unite(found, run, again)
    return found


def _runs(places: Sequence[int]) -> list[list[int]]:
    """Places that follow each other, together: only between neighbours can a face be followed."""
    runs: list[list[int]] = []
    for place in places:
        if not runs or runs[-1][-1] != place - 1:
            runs.append([])
        runs[-1].append(place)
    return runs


def _look(
    frames: Sequence[Frame],
    pictures: Sequence[Image],
    detector: Detector,
    settings: FacesConfig,
    thorough: bool = True,
) -> list[list[Detection]]:
    """Looks at whole frames; those between two that show nothing at all are left out unless ``thorough``."""
    step = 1 if settings.search == "every" else int(settings.search.removeprefix("follow:"))
    if step > 1 and isinstance(detector, Follower):
        found = _follow(pictures, detector, settings, step, thorough)
    else:
        found = detector.detect(pictures)
    return _in_frames(found, frames[0], pictures[0])


def _near(
    frames: Sequence[Frame], pictures: Sequence[Image], detector: Follower, boxes: Sequence[Sequence[Box]]
) -> list[list[Detection]]:
    """Looks at frames near boxes, which are in pixels of the frame."""
    across, down = pictures[0].shape[1] / frames[0].width, pictures[0].shape[0] / frames[0].height
    expected = [[(x * across, y * down, w * across, h * down) for x, y, w, h in of_one] for of_one in boxes]
    return _in_frames(detector.follow(pictures, expected), frames[0], pictures[0])


def _pictures(frames: Sequence[Frame], scale: float) -> list[Image]:
    size = (max(1, round(frames[0].width * scale)), max(1, round(frames[0].height * scale)))
    return [frame.small(*size) for frame in frames]


def _lifted(picture: Image) -> Image:
    """Grey levels, as shares of white, raised to :data:`LIFT`."""
    levels = np.round(255 * (np.arange(256) / 255) ** LIFT).astype(np.uint8)
    return np.asarray(levels[picture])


def _in_frames(found: Sequence[Sequence[Detection]], frame: Frame, picture: Image) -> list[list[Detection]]:
    # Pixel sizes, not the nominal scale: a side is rounded to whole pixels.
    across, down = frame.width / picture.shape[1], frame.height / picture.shape[0]
    return [[face.scaled(across, down) for face in faces] for faces in found]


def _neighbours(found: Sequence[Sequence[Detection]], place: int) -> list[Box]:
    """Where the nearest frames on both sides that show faces have them."""
    before = next((found[near] for near in range(place - 1, -1, -1) if found[near]), [])
    after = next((found[near] for near in range(place + 1, len(found)) if found[near]), [])
    return [face.box for face in (*before, *after)]


def _follow(
    pictures: Sequence[Image], detector: Follower, settings: FacesConfig, step: int, thorough: bool
) -> list[list[Detection]]:
    ends = sorted({*range(0, len(pictures), step), len(pictures) - 1})
    found: dict[int, list[Detection]] = dict(zip(ends, detector.detect([pictures[end] for end in ends]), strict=True))
    expected: dict[int, list[tuple[Box, bool]]] = {}
    for start, end in itertools.pairwise(ends):
        for place in range(start + 1, end):
            expected[place] = _between(found[start], found[end], (place - start) / (end - start), settings)
    # Where no face is clear there may be one that is hard to see: such frames are searched.
    places = [place for place in sorted(expected) if any(sure for _, sure in expected[place])]
    near = detector.follow([pictures[place] for place in places], [[box for box, _ in expected[p]] for p in places])
    for place, faces in zip(places, near, strict=True):
        if _are_there([box for box, sure in expected[place] if sure], faces):
            found[place] = faces
    missing = [place for place in expected if place not in found and (thorough or expected[place])]
    found |= dict(zip(missing, detector.detect([pictures[place] for place in missing]), strict=True))
    return [found.get(place, []) for place in range(len(pictures))]


def _clear(faces: Sequence[Detection], settings: FacesConfig) -> bool:
    return any(face.confidence > settings.threshold for face in faces)


def _unite(found: list[list[Detection]], places: Sequence[int], again: Sequence[Sequence[Detection]]) -> None:
    """Adds what another look found at some places; of a face that both have, the surer finding stays."""
    for place, faces in zip(places, again, strict=True):
        kept: list[Detection] = []
        for face in most_confident_first([*found[place], *faces]):
            if all(overlap(face, before, of_smaller=True) < SAME_FACE for before in kept):
                kept.append(face)
        found[place] = kept


def _between(
    before: Sequence[Detection], after: Sequence[Detection], share: float, settings: FacesConfig
) -> list[tuple[Box, bool]]:
    """Where the faces at the ends of a gap are expected at ``share`` of it, and whether each must be there.

    A face that both ends show is expected on the way between, another one where it is.
    """
    left = list(after)
    boxes: list[tuple[Box, bool]] = []
    for face in before:
        other = _take_nearest(face, left, settings.track_iou)
        if other is None:
            boxes.append((face.box, face.confidence > settings.threshold))
            continue
        x, y, w, h = (a + (b - a) * share for a, b in zip(face.box, other.box, strict=True))
        boxes.append(((x, y, w, h), max(face.confidence, other.confidence) > settings.threshold))
    return boxes + [(face.box, face.confidence > settings.threshold) for face in left]


def _are_there(boxes: Sequence[Box], faces: Sequence[Detection]) -> bool:
    """Whether each box has a face of its own near it."""
    left = list(faces)
    return all(_take_nearest(Detection(box, 1.0, None), left, SAME_PLACE) is not None for box in boxes)


def _take_nearest(face: Detection, left: list[Detection], least: float) -> Detection | None:
    """Takes the nearest one out of those left; None, and nothing is taken, when its nearness is below ``least``."""
    nearest = max(left, key=lambda other: nearness(face, other), default=None)
    if nearest is None or nearness(face, nearest) < least:
        return None
    # By identity: detections hold arrays, which have no single equality.
    left[:] = [other for other in left if other is not nearest]
    return nearest
