"""Videos of one identifier and one size, compared by their bytes."""

import dataclasses
import functools
import os
import zipfile
from pathlib import Path

import pytest

from dflib.errors import CredentialsError, StorageError
from dflib.sources.chunk import Chunk
from dflib.sources.discovery import find_chunks
from dflib.sources.readers import read_folder, read_zip
from dflib.sources.reconcile import Reconciled, clashing, reconcile
from dflib.sources.twins import same_bytes
from dflib.storage import Storage
from tests.sources.settings import sources


def read(path: Path) -> Chunk:
    settings, storage = sources(chunks=path), Storage()
    (source,) = find_chunks(storage, settings)
    return (read_zip if source.kind == "zip" else read_folder)(storage, source, settings)


@pytest.mark.parametrize("other", [b"x" * 70_000, b"x" * 69_999 + b"y"], ids=["equal", "different"])
@pytest.mark.parametrize("zipped", [False, True])
def test_chunks_whose_videos_have_one_size_clash_when_the_bytes_differ(
    tmp_path: Path, other: bytes, zipped: bool
) -> None:
    content = b"x" * 70_000
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "a.mp4").write_bytes(content)
    second = tmp_path / "two"
    if zipped:
        second = tmp_path / "two.zip"
        with zipfile.ZipFile(second, "w") as archive:
            archive.writestr("a.mp4", other)
    else:
        second.mkdir()
        (second / "a.mp4").write_bytes(other)
    for chunks in ([read(tmp_path / "one"), read(second)], [read(second), read(tmp_path / "one")]):
        seen = {chunk.source.uri for chunk in chunks}
        storage = Storage()
        reasons = clashing({}, chunks, seen, functools.cache(functools.partial(same_bytes, storage)))
        assert list(reasons) == ([] if other == content else [chunks[1].source.uri])
        assert storage.counters.bytes_read <= 2 * len(content)


def folder(path: Path, content: bytes) -> Chunk:
    path.mkdir(parents=True)
    (path / "a.mp4").write_bytes(content)
    os.utime(path / "a.mp4", (1, 1))
    return read(path)


def ingest(first: Chunk, second: Chunk) -> tuple[dict[str, str], Reconciled]:
    """The second chunk ingested after the first one, which is not configured any more."""
    known = {video.video_id: video for video in first.videos}
    same = functools.cache(functools.partial(same_bytes, Storage()))
    seen = {second.source.uri}
    reasons = clashing(known, [second], seen, same)
    return reasons, reconcile(known, [] if reasons else [second], seen, same)


@pytest.mark.parametrize("place", ["two", "new/one"], ids=["copied", "moved"])
def test_no_video_is_dropped_for_one_of_the_same_size_time_and_tail(tmp_path: Path, place: str) -> None:
    first, second = b"x" + bytes(100_000), b"y" + bytes(100_000)
    one = folder(tmp_path / "one", first)
    reasons, outcome = ingest(one, folder(tmp_path / place, second))
    assert len(reasons) == 1 and outcome.rows == []
    reasons, outcome = ingest(one, folder(tmp_path / "other" / place, first))
    assert reasons == {} and len(outcome.rows) == 1 and outcome.moved == (place == "new/one")


@pytest.mark.parametrize("place", ["two", "new/one"])
def test_the_place_of_a_deleted_file_is_taken_over(tmp_path: Path, place: str) -> None:
    one = folder(tmp_path / "one", b"x")
    (tmp_path / "one" / "a.mp4").unlink()
    two = folder(tmp_path / place, b"y")
    reasons, outcome = ingest(one, two)
    assert reasons == {} and outcome.moved == 1
    assert outcome.rows[0].uri == two.videos[0].uri and outcome.rows[0].problems == ()


@pytest.mark.parametrize("error", [StorageError, CredentialsError])
def test_a_chunk_that_cannot_be_compared_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[StorageError]
) -> None:
    one, two = folder(tmp_path / "one", b"x"), folder(tmp_path / "two", b"x")

    def fails(*_: object) -> bytes:
        raise error("s3://b/a.mp4: no answer")

    monkeypatch.setattr(Storage, "read_range", fails)
    reasons, outcome = ingest(one, two)
    assert "cannot be compared: s3://b/a.mp4: no answer" in reasons[two.source.uri] and outcome.rows == []


def test_equal_etags_tell_equal_content_on_s3_alone(tmp_path: Path) -> None:
    (video,) = folder(tmp_path / "one", b"x").videos
    on_s3 = dataclasses.replace(video, uri="s3://b/one/a.mp4")
    storage = Storage()
    assert same_bytes(storage, on_s3, dataclasses.replace(on_s3, uri="s3://b/two/a.mp4"))
    assert storage.counters.requests == 0
