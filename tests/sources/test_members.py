"""The bytes of one member, read by its range."""

import random
import tracemalloc
import zipfile
from pathlib import Path

import pytest

from dflib.errors import StorageError, VideoError
from dflib.sources import members
from dflib.sources.archive import Member, read_directory
from dflib.sources.members import read_head, read_member
from dflib.storage import Storage

VIDEO = random.Random(1).randbytes(5000) + bytes(3000)


@pytest.fixture(params=[zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED], ids=["stored", "deflated"])
def member(request: pytest.FixtureRequest, tmp_path: Path, storage: Storage) -> tuple[str, Member]:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", request.param) as archive:
        archive.writestr("a.mp4", VIDEO)
        archive.writestr("b.mp4", b"other")
    uri = f"file://{path}"
    return uri, read_directory(storage, storage.stat(uri))[0]


def read(storage: Storage, uri: str, member: Member, **changes: object) -> bytes:
    arguments = {
        "offset": member.offset,
        "length": member.length,
        "packing": member.packing,
        "crc32": member.crc32,
        "size": member.size,
        "max_bytes": 1 << 20,
    }
    return read_member(storage, uri, **(arguments | changes))  # type: ignore[arg-type]


def test_read_member_takes_one_request(storage: Storage, member: tuple[str, Member]) -> None:
    before = storage.counters.requests
    assert read(storage, *member) == VIDEO
    assert storage.counters.requests == before + 1


def test_read_member_checks_crc(storage: Storage, member: tuple[str, Member]) -> None:
    with pytest.raises(VideoError) as caught:
        read(storage, *member, crc32=1)
    assert caught.value.reason == "CRC_MISMATCH"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"size": 0}, "EMPTY_FILE"),
        ({"size": len(VIDEO) + 1}, "BAD_RANGE"),
        ({"offset": 3}, "BAD_RANGE"),
        ({"length": 1 << 19}, "BAD_RANGE"),
        ({"length": 29}, "BAD_RANGE"),
        ({"offset": None}, "BAD_RANGE"),
        ({"length": None}, "BAD_RANGE"),
        ({"length": 1 << 40}, "TOO_LARGE"),
        ({"max_bytes": len(VIDEO) - 1}, "TOO_LARGE"),
        ({"packing": "crops"}, "UNSUPPORTED_PACKING"),
    ],
)
def test_read_member_rejects_wrong_descriptions(
    storage: Storage, member: tuple[str, Member], changes: dict[str, object], reason: str
) -> None:
    with pytest.raises(VideoError) as caught:
        read(storage, *member, **changes)
    assert caught.value.reason == reason


def test_read_member_rejects_too_large_without_reading(storage: Storage, member: tuple[str, Member]) -> None:
    before = storage.counters.requests
    with pytest.raises(VideoError):
        read(storage, *member, max_bytes=10)
    assert storage.counters.requests == before


def test_read_member_does_not_inflate_a_bomb(storage: Storage, tmp_path: Path) -> None:
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.mp4", bytes(50 << 20))
    uri = f"file://{path}"
    found = read_directory(storage, storage.stat(uri))[0]
    with pytest.raises(VideoError, match="exactly 100 bytes"):
        read(storage, uri, found, size=100)


@pytest.mark.parametrize("packing", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED], ids=["stored", "deflated"])
def test_a_large_member_is_held_once(
    tmp_path: Path, storage: Storage, monkeypatch: pytest.MonkeyPatch, packing: int
) -> None:
    monkeypatch.setattr(members, "LARGE", 1 << 20)
    video = (random.Random(2).randbytes(1 << 20) + bytes(3 << 20)) * 4
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", packing) as archive:
        archive.writestr("a.mp4", video)
    uri = f"file://{path}"
    (found,) = read_directory(storage, storage.stat(uri))
    tracemalloc.start()
    try:
        assert read(storage, uri, found, max_bytes=1 << 30) == video
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    packed = found.length if packing == zipfile.ZIP_DEFLATED else 0
    assert peak < 1.25 * len(video) + packed
    with pytest.raises(VideoError, match="BAD_RANGE"):
        read(storage, uri, found, max_bytes=1 << 30, size=len(video) - 1 if packing else len(video) + 1)
    path.write_bytes(b"x" + path.read_bytes())
    with pytest.raises(VideoError, match="no zip member starts here"):
        read(storage, uri, found, max_bytes=1 << 30)


def test_read_head_reads_the_first_bytes_only(storage: Storage, member: tuple[str, Member], tmp_path: Path) -> None:
    uri, found = member
    before = storage.counters.bytes_read
    assert found.packing is not None
    assert read_head(storage, uri, found.offset, found.length, found.packing, 100) == VIDEO[:100]
    assert storage.counters.bytes_read - before < 1300
    assert read_head(storage, uri, found.offset + 1, found.length, found.packing, 100) == b""
    (tmp_path / "file").write_bytes(VIDEO)
    assert read_head(storage, f"file://{tmp_path}/file", 0, len(VIDEO), "file", 100) == VIDEO[:100]


def test_read_member_reads_a_file_in_one_request(storage: Storage, tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(VIDEO)
    uri = f"file://{path}"
    assert read_member(storage, uri, None, None, "file", None, len(VIDEO), 1 << 20) == VIDEO
    assert storage.counters.requests == 1


@pytest.mark.parametrize("change", [b"", b"more"])
def test_read_member_rejects_file_of_another_size(storage: Storage, tmp_path: Path, change: bytes) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(VIDEO + change if change else VIDEO[:-1])
    with pytest.raises(VideoError, match=r"BAD_RANGE: .*no longer 8000 bytes long"):
        read_member(storage, f"file://{path}", None, None, "file", None, len(VIDEO), 1 << 20)


def test_read_member_of_missing_archive_is_a_storage_error(storage: Storage, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"gone\.zip"):
        read_member(storage, f"file://{tmp_path}/gone.zip", 0, 100, "stored", 0, 10, 1000)


def test_read_member_raises_only_video_errors_on_random_bytes(
    storage: Storage, member: tuple[str, Member], tmp_path: Path
) -> None:
    uri, found = member
    content = bytearray(Path(uri.removeprefix("file://")).read_bytes())
    numbers = random.Random(7)
    path = tmp_path / "bad.zip"
    rejected = 0
    for _ in range(300):
        bad = bytearray(content)
        for _ in range(numbers.randint(1, 8)):
            bad[numbers.randrange(found.offset, found.offset + found.length)] = numbers.randrange(256)
        path.write_bytes(bad)
        try:
            assert read(storage, f"file://{path}", found) == VIDEO
        except VideoError:
            rejected += 1
    assert rejected > 250
