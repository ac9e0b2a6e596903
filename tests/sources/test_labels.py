"""Labels files: the challenge's own, and hostile ones."""

import json
import random
from pathlib import Path

import pytest

from dflib.errors import DflibError, SourceError
from dflib.sources.labels import Claim, parse_csv, parse_metadata


def test_the_challenges_own_files(sample_data: Path) -> None:
    for path in sorted((sample_data / "dfdc").rglob("*metadata.json")):
        reference = json.loads(path.read_text())
        claims = parse_metadata(path.read_bytes(), "m").claims
        assert {name: claim.label for name, claim in claims.items()} == {
            name: entry["label"] for name, entry in reference.items()
        }
        for name, entry in reference.items():
            original = entry.get("original")
            assert claims[name].original == (original.removesuffix(".mp4") if original else None)
            assert claims[name].split == "train" and claims[name].problems == ()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "no metadata that can be read"),
        (b"\xff\xfe{}", "no metadata that can be read"),
        (b'{"a.mp4": ', "no metadata that can be read"),
        (b"[1, 2]", "holds a list"),
        (b"null", "holds a NoneType"),
        (b'{"a.mp4": {}, "a.mp4": {}}', "'a.mp4' stands there twice"),
        (b'{"a.mp4": {"label": "REAL", "label": "FAKE"}}', "'label' stands there twice"),
        (b'{"a.mp4":' * 100_000, "nested too deeply"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"a.mp4": ' + b"9" * 5000 + b"}", "no metadata that can be read"),
    ],
)
def test_metadata_that_is_none(content: bytes, reason: str) -> None:
    with pytest.raises(SourceError, match=f"^m: .*{reason}"):
        parse_metadata(content, "m")


@pytest.mark.parametrize("label", ["real", "MAYBE", "", None, 1, ["FAKE"], {"a": 1}])
def test_a_label_that_is_none_is_not_guessed(label: object) -> None:
    claim = parse_metadata(json.dumps({"a.mp4": {"label": label}}).encode(), "m").claims["a.mp4"]
    assert claim.label is None
    assert [problem.partition(":")[0] for problem in claim.problems] == ["UNKNOWN_LABEL"]


@pytest.mark.parametrize(
    "entry",
    [{"label": "FAKE", "original": "../x.mp4"}, {"label": "FAKE", "original": 3}, {"label": "FAKE", "split": 7}],
)
def test_other_parts_of_an_entry_that_cannot_be_used(entry: dict[str, object]) -> None:
    claim = parse_metadata(json.dumps({"a.mp4": entry}).encode(), "m").claims["a.mp4"]
    assert (claim.label, claim.original, claim.split) == ("FAKE", None, None)
    assert [problem.partition(":")[0] for problem in claim.problems] == ["BAD_METADATA"]


def test_an_entry_that_is_no_object() -> None:
    claim = parse_metadata(b'{"a.mp4": ["REAL"]}', "m").claims["a.mp4"]
    assert claim == Claim(None, problems=("BAD_METADATA: the entry is a list, not an object",))


@pytest.mark.parametrize(
    "name", ["../a.mp4", "/a.mp4", "a\\b.mp4", "a\0.mp4", "\ud800.mp4", "", "C:/a.mp4", "a" * 2000]
)
def test_unsafe_names_are_left_out_and_told(name: str) -> None:
    labels = parse_metadata(json.dumps({name: {"label": "REAL"}, "b.mp4": {"label": "FAKE"}}).encode(), "m")
    assert list(labels.claims) == ["b.mp4"]
    (problem,) = labels.problems
    assert problem.startswith("UNSAFE_NAME: ") and problem.isascii() and len(problem) < 200


def test_random_metadata_raises_nothing_but_our_errors() -> None:
    whole = json.dumps({f"{n}.mp4": {"label": "FAKE", "original": f"{n + 1}.mp4", "split": "train"} for n in range(5)})
    numbers = random.Random(5)
    refused = 0
    for _ in range(2000):
        bad = bytearray(whole.encode())
        for _ in range(numbers.randint(1, 4)):
            bad[numbers.randrange(len(bad))] = numbers.choice(b'{}[]",:\\u\x00\xff0')
        try:
            parse_metadata(bytes(bad), "m")
        except DflibError:
            refused += 1
    assert 100 < refused < 2000


def test_csv() -> None:
    content = "\ufefflabel, Video,other,original\r\nreal,a.mp4,x,\r\n\r\nFake,sub/b,y,a.mp4\r\nperhaps,c.mp4,,\r\n"
    claims = parse_csv(content.encode(), "l").claims
    assert claims["a.mp4"] == Claim("REAL")
    assert claims["sub/b"] == Claim("FAKE", "a")
    assert claims["c.mp4"].label is None and claims["c.mp4"].problems[0].startswith("UNKNOWN_LABEL: 'PERHAPS'")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "line 1: the header must name video and label"),
        (b"a.mp4,REAL\n", "line 1: the header must name video and label"),
        (b"video,label,label\n", "line 1: the header"),
        (b"video,label\na.mp4\n", "line 2: has not as many fields"),
        (b"video,label\na.mp4,REAL,x\n", "line 2: has not as many fields"),
        (b"video,label\na.mp4,REAL\n\na.mp4,REAL\n", "line 4: video 'a.mp4' stands there twice"),
        (b"video,label\n../a.mp4,REAL\n", r"line 2: video '../a.mp4' holds an empty part, . or .."),
        (b"video,label\n\xff.mp4,REAL\n", "line 2: not UTF-8"),
        (b'video,label\n"a.mp4,REAL\n', "line [23]: unexpected end of data"),
        (b"video,label\na\0,REAL\n", "line 2: "),
        (b"video,label\n" + b"a" * 200_000 + b",REAL\n", "line 2: field larger than field limit"),
    ],
)
def test_csv_that_is_none_names_the_line(content: bytes, reason: str) -> None:
    with pytest.raises(SourceError, match=f"^l: {reason}"):
        parse_csv(content, "l")
