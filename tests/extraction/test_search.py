"""Which frames are searched and which are followed, as recorded by fake detectors; and that no face is lost."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from dflib.config import Config
from dflib.extraction import sampling, search
from dflib.extraction.detect import Box, Detection
from dflib.extraction.detectors.mtcnn import Mtcnn
from dflib.extraction.tracks import overlap
from dflib.media.decode import Findings, decode
from dflib.media.frame import Frame, Image
from dflib.media.plan import plan
from dflib.media.probe import probe
from tests.extraction.conftest import Rgb, numbered, with_portrait
from tests.media.shown import LIMITS
from tools.demo.clips import encode_bytes


def frames_of(images: Any, sampled: str = "every:1", fps: int = 25) -> list[Frame]:
    content, _ = encode_bytes(images, fps=fps, audio=False)
    info = probe(content, LIMITS)
    requests = sampling.sample(sampled, info.times, info.keys, info.duration)
    return list(decode(content, info, plan(info, requests, 0.0), LIMITS, Findings()))


class KnownFaces:
    """A fake detector: frame → name → left and top of a face; it recognises frames by their brightness."""

    def __init__(self, people: dict[int, dict[str, tuple[float, float]]], confidence: float = 0.99) -> None:
        self.people, self.confidence = people, confidence
        self.searched: list[int] = []
        self.followed: list[int] = []

    def _frame(self, image: Image) -> int:
        return round(float(image.mean()) / 10)

    def _faces(self, frame: int) -> list[Detection]:
        return [
            Detection((x, y, 20.0, 20.0), self.confidence if name != "faint" else 0.8, None)
            for name, (x, y) in self.people.get(frame, {}).items()
        ]

    def detect(self, images: Sequence[Image]) -> list[list[Detection]]:
        frames = [self._frame(image) for image in images]
        self.searched += frames
        return [self._faces(frame) for frame in frames]

    def follow(self, images: Sequence[Image], expected: Sequence[Sequence[Box]]) -> list[list[Detection]]:
        found = []
        for image, boxes in zip(images, expected, strict=True):
            frame = self._frame(image)
            self.followed.append(frame)
            near = [Detection(box, 1.0, None) for box in boxes]
            found.append([face for face in self._faces(frame) if any(overlap(face, one) > 0.1 for one in near)])
        return found


def shades(count: int) -> list[Rgb]:
    return [np.full((64, 320, 3), 10 * number, np.uint8) for number in range(count)]


def faces_found(config: Config, detector: Any, count: int, mode: str = "follow:5") -> list[int]:
    settings = config.faces.model_copy(update={"search": mode, "resize": "none", "second_look": False})
    return [len(faces) for faces in search.search(frames_of(shades(count)), detector, settings)]


def test_search_follows_a_face_between_every_fifth_frame(config: Config) -> None:
    detector = KnownFaces({frame: {"a": (40.0 + 3 * frame, 20.0)} for frame in range(11)})
    assert faces_found(config, detector, 11) == [1] * 11
    assert sorted(detector.searched) == [0, 5, 10] and len(detector.followed) == 8


def test_search_every_searches_every_frame(config: Config) -> None:
    detector = KnownFaces({frame: {"a": (40.0, 20.0)} for frame in range(11)})
    assert faces_found(config, detector, 11, "every") == [1] * 11
    assert sorted(detector.searched) == list(range(11)) and detector.followed == []


def test_search_searches_frames_in_which_a_face_is_lost(config: Config) -> None:
    """In frames 2 and 3 the person is far from the interpolated position."""
    people = {frame: {"a": (40.0, 20.0)} for frame in range(6)}
    people |= {2: {"a": (200.0, 20.0)}, 3: {"a": (210.0, 20.0)}}
    detector = KnownFaces(people)
    assert faces_found(config, detector, 6) == [1] * 6
    assert sorted(detector.searched) == [0, 2, 3, 5]


def test_search_finds_a_second_person_who_comes_or_goes(config: Config) -> None:
    """Appears in frame 2, moves, is found at the end of the gap, and is gone in frame 8."""
    people = {frame: {"a": (40.0, 20.0)} for frame in range(11)}
    for frame in range(2, 8):
        people[frame] = {"a": (40.0, 20.0), "b": (120.0 + 30 * frame - 60, 20.0)}
    detector = KnownFaces(people)
    assert faces_found(config, detector, 11) == [1, 1, 2, 2, 2, 2, 2, 2, 1, 1, 1]


def test_search_searches_the_frames_around_a_cut(config: Config) -> None:
    people = {frame: {"a": (40.0, 20.0)} if frame < 3 else {"b": (240.0, 20.0)} for frame in range(6)}
    detector = KnownFaces(people)
    assert faces_found(config, detector, 6) == [1] * 6
    assert sorted(detector.searched) == list(range(6)), "in no frame of the gap are both found"


def test_search_searches_every_frame_without_a_confident_face(config: Config) -> None:
    detector = KnownFaces({frame: {"faint": (40.0, 20.0)} for frame in (1, 2, 5, 7)})
    assert sum(faces_found(config, detector, 11)) == 4
    assert sorted(detector.searched) == list(range(11))


@pytest.mark.parametrize(("size", "rule", "scale"), [
    ((299, 200), "by_side", 2), ((300, 200), "by_side", 1), ((1000, 500), "by_side", 1), ((1001, 500), "by_side", 0.5),
    ((1900, 500), "by_side", 0.5), ((1901, 500), "by_side", 1 / 3), ((720, 1280), "by_side", 0.5),
    ((720, 1280), "by_width", 1), ((1280, 720), "by_width", 0.5), ((1920, 1080), "none", 1),
])  # fmt: skip
def test_scale_of_follows_the_size_rules(config: Config, size: tuple[int, int], rule: str, scale: float) -> None:
    assert search.scale_of(*size, config.faces.model_copy(update={"resize": rule})) == scale


def test_groups_are_bounded_and_contain_every_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    frames = frames_of(numbered(70))
    assert [len(group) for group in search.groups(iter(frames))] == [32, 32, 6]
    monkeypatch.setattr(search, "GROUP_BYTES", frames[0].bytes * 10)
    cut = list(search.groups(iter(frames)))
    assert [frame for group in cut for frame in group] == frames
    assert max(map(len, cut)) == 10
    other = frames_of(numbered(3, width=64))
    assert [len(group) for group in search.groups([*frames[:2], *other])] == [2, 3]


@pytest.mark.parametrize("width", [320, 1280])
def test_following_finds_the_faces_that_searching_finds(
    config: Config, mtcnn: Mtcnn, portrait: Rgb, width: int
) -> None:
    """A walking person: the same boxes in pixels of the frame, at every scale."""
    frames = frames_of(with_portrait(portrait, 16, width=width), "every:3")
    every, follow = (
        search.search(frames, mtcnn, config.faces.model_copy(update={"search": mode})) for mode in ("every", "follow:5")
    )
    for searched, followed in zip(every, follow, strict=True):
        confident = [face for face in followed if face.confidence > 0.95]
        assert len(confident) == 1 and overlap(confident[0], searched[0]) > 0.8
        assert confident[0].box[2] == pytest.approx(searched[0].box[2], rel=0.15) and confident[0].box[2] > 35


class BrightAndLarge:
    """A fake detector that finds a face only in images that are bright and large enough."""

    def __init__(self, brightness: float, width: int) -> None:
        self.brightness, self.width = brightness, width
        self.images: list[tuple[int, int]] = []  # width and brightness

    def detect(self, images: Sequence[Image]) -> list[list[Detection]]:
        found = []
        for image in images:
            height, width = image.shape[:2]
            self.images.append((width, round(float(image.mean()))))
            detected = image.mean() >= self.brightness and width >= self.width
            found.append([Detection((width / 4, height / 4, width / 8, width / 8), 0.99, None)] if detected else [])
        return found


def searched(
    config: Config, detector: BrightAndLarge, level: int, **changes: Any
) -> tuple[list[Any], list[tuple[int, int]]]:
    """The faces found in three frames of one grey level, and the images passed to the detector."""
    frames = frames_of([np.full((300, 1200, 3), level, np.uint8)] * 3)
    return search.search(frames, detector, config.faces.model_copy(update=changes)), detector.images


def test_second_look_brightens_dark_frames(config: Config) -> None:
    found, images = searched(config, BrightAndLarge(80, 0), 33)
    assert [face.box for faces in found for face in faces] == [pytest.approx((300, 75, 150, 150))] * 3
    assert [width for width, _ in images] == [600] * 6
    assert [brightness for _, brightness in images] == pytest.approx([33] * 3 + [92] * 3, abs=4)  # 255 (33/255)^.5


def test_second_look_enlarges_reduced_frames(config: Config) -> None:
    found, images = searched(config, BrightAndLarge(0, 1200), 120)
    assert [face.box for faces in found for face in faces] == [pytest.approx((300, 75, 150, 150))] * 3
    assert [width for width, _ in images] == [600] * 3 + [1200] * 3
    assert [brightness for _, brightness in images] == pytest.approx([120] * 6, abs=4)


@pytest.mark.parametrize(("level", "width", "changes"), [
    (120, 0, {}), (33, 0, {}), (120, 5000, {"second_look": False}), (33, 5000, {"second_look": False}),
])  # fmt: skip
def test_no_second_look_at_frames_with_a_face_or_when_turned_off(
    config: Config, level: int, width: int, changes: dict[str, Any]
) -> None:
    found, images = searched(config, BrightAndLarge(0, width), level, **changes)
    assert len(images) == 3 and [len(faces) for faces in found] == [int(width == 0)] * 3


class FollowsNobody(KnownFaces):
    """A fake detector whose ``follow`` finds nothing."""

    def follow(self, images: Sequence[Image], expected: Sequence[Sequence[Box]]) -> list[list[Detection]]:
        super().follow(images, expected)
        return [[] for _ in images]


def test_search_searches_frames_in_which_following_fails(config: Config) -> None:
    detector = FollowsNobody({frame: {"a": (40.0, 20.0)} for frame in range(11)})
    assert faces_found(config, detector, 11) == [1] * 11
    assert sorted(detector.searched) == list(range(11))


class FollowsOneOfTwo(KnownFaces):
    """A fake detector whose ``follow`` finds only the left one of two people."""

    def follow(self, images: Sequence[Image], expected: Sequence[Sequence[Box]]) -> list[list[Detection]]:
        return [faces[:1] for faces in super().follow(images, expected)]


def test_search_needs_a_face_of_its_own_for_each_expected_box(config: Config) -> None:
    detector = FollowsOneOfTwo({frame: {"a": (40.0, 20.0), "b": (61.0, 20.0)} for frame in range(6)})
    assert faces_found(config, detector, 6) == [2] * 6


def test_second_look_brightens_dark_frames_among_bright_ones(config: Config) -> None:
    levels = [30] * 4 + [180] * 4
    frames = frames_of([np.full((300, 1200, 3), level, np.uint8) for level in levels])
    assert [len(faces) for faces in search.search(frames, BrightAndLarge(80, 0), config.faces)] == [1] * 8


def test_merge_keeps_one_detection_per_face() -> None:
    """A loose and a tight box of one head, and another head beside it."""
    tight, loose = Detection((10, 10, 50, 50), 0.8, None), Detection((0, 0, 90, 90), 0.99, None)
    beside = Detection((95, 0, 80, 80), 0.9, None)
    found = [[tight, beside]]
    search._merge(found, [0], [[loose]])
    assert found == [[loose, beside]]
