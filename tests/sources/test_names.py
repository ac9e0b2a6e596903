"""Names and paths from outside."""

import pytest

from dflib.sources.names import below, common_top, is_video, parent, shown, split_of, stem, unsafe


@pytest.mark.parametrize("name", ["a.mp4", "part_0/a.mp4", "a b/ä.MOV", "..a/b..mp4", "a:b.mp4", "a" * 1024])
def test_unsafe_accepts_ordinary_names(name: str) -> None:
    assert unsafe(name) is None


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "0 characters"),
        ("a" * 1025, "1025 characters"),
        ("/a", "absolute"),
        ("C:/a", "absolute"),
        ("../a", "empty part"),
        ("a/../b", "empty part"),
        ("a//b", "empty part"),
        ("a/", "empty part"),
        ("./a", "empty part"),
        ("a\\b", "backslash"),
        ("a\n", "control characters"),
        ("a\x7f", "control characters"),
        ("\udc80", "not UTF-8"),
    ],
)
def test_unsafe_gives_the_reason(name: str, reason: str) -> None:
    assert reason in str(unsafe(name))


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
def test_is_video_goes_by_the_ending(path: str, expected: bool) -> None:
    assert is_video(path) is expected


def test_stem_removes_one_video_ending() -> None:
    assert [stem(path) for path in ("p/a.mp4", "a.mp4.mp4", "a.b", "a.WEBM")] == ["p/a", "a.mp4", "a.b", "a"]


def test_shown_escapes_and_cuts() -> None:
    assert shown("ä\n") == r"'\xe4\n'"
    assert len(shown("a" * 500)) == 120 and shown("a" * 500).endswith("...")


def test_parent_and_below_are_inverse() -> None:
    assert [parent(path) for path in ("a/b/c.mp4", "c.mp4", "s3://b/c")] == ["a/b", "", "s3://b"]
    assert [below("a/b/c.mp4", folder) for folder in ("a", "a/b", "", "x")] == ["b/c.mp4", "c.mp4", *["a/b/c.mp4"] * 2]


def test_common_top_is_the_folder_of_all_paths() -> None:
    assert common_top(["p/a.mp4", "p/q/b.mp4"]) == "p"
    assert common_top(["p/a.mp4", "b.mp4"]) == common_top(["p/a", "q/a"]) == common_top(["a"]) == common_top([]) == ""


def test_split_of_takes_the_innermost_folder() -> None:
    paths = ["train/real/a.png", "test/VAL/fake/a.png", "real/a.png", "train"]
    assert [split_of(path) for path in paths] == ["train", "validation", None, None]
