"""Faces over time: tracks by overlap of boxes, which faces are kept, and which never move."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dflib.config import FacesConfig
from dflib.extraction.detect import Box, Detection

STATIC_FACES = 3
"""Fewer sightings than this say nothing about moving."""

STATIC_SPAN = 0.5
"""Share of the sampled time that a static track must span: a person may well hold still for a while."""

STATIC_SHARE = 0.9
"""Share of a track's sightings that must lie close together: a detector now and then misplaces a box."""


SHORT_AMONG = 5
"""Of fewer frames than this many times ``faces.min_track_length`` it can't be said that a track is short."""


@dataclass(frozen=True)
class Sighting:
    """A candidate face: number and time (seconds) of its sampled frame, and what was detected."""

    frame: int
    time: float
    detection: Detection


@dataclass(frozen=True)
class Kept:
    """A face that is kept: its place among the candidates given, its track, and whether that is static or short."""

    place: int
    track: int
    static: bool
    short: bool


def candidate_threshold(settings: FacesConfig) -> float:
    """Confidence above which a detection may be kept: the lowest threshold of the rules."""
    return min(settings.threshold, settings.lone_threshold, settings.track_threshold)


def select(candidates: Sequence[Sighting], settings: FacesConfig, seconds: float, frames: int) -> list[Kept]:
    """Chooses among the candidates of a video, in the order given (by frame).

    A face is kept when its confidence is above ``threshold`` (S3, S4); or it is the only one of its frame above
    ``lone_threshold`` (S3 and S4 keep a lone face at any confidence); or it is above ``track_threshold`` and on a track
    with a face above ``threshold``: a face seen clearly once is the same face where it is seen less clearly.
    Tracks are numbered in the order of their first kept face.  A track with fewer than ``min_track_length`` candidates
    is short: a face found once in many frames is usually a false positive.

    Args:
        candidates: all above :func:`candidate_threshold`.
        settings: the rules.
        seconds, frames: time and number of frames sampled; below ``SHORT_AMONG`` times ``min_track_length`` frames, no
            track is marked short.
    """
    tracks = link(candidates, settings.track_iou, settings.track_gap)
    confidence = [face.detection.confidence for face in candidates]
    clear = {track for track, sure in zip(tracks, confidence, strict=True) if sure > settings.threshold}
    above: dict[int, int] = {}
    for face in candidates:
        above[face.frame] = above.get(face.frame, 0) + (face.detection.confidence > settings.lone_threshold)
    still = static_tracks(candidates, tracks, settings.static_shift, seconds)
    seen = Counter(tracks)
    many = frames >= SHORT_AMONG * settings.min_track_length
    numbers: dict[int, int] = {}
    kept = []
    for place, (face, track) in enumerate(zip(candidates, tracks, strict=True)):
        sure = face.detection.confidence
        lone = sure > settings.lone_threshold and above[face.frame] == 1
        if sure > settings.threshold or lone or (sure > settings.track_threshold and track in clear):
            short = many and seen[track] < settings.min_track_length
            kept.append(Kept(place, numbers.setdefault(track, len(numbers)), track in still, short))
    return kept


def link(candidates: Sequence[Sighting], least: float, gap: int) -> list[int]:
    """Track number of each candidate (ordered by frame).

    Greedy: in each frame the pair of a track's last box and a new box with the largest :func:`nearness` is joined
    first; pairs below ``least`` never.  A track may miss ``gap`` sampled frames.
    """
    tracks = [-1] * len(candidates)
    last: dict[int, int] = {}  # track → place of its newest candidate
    by_frame: dict[int, list[int]] = {}
    for place, face in enumerate(candidates):
        by_frame.setdefault(face.frame, []).append(place)
    count = 0
    for frame, places in by_frame.items():
        last = {track: place for track, place in last.items() if frame - candidates[place].frame <= gap + 1}
        pairs = [
            (-nearness(candidates[old].detection, candidates[new].detection), track, new)
            for track, old in last.items()
            for new in places
        ]
        taken: set[int] = set()
        for negative, track, new in sorted(pairs):
            if -negative >= least and -negative > 0 and tracks[new] < 0 and track not in taken:
                tracks[new] = track
                taken.add(track)
        for new in places:
            if tracks[new] < 0:
                tracks[new] = count
                count += 1
            last[tracks[new]] = new
    return tracks


def static_tracks(candidates: Sequence[Sighting], tracks: Sequence[int], shift: float, seconds: float) -> set[int]:
    """Tracks that never move while another one does: portraits on a wall, say.

    A track is still when its middle (mean of the landmarks, which jitters less than the box's) stays within
    ``shift`` of its median place, in units of the box's side, in ``STATIC_SHARE`` of its sightings, at least
    ``STATIC_FACES`` of them over ``STATIC_SPAN`` of the ``seconds`` sampled.  When nothing moves more than that
    nothing is static, since it may be a still person; nor is anything when the camera moves.
    """
    movement: dict[int, float] = {}
    by_track: dict[int, list[Sighting]] = defaultdict(list)
    for face, track in zip(candidates, tracks, strict=True):
        by_track[track].append(face)
    for track, faces in by_track.items():
        if len(faces) >= STATIC_FACES and faces[-1].time - faces[0].time >= STATIC_SPAN * seconds:
            middles = np.array([_middle(face.detection) for face in faces])
            sides = [max(face.detection.box[2] * face.detection.box[3], 0.0) ** 0.5 for face in faces]
            distances = np.linalg.norm(middles - np.median(middles, axis=0), axis=1)
            movement[track] = float(np.quantile(distances, STATIC_SHARE)) / max(float(np.median(sides)), 1e-9)
    if not any(moved > shift for moved in movement.values()):
        return set()
    return {track for track, moved in movement.items() if moved <= shift}


def _middle(face: Detection) -> NDArray[np.float64]:
    if face.landmarks is not None:
        return np.asarray(face.landmarks.mean(axis=0))
    x, y, width, height = face.box
    return np.array([x + width / 2, y + height / 2])


def nearness(one: Detection, other: Detection) -> float:
    """Intersection over union of two boxes, each grown to twice its sides.

    Sampled frames lie half a second or more apart, in which a head moves by more than boxes as they are allow.
    """
    return overlap(Detection(_grown(one.box), 1, None), Detection(_grown(other.box), 1, None))


def _grown(box: Box) -> Box:
    x, y, width, height = box
    return x - width / 2, y - height / 2, 2 * width, 2 * height


def overlap(one: Detection, other: Detection, of_smaller: bool = False) -> float:
    """Intersection of two boxes over their union, or over the smaller; 0 for boxes without area."""
    (ax, ay, aw, ah), (bx, by, bw, bh) = one.box, other.box
    across = min(ax + aw, bx + bw) - max(ax, bx)
    down = min(ay + ah, by + bh) - max(ay, by)
    if across <= 0 or down <= 0:
        return 0.0
    shared = across * down
    return shared / (min(aw * ah, bw * bh) if of_smaller else aw * ah + bw * bh - shared)
