"""What names say."""

from pathlib import Path

import pytest

from dflib.sources.layouts import common_top, ffpp, is_video, split_of, stem, unsafe


@pytest.mark.parametrize("name", ["a.mp4", "part_0/a.mp4", "a b/ä.MOV", "..a/b..mp4", "a:b.mp4"])
def test_safe_names(name: str) -> None:
    assert unsafe(name) is None


@pytest.mark.parametrize(
    "name", ["", "/a", "../a", "a/../b", "a//b", "a/", "./a", "a\\b", "C:/a", "a\n", "a\x7f", "\udc80", "a" * 1025]
)
def test_unsafe_names(name: str) -> None:
    assert unsafe(name)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("a.mp4", True),
        ("x/A.MKV", True),
        ("a.json", False),
        ("mp4", False),
        ("__MACOSX/p/a.mp4", False),
        ("p/._a.mp4", False),
    ],
)
def test_videos(path: str, expected: bool) -> None:
    assert is_video(path) is expected


def test_stem_takes_off_one_video_ending() -> None:
    assert [stem(path) for path in ("p/a.mp4", "a.mp4.mp4", "a.b", "a.WEBM")] == ["p/a", "a.mp4", "a.b", "a"]


def test_common_top() -> None:
    assert common_top(["p/a.mp4", "p/q/b.mp4"]) == "p"
    assert common_top(["p/a.mp4", "b.mp4"]) == common_top(["p/a", "q/a"]) == common_top(["a"]) == common_top([]) == ""


def test_split_of_the_nearest_folder() -> None:
    paths = ["train/real/a.png", "test/VAL/fake/a.png", "real/a.png", "train"]
    assert [split_of(path) for path in paths] == ["train", "validation", None, None]


def test_ffpp_folders(sample_data: Path) -> None:
    found = {path.name: ffpp(path.as_posix()) for path in sorted((sample_data / "ffpp").rglob("*.mp4"))}
    fake, real = found["519_515.mp4"], found["519.mp4"]
    assert fake and real
    assert (fake.path, fake.label, fake.manipulation) == ("Deepfakes/c23/519_515", "FAKE", "Deepfakes")
    assert (real.path, real.label, real.manipulation, real.compression) == ("youtube/c23/519", "REAL", None, "c23")
    assert fake.original == real.path and fake.group == real.group == "youtube/519"


def test_other_folders_are_not_ffpp() -> None:
    assert ffpp("original_sequences/youtube/c23/519.mp4") is None
    assert ffpp("p/manipulated_sequences/Deepfakes/c23/videos/sub/1.mp4") is None
    clip = ffpp("manipulated_sequences/DeepFakeDetection/c23/videos/01_02__talking__ABC.mp4")
    assert clip and clip.label == "FAKE" and clip.original is None
