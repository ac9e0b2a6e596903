"""The labels CSV."""

import unicodedata
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dflib.errors import SourceError
from dflib.sources.labels import Claim
from dflib.sources.labels_csv import parse


def test_parse_reads_columns_in_any_order() -> None:
    content = "\ufefflabel, Video,other,original\r\nreal,a.mp4,x,\r\n\r\nFake,sub/b,y,a.mp4\r\nperhaps,c.mp4,,\r\n"
    claims = parse(content.encode(), "l", 10).claims
    assert claims["a.mp4"] == Claim("REAL")
    assert claims["sub/b"] == Claim("FAKE", "a")
    assert claims["c.mp4"].label is None and claims["c.mp4"].problems[0].startswith("UNKNOWN_LABEL: 'PERHAPS'")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "line 1: the header must contain video .*label"),
        (b"video;label\na;REAL\n", "line 1: the header .* commas; it is 'video;label'"),
        ("video,label\na,REAL\n".encode("utf-16"), "line 1: not UTF-8 but UTF-16"),
        ("video,label\né,REAL\n".encode("latin-1"), "line 2: not UTF-8"),
        (b"a.mp4,REAL\n", "line 1: the header must contain video"),
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
def test_parse_names_the_line_of_an_error(content: bytes, reason: str) -> None:
    with pytest.raises(SourceError, match=f"^l: {reason}"):
        parse(content, "l", 10)


@pytest.mark.parametrize("column", ["video", "filename", "file", "name", "path", "Video_Name"])
def test_parse_takes_the_usual_names_of_the_column(column: str) -> None:
    assert parse(f"{column},label\na.mp4,REAL\n".encode(), "l", 10).claims == {"a.mp4": Claim("REAL")}


def test_parse_prefers_the_column_video() -> None:
    assert list(parse(b"name,label,video\nx,REAL,a.mp4\n", "l", 10).claims) == ["a.mp4"]


def test_parse_reads_numbers_as_the_challenge_does_and_says_so() -> None:
    labels = parse(b"filename,label\na.mp4,0\nb.mp4,1\nc.mp4,1.0\nd.mp4,2\n", "l", 10)
    assert {name: claim.label for name, claim in labels.claims.items()} == {
        "a.mp4": "REAL",
        "b.mp4": "FAKE",
        "c.mp4": "FAKE",
        "d.mp4": None,
    }
    assert labels.problems == ["NUMERIC_LABELS: l: 3 labels 0 and 1 were read as REAL and FAKE"]


@pytest.mark.parametrize("value", ["0.5", ".5", "0.499", "1e-3"])
def test_parse_refuses_predictions(value: str) -> None:
    with pytest.raises(SourceError, match=r"^l: line 3: the label .* is a probability.*sample_submission"):
        parse(f"filename,label\na.mp4,1\nb.mp4,{value}\n".encode(), "l", 10)


def test_parse_takes_what_pandas_writes_for_nothing_as_no_original(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {"video": ["a.mp4", "b.mp4", "c.mp4"], "label": ["REAL", "FAKE", "REAL"], "original": [None, "a.mp4", np.nan]}
    )
    for text in ("", "nan", "NaN", "None", "<NA>"):
        frame.to_csv(tmp_path / "labels.csv", index=False, na_rep=text)
        claims = parse((tmp_path / "labels.csv").read_bytes(), "l", 10).claims
        assert {name: claim.original for name, claim in claims.items()} == {"a.mp4": None, "b.mp4": "a", "c.mp4": None}


def test_parse_composes_names() -> None:
    decomposed = unicodedata.normalize("NFD", "é.mp4")
    labels = parse(f"video,label,original\n{decomposed},FAKE,{decomposed}\n".encode(), "l", 10)
    assert labels.claims == {"é.mp4": Claim("FAKE", "é")}
    with pytest.raises(SourceError, match=r"line 3: .*occurs twice"):
        parse(f"video,label\n{decomposed},FAKE\né.mp4,FAKE\n".encode(), "l", 10)


def test_parse_is_limited() -> None:
    with pytest.raises(SourceError, match=r"line 4: more than 2 videos; the limit is sources\.max_metadata_entries"):
        parse(b"video,label\na,REAL\nb,REAL\nc,REAL\n", "l", 2)
