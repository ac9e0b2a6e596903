"""Names and paths from outside."""

import pytest

from dflib.sources.names import below, common_top, ending, is_hidden, normal, parent, shown, split_of, stem, unsafe


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
        ("a.mp4", ".mp4"),
        ("x.y/A.MKV", ".mkv"),
        ("x.mp4/a", ""),
        ("a", ""),
        (".hidden", ""),
        ("a b.tar.gz", ".gz"),
        ("v1.2 final", ""),
        ("a.", ""),
    ],
)
def test_ending_is_that_of_the_file(path: str, expected: str) -> None:
    assert ending(path) == expected


def test_is_hidden_goes_by_all_parts_of_a_path() -> None:
    assert all(map(is_hidden, (".a", "p/._a.mp4", ".p/a.mp4", "p/.q/a.mp4", "__MACOSX/p/a.mp4", "p/__MACOSX/a.mp4")))
    assert not any(map(is_hidden, ("a.mp4", "p.q/a.mp4", "p/a..mp4", "__MACOSX.mp4")))


def test_normal_composes() -> None:
    assert normal("e\u0301") == "\u00e9" and normal("a") == "a"


def test_stem_removes_one_video_ending() -> None:
    assert [stem(path) for path in ("p/a.mp4", "a.mp4.mp4", "a.b", "a.WEBM", "a.m2ts")] == [
        "p/a",
        "a.mp4",
        "a.b",
        "a",
        "a",
    ]


def test_stem_of_a_name_that_is_an_ending_alone_stays() -> None:
    assert [stem(path) for path in ("a/.mp4", ".mp4")] == ["a/.mp4", ".mp4"]


def test_shown_escapes_and_cuts() -> None:
    assert shown("ä\n") == r"'\xe4\n'"
    assert len(shown("a" * 500)) == 120 and shown("a" * 500).endswith("...")


def test_parent_and_below_are_inverse() -> None:
    assert [parent(path) for path in ("a/b/c.mp4", "c.mp4", "s3://b/c")] == ["a/b", "", "s3://b"]
    assert [below("a/b/c.mp4", folder) for folder in ("a", "a/b", "", "x")] == ["b/c.mp4", "c.mp4", *["a/b/c.mp4"] * 2]


def test_common_top_is_the_folder_of_all_paths() -> None:
    def top(*videos: str) -> str:
        return common_top(videos, videos)

    assert top("p/a.mp4", "p/q/b.mp4") == "p"
    assert top("p/a.mp4", "b.mp4") == top("p/a", "q/a") == top("a") == top() == ""


def test_common_top_is_that_of_the_files_that_were_always_videos() -> None:
    videos = ["data/a.mp4", "extra/b.m4v", "c"]
    assert common_top([*videos, "top.txt", ".x.mp4", "__MACOSX/._a.mp4", "../b.mp4"], videos) == "data"
    assert common_top([*videos, ".hidden/b.mp4"], videos) == ""
    assert common_top(["extra/b.m4v", "extra/c", "top.txt"], ["extra/b.m4v", "extra/c"]) == "extra"


def test_split_of_takes_the_innermost_folder() -> None:
    paths = ["train/real/a.png", "test/VAL/fake/a.png", "real/a.png", "train"]
    assert [split_of(path) for path in paths] == ["train", "validation", None, None]
