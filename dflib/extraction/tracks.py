"""Faces over time: tracks by overlap of boxes, which faces are kept, and which never move."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dflib.config import FacesConfig
from dflib.extraction.detect import Box, Detection

STATIC_FACES = 3
"""Minimum number of candidates of a static track: fewer do not show whether it moves."""

STATIC_SPAN = 0.5
"""Minimum share of the sampled time that a static track spans: a person may well hold still for a while."""

STATIC_SHARE = 0.9
"""Share of a track's candidates that must lie close together: detectors now and then misplace a box."""

SHORT_AMONG = 5
"""Tracks are marked short only if at least this many times ``faces.min_track_length`` frames were sampled."""


@dataclass(frozen=True)
class Candidate:
    """A detection that may be kept.

    Attributes:
        frame: number of its sampled frame, from 0.
        time: of that frame, seconds.
        detection: in pixels of the frame.
    """

    frame: int
    time: float
    detection: Detection


@dataclass(frozen=True)
class Kept:
    """A face that is kept.

    Attributes:
        index: of its candidate.
        track: number of its track, from 0.
        static, short: whether that track is marked so.
    """

    index: int
    track: int
    static: bool
    short: bool


def candidate_threshold(settings: FacesConfig) -> float:
    """Confidence above which a detection may be kept: the lowest threshold of the rules."""
    return min(settings.threshold, settings.lone_threshold, settings.track_threshold)


def select(candidates: Sequence[Candidate], settings: FacesConfig, seconds: float, frames: int) -> list[Kept]:
    """Chooses among the candidates of a video; the result has their order.

    A face is kept if its confidence is above ``threshold`` (S3, S4); or if it is the only one of its frame above
    ``lone_threshold`` (S3 and S4 keep a lone face at any confidence); or if it is above ``track_threshold`` and on a
    track with a face above ``threshold``, since a face detected with confidence once is the same face elsewhere.
    Tracks are numbered in the order of their first kept face.  A track with fewer than ``min_track_length`` candidates
    is short: a face found once in many frames is usually a false positive.

    Args:
        candidates: ordered by frame, all above :func:`candidate_threshold`.
        settings: the section ``faces``.
        seconds: from the first sampled frame to the last.
        frames: number of sampled frames; below ``SHORT_AMONG`` times ``min_track_length`` no track is marked short.
    """
    tracks = link(candidates, settings.track_iou, settings.track_gap)
    confidences = [candidate.detection.confidence for candidate in candidates]
    confident_tracks = {track for track, value in zip(tracks, confidences, strict=True) if value > settings.threshold}
    above_lone: Counter[int] = Counter()
    for candidate in candidates:
        above_lone[candidate.frame] += candidate.detection.confidence > settings.lone_threshold
    static = static_tracks(candidates, tracks, settings.static_shift, seconds)
    lengths = Counter(tracks)
    enough_frames = frames >= SHORT_AMONG * settings.min_track_length
    numbers: dict[int, int] = {}
    kept = []
    for index, (candidate, track) in enumerate(zip(candidates, tracks, strict=True)):
        confidence = candidate.detection.confidence
        lone = confidence > settings.lone_threshold and above_lone[candidate.frame] == 1
        on_track = confidence > settings.track_threshold and track in confident_tracks
        if confidence > settings.threshold or lone or on_track:
            short = enough_frames and lengths[track] < settings.min_track_length
            kept.append(Kept(index, numbers.setdefault(track, len(numbers)), track in static, short))
    return kept


def link(candidates: Sequence[Candidate], min_overlap: float, gap: int) -> list[int]:
    """Track number of each candidate (ordered by frame).

    Greedy: in each frame, the pair of a track's last box and a new box with the largest :func:`enlarged_overlap` is
    joined first; pairs below ``min_overlap`` are never joined.  A track may miss ``gap`` sampled frames.
    """
    tracks = [-1] * len(candidates)
    last: dict[int, int] = {}  # track → index of its newest candidate
    by_frame: dict[int, list[int]] = {}
    for index, candidate in enumerate(candidates):
        by_frame.setdefault(candidate.frame, []).append(index)
    count = 0
    for frame, indexes in by_frame.items():
        last = {track: index for track, index in last.items() if frame - candidates[index].frame <= gap + 1}
        pairs = [
            (-enlarged_overlap(candidates[old].detection, candidates[new].detection), track, new)
            for track, old in last.items()
            for new in indexes
        ]
        taken: set[int] = set()
        for negative, track, new in sorted(pairs):
            if -negative >= min_overlap and -negative > 0 and tracks[new] < 0 and track not in taken:
                tracks[new] = track
                taken.add(track)
        for new in indexes:
            if tracks[new] < 0:
                tracks[new] = count
                count += 1
            last[tracks[new]] = new
    return tracks


def static_tracks(candidates: Sequence[Candidate], tracks: Sequence[int], shift: float, seconds: float) -> set[int]:
    """Tracks that never move while another one does, such as portraits on a wall.

    A track is static if its centre (the mean of the landmarks, which jitters less than that of the box) stays within
    ``shift`` of its median, in units of the box's side, for ``STATIC_SHARE`` of its candidates, at least
    ``STATIC_FACES`` of them over ``STATIC_SPAN`` of the sampled ``seconds``.  If no track moves more than that, none
    is static, since one may be a person who holds still; the same holds if the camera moves.

    Args:
        candidates: ordered by frame.
        tracks: track number of each candidate.
        shift: as ``faces.static_shift``.
        seconds: from the first sampled frame to the last.
    """
    movement: dict[int, float] = {}
    by_track: dict[int, list[Candidate]] = defaultdict(list)
    for candidate, track in zip(candidates, tracks, strict=True):
        by_track[track].append(candidate)
    for track, faces in by_track.items():
        if len(faces) >= STATIC_FACES and faces[-1].time - faces[0].time >= STATIC_SPAN * seconds:
            centres = np.array([_centre(face.detection) for face in faces])
            sides = [max(face.detection.box[2] * face.detection.box[3], 0.0) ** 0.5 for face in faces]
            distances = np.linalg.norm(centres - np.median(centres, axis=0), axis=1)
            movement[track] = float(np.quantile(distances, STATIC_SHARE)) / max(float(np.median(sides)), 1e-9)
    if not any(moved > shift for moved in movement.values()):
        return set()
    return {track for track, moved in movement.items() if moved <= shift}


def _centre(face: Detection) -> NDArray[np.float64]:
    if face.landmarks is not None:
        return np.asarray(face.landmarks.mean(axis=0))
    x, y, width, height = face.box
    return np.array([x + width / 2, y + height / 2])


def enlarged_overlap(one: Detection, other: Detection) -> float:
    """Intersection over union of two boxes, each enlarged to twice its sides.

    Sampled frames are half a second or more apart, in which a head moves further than the boxes themselves allow.
    """
    return overlap(Detection(_enlarged(one.box), 1, None), Detection(_enlarged(other.box), 1, None))


def _enlarged(box: Box) -> Box:
    x, y, width, height = box
    return x - width / 2, y - height / 2, 2 * width, 2 * height


def overlap(one: Detection, other: Detection, of_smaller: bool = False) -> float:
    """Intersection over union of two boxes or, with ``of_smaller``, over the smaller one; 0 for boxes without area."""
    (ax, ay, aw, ah), (bx, by, bw, bh) = one.box, other.box
    width = min(ax + aw, bx + bw) - max(ax, bx)
    height = min(ay + ah, by + bh) - max(ay, by)
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    return shared / (min(aw * ah, bw * bh) if of_smaller else aw * ah + bw * bh - shared)
