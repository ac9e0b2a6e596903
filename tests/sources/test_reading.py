"""Whatever a chunk sets off is its own failure."""

import errno
import io
import os
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dflib.errors import DeniedError, SourceError
from dflib.runtime.progress import Progress
from dflib.sources import readers
from dflib.sources.chunk import code
from dflib.sources.discovery import find_chunks, gone
from dflib.sources.reading import Incoming, read_new
from dflib.sources.reconcile import reconcile
from dflib.storage import Entry, Storage
from tests.sources.settings import sources

ZipBytes = Callable[..., bytes]


def read(chunks: object, **changes: Any) -> Incoming:
    settings = sources(chunks=str(chunks), **changes)
    storage = Storage()
    return read_new(storage, find_chunks(storage, settings), settings, Progress(io.StringIO()))


def good(incoming: Incoming) -> list[str]:
    return sorted(video.video_id for chunk in incoming.chunks for video in chunk.videos)


def zip64_of(size: int) -> bytes:
    """A zip whose member claims a size of up to 2^64 - 1 bytes."""
    extra = struct.pack("<HHQQ", 1, 16, size, size)
    local = struct.pack("<4s5H3I2H", b"PK\x03\x04", 45, 0, 0, 0, 33, 0, 1, 1, 5, 0) + b"a.mp4x"
    central = struct.pack(
        "<4s6H3I5H2I", b"PK\x01\x02", 45, 45, 0, 0, 0, 33, 0, 0xFFFFFFFF, 0xFFFFFFFF, 5, len(extra), 0, 0, 0, 0, 0
    )
    directory = central + b"a.mp4" + extra
    return local + directory + struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, 1, 1, len(directory), len(local), 0)


def test_bad_chunks_stop_no_other(tmp_path: Path, zip_bytes: ZipBytes) -> None:
    (tmp_path / "good.zip").write_bytes(zip_bytes({"g.mp4": b"g"}, {"g.mp4": {"label": "REAL"}}))
    (tmp_path / "none.zip").write_bytes(zip_bytes({}))
    (tmp_path / "huge.zip").write_bytes(zip64_of(2**63))
    (tmp_path / "hidden_end.zip").write_bytes(zip_bytes({"h.mp4": b"h"}) + b"PK\x05\x06" + bytes(18))
    (tmp_path / "cut.zip").write_bytes(zip_bytes({"h.mp4": b"h"})[:-9])
    (tmp_path / "back\\slash.zip").write_bytes(zip_bytes({"b.mp4": b"b"}))
    (tmp_path / "two.zip").write_bytes(zip_bytes({"x.mp4": b"1", "x.avi": b"2"}))
    incoming = read(tmp_path)
    assert good(incoming) == ["d/a", "d/g"]
    problems = {chunk.source.name: [code(text) for text in chunk.problems] for chunk in incoming.chunks}
    assert problems == {
        "good": [],
        "none": ["NO_VIDEOS"],
        "huge": [],
        "hidden_end": ["NOT_A_ZIP"],
        "cut": ["NOT_A_ZIP"],
    }
    (forged,) = next(chunk for chunk in incoming.chunks if chunk.source.name == "huge").videos
    assert forged.uri is None and [code(text) for text in forged.problems] == ["BAD_RANGE"]
    clash, slash = sorted(incoming.failed, key=len, reverse=True)
    assert "two.zip: nothing was ingested of it" in clash and "rename it" in slash


def test_a_bad_labels_csv_fails_its_folder_alone(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / f"{name}.mp4").write_bytes(b"x")
    (tmp_path / "one" / "labels.csv").write_text("what,ever\n")
    incoming = read(tmp_path / "*")
    assert good(incoming) == ["d/two"]
    assert len(incoming.failed) == 1 and "one/labels.csv: line 1" in incoming.failed[0]


def test_files_beside_zips_are_accounted_for(tmp_path: Path, zip_bytes: ZipBytes) -> None:
    (tmp_path / "a.zip").write_bytes(zip_bytes({"a.mp4": b"a"}))
    (tmp_path / "readme.txt").write_bytes(b"r")
    problems = {chunk.source.kind: chunk.listed_problems() for chunk in read(tmp_path).chunks}
    assert problems == {"zip": [], "folder": ["NOT_VIDEO: 1 file .txt, first 'readme.txt'"]}


def test_a_labels_csv_beside_zips_labels_their_videos(tmp_path: Path, zip_bytes: ZipBytes) -> None:
    (tmp_path / "a.zip").write_bytes(zip_bytes({"r.mp4": b"r"}))
    (tmp_path / "b.zip").write_bytes(zip_bytes({"f.mp4": b"f", "s.mp4": b"s"}, {"s.mp4": {"label": "REAL"}}))
    (tmp_path / "labels.csv").write_text("filename,label\nr.mp4,real\nf.mp4,Fake\ns.mp4,FAKE\nloose,REAL\n")
    (tmp_path / "loose.mp4").write_bytes(b"l")
    for chunks in (tmp_path, f"{tmp_path}/*.zip,{tmp_path}/loose.mp4"):
        incoming = read(chunks)
        labels = {video.video_id: video.label for chunk in incoming.chunks for video in chunk.videos}
        # Two files that say otherwise are a contradiction.
        expected = {"d/r": "REAL", "d/f": "FAKE", "d/s": None, "d/loose": "REAL"}
        assert labels == expected
    (tmp_path / "labels.csv").write_text("nonsense\n")
    incoming = read(f"{tmp_path}/*.zip")
    assert incoming.failed == [] and good(incoming) == ["d/f", "d/r", "d/s"]
    assert all(chunk.problems[0].startswith("BAD_METADATA") for chunk in incoming.chunks)


def test_the_labels_csv_of_the_configuration_must_be_usable(tmp_path: Path, zip_bytes: ZipBytes) -> None:
    (tmp_path / "a.zip").write_bytes(zip_bytes({"r.mp4": b"r"}))
    (tmp_path / "l.csv").write_text("nonsense\n")
    with pytest.raises(SourceError, match=r"l\.csv: line 1"):
        read(tmp_path / "a.zip", labels=tmp_path / "l.csv")


def test_sources_that_match_nothing_stop_no_other(tmp_path: Path, zip_bytes: ZipBytes) -> None:
    (tmp_path / "a.zip").write_bytes(zip_bytes({"r.mp4": b"r"}))
    incoming = read(f"{tmp_path}/none,{tmp_path}/a.zip,{tmp_path}/no*.zip")
    assert good(incoming) == ["d/r"] and len(incoming.failed) == 2
    with pytest.raises(SourceError, match=r"none.*; .*no\*\.zip: matches nothing"):
        read(f"{tmp_path}/none,{tmp_path}/no*.zip")


@pytest.mark.parametrize("error", [MemoryError(), OverflowError("int too big"), RecursionError(), KeyError("x")])
def test_whatever_a_chunk_raises_is_its_failure(
    tmp_path: Path, zip_bytes: ZipBytes, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.zip").write_bytes(zip_bytes({f"{name}.mp4": b"x"}))
    read_directory = readers.read_directory

    def failing(storage: Storage, entry: Any) -> Any:
        if entry.uri.endswith("a.zip"):
            raise error
        return read_directory(storage, entry)

    monkeypatch.setattr(readers, "read_directory", failing)
    incoming = read(tmp_path)
    assert good(incoming) == ["d/b"]
    assert len(incoming.failed) == 1 and f"a.zip: cannot be read: {type(error).__name__}" in incoming.failed[0]


def test_limits_are_named(tmp_path: Path, zip_bytes: ZipBytes) -> None:
    (tmp_path / "a.zip").write_bytes(zip_bytes({"a.mp4": b"a", "b.mp4": b"b"}, {"a.mp4": {"label": "REAL"}}))
    assert "3 files; the limit is sources.max_members=2" in read(tmp_path, max_members=2).failed[0]
    for key, value in (("max_metadata_bytes", 9), ("max_metadata_entries", 1)):
        (tmp_path / "a.zip").write_bytes(
            zip_bytes({"a.mp4": b"a"}, {"a.mp4": {"label": "REAL"}, "b.mp4": {"label": "REAL"}})
        )
        (chunk,) = read(tmp_path, **{key: value}).chunks
        assert [video.label for video in chunk.videos] == [None]
        assert chunk.problems[0].startswith("BAD_METADATA: ") and f"sources.{key}" in chunk.problems[0]


def test_a_single_video_is_a_chunk(tmp_path: Path) -> None:
    (tmp_path / "clips").mkdir()
    for name in ("a.mp4", "b.mov", "notes.txt"):
        (tmp_path / "clips" / name).write_bytes(b"x")
    (chunk,) = read(tmp_path / "clips" / "a.mp4").chunks
    (video,) = chunk.videos
    assert (chunk.source.kind, chunk.source.name, video.video_id) == ("file", "clips", "d/a")
    assert (video.uri, video.member, video.packing) == (f"file://{tmp_path}/clips/a.mp4", None, "file")
    incoming = read(tmp_path / "clips" / "*")
    assert good(incoming) == ["d/a", "d/b"]
    assert [chunk.account.left_out for chunk in incoming.chunks] == [{}, {}, {"NOT_VIDEO": 1}]
    with pytest.raises(SourceError, match=r"notes\.txt: is not a video"):
        read(tmp_path / "clips" / "notes.txt")


def test_names_of_a_mac_match_metadata(tmp_path: Path) -> None:
    # As macOS's own archiver does: decomposed UTF-8 without the flag.
    decomposed = "e\u0301te\u0301.mp4".encode()
    raw = zipfile.ZipInfo("N" * len(decomposed))
    with zipfile.ZipFile(tmp_path / "mac.zip", "w") as archive:
        archive.writestr(raw, b"x")
        archive.writestr("metadata.json", '{"\u00e9t\u00e9.mp4": {"label": "FAKE", "original": "\u00e9.mp4"}}')
    content = (tmp_path / "mac.zip").read_bytes().replace(b"N" * len(decomposed), decomposed)
    (tmp_path / "mac.zip").write_bytes(content)
    (chunk,) = read(tmp_path / "mac.zip").chunks
    (video,) = chunk.videos
    assert (video.video_id, video.label, video.original) == ("d/\u00e9t\u00e9", "FAKE", "d/\u00e9")
    assert video.member == "e\u0301te\u0301.mp4"


def test_a_glob_over_files_takes_labels_files_for_what_they_are(tmp_path: Path, zip_bytes: ZipBytes) -> None:
    (tmp_path / "part").mkdir()
    (tmp_path / "part" / "a.zip").write_bytes(zip_bytes({"z.mp4": b"z"}))
    (tmp_path / "part" / "v.mp4").write_bytes(b"v")
    (tmp_path / "part" / "labels.csv").write_text("video,label\nz,FAKE\nnowhere,REAL\n")
    (tmp_path / "part" / "metadata.json").write_text('{"v.mp4": {"label": "REAL"}, "w.mp4": {"label": "FAKE"}}')
    for pattern in ("part/*", "part/[av].*"):
        incoming = read(tmp_path / pattern)
        labels = {video.video_id: video.label for chunk in incoming.chunks for video in chunk.videos}
        assert labels == {"d/z": "FAKE", "d/v": "REAL"} and incoming.failed == []
        assert sorted(chunk.source.kind for chunk in incoming.chunks) == ["file", "zip"]
    (tmp_path / "part" / "metadata.json").write_text("{")
    (chunk,) = read(tmp_path / "part" / "v.mp4").chunks
    assert [code(text) for text in chunk.problems] == ["BAD_METADATA"] and chunk.videos[0].video_id == "d/v"


def test_one_match_that_cannot_be_read_stops_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / f"{name}.mp4").write_bytes(b"x")
    scandir = os.scandir

    def refuse(path: str) -> object:
        if str(path).endswith("one"):
            raise PermissionError(errno.EACCES, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    incoming = read(tmp_path / "*")
    assert good(incoming) == ["d/two"] and len(incoming.failed) == 1 and "Permission denied" in incoming.failed[0]
    (chunk,) = read(tmp_path).chunks
    assert chunk.account.reasons == {"one": "NOT_READABLE"} and [row.video_id for row in chunk.videos] == ["d/two/two"]
    settings = sources(chunks=str(tmp_path))
    found = find_chunks(Storage(), settings)
    ingested = {f"file://{tmp_path}/{name}": "zip" for name in ("one/a.zip", "three/b.zip")}
    assert [source.uri for source in gone(settings, ingested, found)] == [f"file://{tmp_path}/three/b.zip"]


def test_a_labels_csv_that_may_not_be_looked_for_is_a_problem(
    tmp_path: Path, zip_bytes: ZipBytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.zip").write_bytes(zip_bytes({"a.mp4": b"a"}))
    stat = Storage.stat

    def refuse(storage: Storage, uri: str) -> Entry:
        if uri.endswith("labels.csv"):
            raise DeniedError(f"{uri}: S3 refused (403)")
        return stat(storage, uri)

    monkeypatch.setattr(Storage, "stat", refuse)
    (chunk,) = read(tmp_path / "a.zip").chunks
    assert [code(text) for text in chunk.problems] == ["NOT_READABLE"] and len(chunk.videos) == 1


def test_a_video_that_is_in_a_folder_now_is_not_gone(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"a")
    (single,) = read(tmp_path / "*.mp4").chunks
    settings = sources(chunks=str(tmp_path))
    assert gone(settings, {single.source.uri: "file"}, find_chunks(Storage(), settings)) == []
    (whole,) = read(tmp_path).chunks
    known = {row.video_id: row for row in single.videos}
    outcome = reconcile(known, [whole], {whole.source.uri})
    assert (outcome.moved, outcome.missing, outcome.new) == (0, 0, 0)
    assert [(row.member, row.problems) for row in outcome.rows] == [("a.mp4", ())]
