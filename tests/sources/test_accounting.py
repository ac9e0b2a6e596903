"""Every file of a chunk is accounted for: a folder and a zip with one file of every kind."""

import io
import json
import zipfile
from collections import Counter
from pathlib import Path

import pytest

from dflib.errors import CountError
from dflib.sources.accounting import MAX_KINDS, Account
from dflib.sources.chunk import Chunk, Source
from dflib.sources.discovery import find_chunks
from dflib.sources.readers import read_folder, read_zip
from dflib.storage import Storage
from tests.sources import media
from tests.sources.settings import sources

VIDEO, LABELS = "video", "read for labels"
FRESH_ZIP = io.BytesIO()
zipfile.ZipFile(FRESH_ZIP, "w").close()

KINDS: dict[str, tuple[bytes, str]] = {
    **{f"v/{ending}_clip.{ending}": (media.video(ending), VIDEO) for ending in media.VIDEOS},
    **{f"n/{ending}_without": (media.video(ending), VIDEO) for ending in media.VIDEOS},
    **{f"s/sound.{ending}": (media.sound(ending), "NOT_VIDEO") for ending in media.SOUNDS},
    "v/capitals.MP4": (b"x", VIDEO),
    "v/empty.mp4": (b"", VIDEO),
    "v/text.mp4": (b"no video", VIDEO),
    "v/recorded.dat": (media.video("mpg"), VIDEO),
    "v/renamed.ogg": (media.video("ogm"), VIDEO),
    "part/METADATA.JSON": (json.dumps({"a.mp4": {"label": "REAL"}, "notes.txt": {"label": "FAKE"}}).encode(), LABELS),
    "part/a.mp4": (b"a", VIDEO),
    "part/notes.txt": (b"n", "NOT_VIDEO"),
    "listed/labels.csv": (b"video,label\nb,FAKE\nc.doc,REAL\nnowhere,REAL\n", LABELS),
    "listed/b.mkv": (b"b", VIDEO),
    "listed/c.doc": (b"c", "NOT_VIDEO"),
    "REAL/d.avi": (b"d", VIDEO),
    "fake/e.mov": (b"e", VIDEO),
    "manipulated_sequences/Deepfakes/masks/videos/000_003.mp4": (b"m", "NOT_A_CLIP"),
    "readme.txt": (b"r", "NOT_VIDEO"),
    "picture.jpg": (b"p", "NOT_VIDEO"),
    "unknown.xyz": (b"u" * 2000, "NOT_VIDEO"),
    "nothing": (b"", "NOT_VIDEO"),
    ".DS_Store": (b"h", "HIDDEN"),
    "v/._a.mp4": (b"h", "HIDDEN"),
    ".cache/f.mp4": (b"h", "HIDDEN"),
    "__MACOSX/part/._a.mp4": (b"h", "HIDDEN"),
    "back\\slash.mp4": (b"u", "UNSAFE_NAME"),
    "tab\t.mp4": (b"u", "UNSAFE_NAME"),
    "inner.zip": (FRESH_ZIP.getvalue(), "NESTED_ZIP"),
}
"""Content and outcome of a file of each kind, by name."""


def check(chunk: Chunk, expected: dict[str, str]) -> None:
    outcomes = Counter(expected.values())
    assert chunk.members == len(expected)
    with_file = {video.member for video in chunk.videos if video.member}
    assert with_file == {name for name, outcome in expected.items() if outcome == VIDEO}
    assert chunk.account.side_files == outcomes[LABELS]
    assert chunk.account.reasons == {name: outcome for name, outcome in expected.items() if outcome.isupper()}
    assert chunk.account.left_out == {code: count for code, count in outcomes.items() if code.isupper()}
    listed = "\n".join(chunk.listed_problems())
    for code in chunk.account.left_out:
        assert f"{code}: " in listed


def test_a_zip_with_a_file_of_every_kind(tmp_path: Path, storage: Storage) -> None:
    path = tmp_path / "all.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for number, (name, (content, _)) in enumerate(KINDS.items()):
            # Heads are inflated where they are deflated.
            archive.writestr(name, content, (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)[number % 2])
    uri = f"file://{path}"
    chunk = read_zip(storage, Source("zip", uri, (storage.stat(uri),)), sources())
    check(chunk, {name: outcome for name, (_, outcome) in KINDS.items()})
    rows = {
        video.video_id: (video.label, [text.partition(":")[0] for text in video.problems]) for video in chunk.videos
    }
    assert rows["d/a"] == ("REAL", []) and rows["d/listed/b"] == ("FAKE", [])
    assert rows["d/REAL/d"] == ("REAL", []) and rows["d/fake/e"] == ("FAKE", [])
    # What labels name is never said to be missing where it exists.
    assert rows["d/notes.txt"] == ("FAKE", ["NOT_VIDEO"]) and rows["d/listed/c.doc"] == ("REAL", ["NOT_VIDEO"])
    assert rows["d/listed/nowhere"] == ("REAL", ["MISSING_FILE"])
    assert rows["d/v/recorded.dat"] == (None, []) and rows["d/v/empty"] == (None, ["EMPTY_FILE"])
    assert "NOT_VIDEO: 2 files .txt, first 'part/notes.txt'" in chunk.listed_problems()


def test_a_folder_with_a_file_of_every_kind(tmp_path: Path, storage: Storage) -> None:
    for name, (content, _) in KINDS.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    (tmp_path / "broken.mp4").symlink_to("nowhere")
    settings = sources(chunks=tmp_path)
    found = {chunk.uri.removeprefix(f"file://{tmp_path}"): chunk for chunk in find_chunks(storage, settings)}
    assert {name: chunk.kind for name, chunk in found.items()} == {"": "folder", "/part": "folder", "/inner.zip": "zip"}
    expected = {name: outcome for name, (_, outcome) in KINDS.items()} | {"broken.mp4": "NOT_A_FILE"}
    assert expected.pop("inner.zip") == "NESTED_ZIP"  # in a folder, a chunk of its own
    part = {name.removeprefix("part/"): expected.pop(name) for name in list(expected) if name.startswith("part/")}
    check(read_folder(storage, found[""], settings), expected)
    check(read_folder(storage, found["/part"], settings), part)


def test_files_that_are_not_looked_at_are_counted(tmp_path: Path, storage: Storage) -> None:
    for number in range(5):
        (tmp_path / f"clip{number}").write_bytes(media.video("mp4"))
    settings = sources(chunks=tmp_path, max_probes=2)
    (source,) = find_chunks(storage, settings)
    before = storage.counters.requests
    chunk = read_folder(storage, source, settings)
    assert storage.counters.requests - before == 2
    assert [video.member for video in chunk.videos] == ["clip0", "clip1"]
    assert chunk.listed_problems() == [
        "NOT_LOOKED_AT: 3 files without an ending, more than sources.max_probes=2, first 'clip2'"
    ]


def test_check_finds_a_file_that_is_not_accounted_for() -> None:
    account = Account(rows=2, side_files=1)
    account.leave_out("NOT_VIDEO", ".txt", "a.txt")
    account.check("u", 4)
    with pytest.raises(CountError, match="u: 5 files, but 2 became rows, 1 were read for labels and 1 were left out"):
        account.check("u", 5)


def test_kinds_of_one_reason_are_limited() -> None:
    account = Account()
    for number in range(1000):
        account.leave_out("NOT_VIDEO", f".{number}", f"a.{number}")
    assert len(account.problems()) == MAX_KINDS + 1 and account.left_out == {"NOT_VIDEO": 1000}
    assert account.problems()[-1] == f"NOT_VIDEO: {1000 - MAX_KINDS} files of other kinds, first 'a.{MAX_KINDS}'"
