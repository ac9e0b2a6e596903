"""Which frames are searched and which are followed, seen by a detector that is asked; and that no face is lost."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from dflib.config import Config
from dflib.extraction import decode, sampling, search
from dflib.extraction.decode import Frame
from dflib.extraction.detect import Box, Detection, Image
from dflib.extraction.detectors.mtcnn import Mtcnn
from dflib.extraction.tracks import overlap
from tests.extraction.conftest import Rgb, numbered, with_portrait
from tools.demo.clips import encode_bytes


def frames_of(pictures: Any, preset: str = "every:1", fps: int = 25) -> list[Frame]:
    content, _ = encode_bytes(pictures, fps=fps, audio=False)
    survey = decode.survey(content, 10**8)
    wanted = sampling.wanted_frames(preset, survey.times, survey.keys, survey.duration)
    return list(decode.decode(content, survey, decode.plan(survey, wanted, 0.0), 10**8, lambda _: None))


class Asked:
    """A detector that knows who is in which frame: name → place; frames are told apart by their brightness."""

    def __init__(self, there: dict[int, dict[str, tuple[float, float]]], confidence: float = 0.99) -> None:
        self.there, self.confidence = there, confidence
        self.searched: list[int] = []
        self.followed: list[int] = []

    def _frame(self, picture: Image) -> int:
        return round(float(picture.mean()) / 10)

    def _faces(self, frame: int) -> list[Detection]:
        return [
            Detection((x, y, 20.0, 20.0), self.confidence if name != "faint" else 0.8, None)
            for name, (x, y) in self.there.get(frame, {}).items()
        ]

    def detect(self, pictures: Sequence[Image]) -> list[list[Detection]]:
        frames = [self._frame(picture) for picture in pictures]
        self.searched += frames
        return [self._faces(frame) for frame in frames]

    def follow(self, pictures: Sequence[Image], expected: Sequence[Sequence[Box]]) -> list[list[Detection]]:
        found = []
        for picture, boxes in zip(pictures, expected, strict=True):
            frame = self._frame(picture)
            self.followed.append(frame)
            near = [Detection(box, 1.0, None) for box in boxes]
            found.append([face for face in self._faces(frame) if any(overlap(face, one) > 0.1 for one in near)])
        return found


def shades(count: int) -> list[Rgb]:
    return [np.full((64, 320, 3), 10 * number, np.uint8) for number in range(count)]


def faces_found(config: Config, detector: Any, count: int, how: str = "follow:5") -> list[int]:
    settings = config.faces.model_copy(update={"search": how, "resize": "none", "second_look": False})
    return [len(faces) for faces in search.search(frames_of(shades(count)), detector, settings)]


def test_a_face_that_stays_is_followed(config: Config) -> None:
    detector = Asked({frame: {"a": (40.0 + 3 * frame, 20.0)} for frame in range(11)})
    assert faces_found(config, detector, 11) == [1] * 11
    assert sorted(detector.searched) == [0, 5, 10] and len(detector.followed) == 8


def test_every_frame_is_searched_when_asked(config: Config) -> None:
    detector = Asked({frame: {"a": (40.0, 20.0)} for frame in range(11)})
    assert faces_found(config, detector, 11, "every") == [1] * 11
    assert sorted(detector.searched) == list(range(11)) and detector.followed == []


def test_frames_in_which_a_face_is_lost_are_searched(config: Config) -> None:
    """In frames 2 and 3 the person is elsewhere, far from the way between."""
    there = {frame: {"a": (40.0, 20.0)} for frame in range(6)}
    there |= {2: {"a": (200.0, 20.0)}, 3: {"a": (210.0, 20.0)}}
    detector = Asked(there)
    assert faces_found(config, detector, 6) == [1] * 6
    assert sorted(detector.searched) == [0, 2, 3, 5]


def test_a_second_person_that_comes_or_goes_is_not_lost(config: Config) -> None:
    """Comes in frame 2 moving, seen at the end of the gap; has gone by frame 8."""
    there = {frame: {"a": (40.0, 20.0)} for frame in range(11)}
    for frame in range(2, 8):
        there[frame] = {"a": (40.0, 20.0), "b": (120.0 + 30 * frame - 60, 20.0)}
    detector = Asked(there)
    assert faces_found(config, detector, 11) == [1, 1, 2, 2, 2, 2, 2, 2, 1, 1, 1]


def test_a_cut_between_two_scenes_is_searched(config: Config) -> None:
    there = {frame: {"a": (40.0, 20.0)} if frame < 3 else {"b": (240.0, 20.0)} for frame in range(6)}
    detector = Asked(there)
    assert faces_found(config, detector, 6) == [1] * 6


def test_where_no_face_is_clear_all_is_searched(config: Config) -> None:
    detector = Asked({frame: {"faint": (40.0, 20.0)} for frame in (1, 2, 5, 7)})
    assert sum(faces_found(config, detector, 11)) == 4
    assert sorted(detector.searched) == list(range(11))


@pytest.mark.parametrize(("size", "rule", "scale"), [
    ((299, 200), "by_side", 2), ((300, 200), "by_side", 1), ((1000, 500), "by_side", 1), ((1001, 500), "by_side", 0.5),
    ((1900, 500), "by_side", 0.5), ((1901, 500), "by_side", 1 / 3), ((720, 1280), "by_side", 0.5),
    ((720, 1280), "by_width", 1), ((1280, 720), "by_width", 0.5), ((1920, 1080), "none", 1),
])  # fmt: skip
def test_size_rules(config: Config, size: tuple[int, int], rule: str, scale: float) -> None:
    assert search.scale_of(*size, config.faces.model_copy(update={"resize": rule})) == scale


def test_groups_are_bounded_and_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    frames = frames_of(numbered(70))
    assert [len(group) for group in search.groups(iter(frames))] == [32, 32, 6]
    monkeypatch.setattr(search, "GROUP_BYTES", frames[0].bytes * 10)
    cut = list(search.groups(iter(frames)))
    assert [frame for group in cut for frame in group] == frames
    assert max(map(len, cut)) == 10
    other = frames_of(numbered(3, width=64))
    assert [len(group) for group in search.groups([*frames[:2], *other])] == [2, 3]


@pytest.mark.parametrize("width", [320, 1280])
def test_following_finds_what_searching_finds(config: Config, mtcnn: Mtcnn, portrait: Rgb, width: int) -> None:
    """A person who walks: the same boxes in pixels of the frame, whatever the size it was looked at."""
    frames = frames_of(with_portrait(portrait, 16, width=width), "every:3")
    every, follow = (
        search.search(frames, mtcnn, config.faces.model_copy(update={"search": how})) for how in ("every", "follow:5")
    )
    for searched, followed in zip(every, follow, strict=True):
        clear = [face for face in followed if face.confidence > 0.95]
        assert len(clear) == 1 and overlap(clear[0], searched[0]) > 0.8
        assert clear[0].box[2] == pytest.approx(searched[0].box[2], rel=0.15) and clear[0].box[2] > 35


class Choosy:
    """A detector that sees a face only in pictures that are light and large enough."""

    def __init__(self, lightness: float, width: int) -> None:
        self.lightness, self.width = lightness, width
        self.seen: list[tuple[int, int]] = []

    def detect(self, pictures: Sequence[Image]) -> list[list[Detection]]:
        found = []
        for picture in pictures:
            height, width = picture.shape[:2]
            self.seen.append((width, round(float(picture.mean()))))
            sees = picture.mean() >= self.lightness and width >= self.width
            found.append([Detection((width / 4, height / 4, width / 8, width / 8), 0.99, None)] if sees else [])
        return found


def looked_at(config: Config, detector: Choosy, level: int, **changes: Any) -> tuple[list[Any], list[tuple[int, int]]]:
    frames = frames_of([np.full((300, 1200, 3), level, np.uint8)] * 3)
    return search.search(frames, detector, config.faces.model_copy(update=changes)), detector.seen


def test_dark_frames_get_a_lighter_look(config: Config) -> None:
    found, seen = looked_at(config, Choosy(80, 0), 33)
    assert [face.box for faces in found for face in faces] == [pytest.approx((300, 75, 150, 150))] * 3
    assert [width for width, _ in seen] == [600] * 6
    assert [lightness for _, lightness in seen] == pytest.approx([33] * 3 + [92] * 3, abs=4)  # 255 (33/255)^.5


def test_what_is_still_hidden_gets_a_larger_look(config: Config) -> None:
    found, seen = looked_at(config, Choosy(0, 1200), 120)
    assert [face.box for faces in found for face in faces] == [pytest.approx((300, 75, 150, 150))] * 3
    assert [width for width, _ in seen] == [600] * 3 + [1200] * 3
    assert [lightness for _, lightness in seen] == pytest.approx([120] * 6, abs=4)


@pytest.mark.parametrize(("level", "width", "changes"), [
    (120, 0, {}), (33, 0, {}), (120, 5000, {"second_look": False}), (33, 5000, {"second_look": False}),
])  # fmt: skip
def test_no_second_look_where_it_is_not_worth_it(
    config: Config, level: int, width: int, changes: dict[str, Any]
) -> None:
    """A face was found, or none is looked for twice."""
    found, seen = looked_at(config, Choosy(0, width), level, **changes)
    assert len(seen) == 3 and [len(faces) for faces in found] == [int(width == 0)] * 3


class Faint(Asked):
    """Follows at a lower confidence than it searches: below the one it was asked for it gives nothing."""

    def follow(self, pictures: Sequence[Image], expected: Sequence[Sequence[Box]]) -> list[list[Detection]]:
        super().follow(pictures, expected)
        return [[] for _ in pictures]


def test_a_face_that_can_not_be_followed_is_searched(config: Config) -> None:
    detector = Faint({frame: {"a": (40.0, 20.0)} for frame in range(11)})
    assert faces_found(config, detector, 11) == [1] * 11
    assert sorted(detector.searched) == list(range(11))


class OneOfTwo(Asked):
    """Follows the left one of two people only."""

    def follow(self, pictures: Sequence[Image], expected: Sequence[Sequence[Box]]) -> list[list[Detection]]:
        return [faces[:1] for faces in super().follow(pictures, expected)]


def test_one_person_does_not_stand_for_the_one_beside(config: Config) -> None:
    detector = OneOfTwo({frame: {"a": (40.0, 20.0), "b": (61.0, 20.0)} for frame in range(6)})
    assert faces_found(config, detector, 6) == [2] * 6


def test_dark_frames_among_light_ones_get_a_lighter_look(config: Config) -> None:
    levels = [30] * 4 + [180] * 4
    frames = frames_of([np.full((300, 1200, 3), level, np.uint8) for level in levels])
    assert [len(faces) for faces in search.search(frames, Choosy(80, 0), config.faces)] == [1] * 8


def test_two_looks_at_one_face_are_one_finding(config: Config) -> None:
    """A loose and a tight box of one head, and another head beside it."""
    tight, loose = Detection((10, 10, 50, 50), 0.8, None), Detection((0, 0, 90, 90), 0.99, None)
    beside = Detection((95, 0, 80, 80), 0.9, None)
    found = [[tight, beside]]
    search._unite(found, [0], [[loose]])
    assert found == [[loose, beside]]
