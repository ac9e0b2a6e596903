"""Tracks, the rules for keeping faces, and static tracks, on synthetic boxes."""

import numpy as np
import pytest

from dflib.config import Config, FacesConfig
from dflib.extraction.detect import Detection
from dflib.extraction.tracks import Candidate, candidate_threshold, link, overlap, select


@pytest.fixture
def settings(config: Config) -> FacesConfig:
    return config.faces


def face(frame: int, x: float, y: float = 0.0, side: float = 100.0, confidence: float = 0.99) -> Candidate:
    eyes = np.array([[0.3, 0.4], [0.7, 0.4], [0.5, 0.6], [0.35, 0.8], [0.65, 0.8]]) * side + (x, y)
    return Candidate(frame, frame * 0.5, Detection((x, y, side, side), confidence, eyes))


def by_frame(*faces: Candidate) -> list[Candidate]:
    return sorted(faces, key=lambda one: one.frame)


def test_overlap_is_intersection_over_union() -> None:
    assert overlap(face(0, 0).detection, face(0, 50).detection) == pytest.approx(1 / 3)
    assert overlap(face(0, 0).detection, face(0, 100).detection) == 0
    assert overlap(face(0, 0, side=0).detection, face(0, 0, side=0).detection) == 0


def test_link_separates_two_people_who_pass_each_other() -> None:
    faces = by_frame(*(face(k, 20 * k) for k in range(5)), *(face(k, 400 - 20 * k) for k in range(5)))
    tracks = link(faces, 0.3, 2)
    assert [track for track, one in zip(tracks, faces, strict=True) if one.detection.box[0] < 200] == [0] * 5
    assert set(tracks) == {0, 1}


def test_link_joins_the_larger_overlap_first() -> None:
    faces = [face(0, 0), face(1, 60), face(1, 10)]
    assert link(faces, 0.1, 0) == [0, 1, 0]


def test_link_bridges_at_most_the_gap() -> None:
    faces = [face(0, 0), face(3, 0), face(7, 0)]
    assert link(faces, 0.3, 2) == [0, 0, 1]


def test_select_applies_the_three_thresholds(settings: FacesConfig) -> None:
    assert (settings.threshold, settings.lone_threshold, settings.track_threshold) == (0.95, 0.9, 0.7)
    confident = [face(0, 0, confidence=0.96), face(0, 500, confidence=0.951)]
    assert len(select(confident, settings, 10, 20)) == 2
    assert len(select([face(0, 0, confidence=0.91)], settings, 10, 20)) == 1, "the only face of the frame"
    assert select([face(0, 0, confidence=0.9)], settings, 10, 20) == [], "equal to the threshold is not above it"
    assert select([face(0, 0, confidence=0.92), face(0, 500, confidence=0.93)], settings, 10, 20) == []
    weak = [face(0, 0, confidence=0.75), face(0, 500, confidence=0.75), face(1, 5, confidence=0.97)]
    assert [kept.index for kept in select(weak, settings, 10, 20)] == [0, 2], (
        "below the threshold, but on the track of a face above it"
    )


def test_candidate_threshold_is_the_lowest_of_the_rules(settings: FacesConfig) -> None:
    assert candidate_threshold(settings) == 0.7
    assert candidate_threshold(settings.model_copy(update={"lone_threshold": 0.5})) == 0.5


def test_select_marks_portraits_static_but_not_people(settings: FacesConfig) -> None:
    random = np.random.default_rng(1)
    wall = [face(k, 500 + random.normal(0, 0.8), 50, side=40) for k in range(20)]
    person = [face(k, 100 + 15 * np.sin(k), 80) for k in range(20)]
    faces = by_frame(*wall, *person)
    kept = select(faces, settings, 9.5, 20)
    assert len(kept) == 40
    assert {one.static for one in kept if faces[one.index].detection.box[2] == 40} == {True}
    assert {one.static for one in kept if faces[one.index].detection.box[2] == 100} == {False}


def test_select_marks_nothing_static_if_nothing_moves(settings: FacesConfig) -> None:
    faces = by_frame(*(face(k, 500) for k in range(20)), *(face(k, 100) for k in range(20)))
    assert not any(one.static for one in select(faces, settings, 9.5, 20))


def test_select_marks_nothing_static_if_the_camera_moves(settings: FacesConfig) -> None:
    faces = by_frame(*(face(k, 500 + 9 * k) for k in range(20)), *(face(k, 100 + 9 * k) for k in range(20)))
    assert not any(one.static for one in select(faces, settings, 9.5, 20))


def test_select_marks_a_portrait_static_despite_one_misplaced_box(settings: FacesConfig) -> None:
    wall = [face(k, 500 + (30 if k == 7 else 0)) for k in range(20)]
    faces = by_frame(*wall, *(face(k, 100 + 10 * k) for k in range(20)))
    kept = select(faces, settings, 9.5, 20)
    assert all(one.static == (faces[one.index].detection.box[0] >= 500) for one in kept)


def test_select_never_marks_a_brief_track_static(settings: FacesConfig) -> None:
    """A person who appears for a second and holds still."""
    faces = by_frame(*(face(k, 100 + 10 * k) for k in range(20)), *(face(k, 600) for k in (3, 4, 5)))
    assert not any(one.static for one in select(faces, settings, 9.5, 20))


def test_select_marks_a_track_with_one_face_in_many_frames_short(settings: FacesConfig) -> None:
    """Not for few frames; candidates that are not kept count as well."""
    person = [face(number, 0) for number in range(20)]
    faces = by_frame(*person, face(7, 900), face(9, 1500), face(10, 1500, confidence=0.8))
    kept = {one.index: one for one in select(faces, settings, 9.5, 20)}
    short = {faces[index].frame for index, one in kept.items() if one.short}
    assert short == {7} and len(kept) == 23
    assert not any(one.short for one in select(faces, settings, 9.5, 9))


def test_link_follows_a_head_that_moves_by_its_own_side(settings: FacesConfig) -> None:
    """Boxes that do not overlap at all, as can happen with half a second between sampled frames."""
    assert link([face(0, 0), face(1, 100)], settings.track_iou, 5) == [0, 0]
    assert link([face(0, 0), face(1, 120)], settings.track_iou, 5) == [0, 1]
