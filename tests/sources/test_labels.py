"""The labels CSV."""

import pytest

from dflib.errors import SourceError
from dflib.sources.labels import Claim, Labels, by_path, parse_csv


def test_parse_csv_reads_columns_in_any_order() -> None:
    content = "\ufefflabel, Video,other,original\r\nreal,a.mp4,x,\r\n\r\nFake,sub/b,y,a.mp4\r\nperhaps,c.mp4,,\r\n"
    claims = parse_csv(content.encode(), "l").claims
    assert claims["a.mp4"] == Claim("REAL")
    assert claims["sub/b"] == Claim("FAKE", "a")
    assert claims["c.mp4"].label is None and claims["c.mp4"].problems[0].startswith("UNKNOWN_LABEL: 'PERHAPS'")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "line 1: the header must contain video and label"),
        (b"a.mp4,REAL\n", "line 1: the header must contain video and label"),
        (b"video,label,label\n", "line 1: the header"),
        (b"video,label\na.mp4\n", "line 2: the number of fields differs"),
        (b"video,label\na.mp4,REAL,x\n", "line 2: the number of fields differs"),
        (b"video,label\na.mp4,REAL\n\na.mp4,REAL\n", "line 4: video 'a.mp4' occurs twice"),
        (b"video,label\n../a.mp4,REAL\n", r"line 2: video '../a.mp4' contains an empty part, . or .."),
        (b"video,label\n\xff.mp4,REAL\n", "line 2: not UTF-8"),
        (b'video,label\n"a.mp4,REAL\n', "line [23]: unexpected end of data"),
        (b"video,label\na\0,REAL\n", "line 2: "),
        (b"video,label\n" + b"a" * 200_000 + b",REAL\n", "line 2: field larger than field limit"),
    ],
)
def test_parse_csv_names_the_line_of_an_error(content: bytes, reason: str) -> None:
    with pytest.raises(SourceError, match=f"^l: {reason}"):
        parse_csv(content, "l")


def test_by_path_matches_paths_and_unique_file_names() -> None:
    real, fake, other = Claim("REAL"), Claim("FAKE"), Claim(None)
    paths = ["x/a.mp4", "x/b.avi", "c.mov", "y/same.mp4", "z/same.mp4"]
    labels = by_path(Labels({"x/a": real, "b.avi": fake, "c": real, "same": other, "nowhere": other}), paths)
    assert labels.claims == {"x/a.mp4": real, "x/b.avi": fake, "c.mov": real, "same": other, "nowhere": other}
