"""The layout of the Deepfake Detection Challenge, with its own metadata files and hostile ones."""

import json
import random
from pathlib import Path

import pytest

from dflib.errors import DflibError, SourceError
from dflib.sources.labels import Claim
from dflib.sources.layouts import Clip, SideFiles
from dflib.sources.layouts.dfdc import PART, parse


@pytest.mark.shared
def test_parse_reads_the_challenges_files(sample_data: Path) -> None:
    paths = sorted((sample_data / "dfdc").rglob("*metadata.json"))
    assert len(paths) >= 2
    for path in paths:
        reference = json.loads(path.read_text())
        claims = parse(path.read_bytes(), "m", 10_000).claims
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
        (b"", "not readable as JSON metadata"),
        (b"\xff\xfe{}", "not readable as JSON metadata"),
        (b'{"a.mp4": ', "not readable as JSON metadata"),
        (b"[1, 2]", "contains a list"),
        (b"null", "contains a NoneType"),
        (b'{"a.mp4": {}, "a.mp4": {}}', "'a.mp4' occurs twice"),
        (b'{"a.mp4": {"label": "REAL", "label": "FAKE"}}', "'label' occurs twice"),
        (b'{"a.mp4":' * 100_000, "nested too deeply"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"a.mp4": ' + b"9" * 5000 + b"}", "not readable as JSON metadata"),
    ],
)
def test_parse_rejects_broken_files(content: bytes, reason: str) -> None:
    with pytest.raises(SourceError, match=f"^m: .*{reason}"):
        parse(content, "m", 10_000)


@pytest.mark.parametrize("label", ["real", "MAYBE", "", None, 1, ["FAKE"], {"a": 1}])
def test_parse_does_not_guess_labels(label: object) -> None:
    claim = parse(json.dumps({"a.mp4": {"label": label}}).encode(), "m", 10_000).claims["a.mp4"]
    assert claim.label is None
    assert [problem.partition(":")[0] for problem in claim.problems] == ["UNKNOWN_LABEL"]


@pytest.mark.parametrize(
    "entry",
    [{"label": "FAKE", "original": "../x.mp4"}, {"label": "FAKE", "original": 3}, {"label": "FAKE", "split": 7}],
)
def test_parse_reports_unusable_values_of_an_entry(entry: dict[str, object]) -> None:
    claim = parse(json.dumps({"a.mp4": entry}).encode(), "m", 10_000).claims["a.mp4"]
    assert (claim.label, claim.original, claim.split) == ("FAKE", None, None)
    assert [problem.partition(":")[0] for problem in claim.problems] == ["BAD_METADATA"]


def test_parse_reports_entry_that_is_no_object() -> None:
    claim = parse(b'{"a.mp4": ["REAL"]}', "m", 10_000).claims["a.mp4"]
    assert claim == Claim(None, problems=("BAD_METADATA: the entry is a list, not an object",))


@pytest.mark.parametrize(
    "name", ["../a.mp4", "/a.mp4", "a\\b.mp4", "a\0.mp4", "\ud800.mp4", "", "C:/a.mp4", "a" * 2000]
)
def test_parse_leaves_out_unsafe_names(name: str) -> None:
    labels = parse(json.dumps({name: {"label": "REAL"}, "b.mp4": {"label": "FAKE"}}).encode(), "m", 10_000)
    assert list(labels.claims) == ["b.mp4"]
    (problem,) = labels.problems
    assert problem.startswith("UNSAFE_NAME: ") and problem.isascii() and len(problem) < 220


def test_parse_raises_only_dflib_errors_on_random_bytes() -> None:
    whole = json.dumps({f"{n}.mp4": {"label": "FAKE", "original": f"{n + 1}.mp4", "split": "train"} for n in range(5)})
    numbers = random.Random(5)
    rejected = 0
    for _ in range(2000):
        bad = bytearray(whole.encode())
        for _ in range(numbers.randint(1, 4)):
            bad[numbers.randrange(len(bad))] = numbers.choice(b'{}[]",:\\u\x00\xff0')
        try:
            parse(bytes(bad), "m", 10_000)
        except DflibError:
            rejected += 1
    assert 100 < rejected < 2000


METADATA = parse(
    b'{"a.mp4": {"label": "FAKE", "original": "o.mp4", "split": "train"}, "o.mp4": {"label": "REAL"}}', "m", 10_000
)


@pytest.mark.parametrize("folder", ["", "p", "all/p", "file:///data/p"])
def test_describe_takes_identifier_and_labels_from_the_nearest_metadata(folder: str) -> None:
    side_files = SideFiles({folder: METADATA, "elsewhere": None})
    top = f"{folder}/" if folder else ""
    assert PART.describe(f"{top}a.mp4", side_files) == Clip("a", "FAKE", original="o", split="train", listed=True)
    unlisted = PART.describe(f"{top}sub/x.mp4", side_files)
    assert unlisted is not None and (unlisted.path, unlisted.label, unlisted.listed) == ("sub/x", None, True)
    assert [problem.partition(":")[0] for problem in unlisted.problems] == ["NO_METADATA_ENTRY"]


def test_describe_rejects_videos_without_metadata_above() -> None:
    assert PART.describe("q/a.mp4", SideFiles({"p": METADATA})) is None
    assert PART.describe("file:///data/a.mp4", SideFiles()) is None


def test_describe_keeps_identifier_when_metadata_is_unreadable() -> None:
    assert PART.describe("p/a.mp4", SideFiles({"p": None})) == Clip("a")


def test_missing_lists_entries_without_a_video() -> None:
    side_files = SideFiles({"p": METADATA, "q": None})
    assert PART.missing(side_files, {"p/a.mp4", "p/o.mp4"}, {}) == []
    (clip,) = PART.missing(side_files, {"p/o.mp4", "q/a.mp4"}, {})
    assert (clip.path, clip.label, clip.original, clip.split) == ("a", "FAKE", "o", "train")
    assert clip.problems == ("MISSING_FILE: a.mp4 is listed in p/metadata.json but does not exist",)
