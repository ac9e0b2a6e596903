"""Central directories of intact and broken archives, compared with zipfile."""

import io
import random
import struct
import zipfile
import zlib
from pathlib import Path

import pytest

from dflib.errors import DflibError, SourceError
from dflib.sources import archive
from dflib.sources.archive import read_directory
from dflib.sources.members import read_member
from dflib.storage import Storage


def directory(storage: Storage, path: Path) -> list[archive.Member]:
    uri = f"file://{path}"
    return read_directory(storage, storage.stat(uri))


def check_against_zipfile(storage: Storage, path: Path) -> None:
    """Asserts that each member's range, read and unpacked, equals what zipfile reads."""
    members = directory(storage, path)
    with zipfile.ZipFile(path) as reference:
        infos = [info for info in reference.infolist() if not info.is_dir()]
        assert [member.name for member in members] == sorted(info.filename for info in infos)
        for member in members:
            assert member.problem is None and member.packing is not None
            assert member.offset == reference.getinfo(member.name).header_offset
            got = read_member(
                storage,
                f"file://{path}",
                member.offset,
                member.length,
                member.packing,
                member.crc32,
                member.size,
                1 << 24,
            )
            assert got == reference.read(member.name)


def contents(seed: int = 1) -> dict[str, bytes]:
    numbers = random.Random(seed)
    return {f"part/{name}.mp4": numbers.randbytes(numbers.randint(1, 3000)) for name in "cabde"}


def write(path: Path, files: dict[str, bytes], packing: int = zipfile.ZIP_STORED, zip64: bool = False) -> None:
    with zipfile.ZipFile(path, "w", packing) as made:
        made.mkdir("part")
        for name, content in files.items():
            with made.open(name, "w", force_zip64=zip64) as member:
                member.write(content)


@pytest.mark.parametrize("zip64", [False, True])
@pytest.mark.parametrize("packing", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_read_directory_agrees_with_zipfile(storage: Storage, tmp_path: Path, packing: int, zip64: bool) -> None:
    path = tmp_path / "a.zip"
    write(path, contents(), packing, zip64)
    check_against_zipfile(storage, path)


def test_ranges_cover_the_archive_without_gaps(storage: Storage, tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as made:
        for name, content in contents().items():
            made.writestr(name, content)
    with zipfile.ZipFile(path) as reference:
        start = reference.start_dir
    members = sorted(directory(storage, path), key=lambda member: member.offset)
    ends = [member.offset + member.length for member in members]
    assert [member.offset for member in members] == [0, *ends[:-1]]
    assert ends[-1] == start


def test_range_includes_data_descriptor_of_streamed_member(storage: Storage, tmp_path: Path) -> None:
    class Stream(io.BytesIO):
        def seekable(self) -> bool:
            return False

    buffer = Stream()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as made:  # type: ignore[arg-type]
        for name, content in contents().items():
            made.writestr(name, content)
    path = tmp_path / "a.zip"
    path.write_bytes(buffer.getvalue())
    check_against_zipfile(storage, path)


def test_read_directory_with_longest_comment(storage: Storage, tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    write(path, contents())
    with zipfile.ZipFile(path, "a") as made:
        made.comment = b"c" * 0xFFFF
    check_against_zipfile(storage, path)


def test_read_directory_with_bytes_before_the_archive(storage: Storage, tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    write(path, contents())
    path.write_bytes(b"#!/bin/sh\n" * 1000 + path.read_bytes())
    check_against_zipfile(storage, path)


def unicode_path(name: str, of: bytes) -> bytes:
    content = b"\x01" + struct.pack("<I", zlib.crc32(of)) + name.encode()
    return struct.pack("<HH", 0x7075, len(content)) + content


@pytest.mark.parametrize(
    ("extra", "name"),
    [
        (unicode_path("été.mp4", b"?t?.mp4"), "été.mp4"),
        (b"\x0a\x00\x02\x00ab" + unicode_path("été.mp4", b"?t?.mp4"), "été.mp4"),
        (unicode_path("été.mp4", b"renamed.mp4"), "?t?.mp4"),
        (unicode_path("été.mp4", b"?t?.mp4").replace(b"\xc3", b"\xff"), "?t?.mp4"),
        (struct.pack("<HH", 0x7075, 5) + b"\x01" + struct.pack("<I", zlib.crc32(b"?t?.mp4")), "?t?.mp4"),
    ],
)
def test_a_name_that_is_stated_again_in_utf8(storage: Storage, tmp_path: Path, extra: bytes, name: str) -> None:
    info = zipfile.ZipInfo("?t?.mp4")
    info.extra = extra
    with zipfile.ZipFile(tmp_path / "z.zip", "w") as file:
        file.writestr(info, b"x")
    (member,) = directory(storage, tmp_path / "z.zip")
    assert (member.name, member.problem) == (name, None)


def test_range_excludes_bytes_of_deleted_member(storage: Storage, tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as made:
        made.writestr("a.mp4", b"a" * 100)
        made.writestr("deleted", bytes(1 << 20))
        made.writestr("b.mp4", b"b" * 100)
        made.filelist = [info for info in made.filelist if info.filename != "deleted"]
    first = directory(storage, path)[0]
    assert first.length < 200_000
    check_against_zipfile(storage, path)


def test_read_directory_takes_few_requests_and_bytes(storage: Storage, tmp_path: Path) -> None:
    small, large = tmp_path / "small.zip", tmp_path / "large.zip"
    write(small, {f"part/{n:05}.mp4": b"video" * 5000 for n in range(100)})
    write(large, {f"part/{n:05}.mp4": b"video" for n in range(5000)})
    for path, requests in ((small, 1), (large, 2)):
        entry = storage.stat(f"file://{path}")
        before = storage.counters.requests, storage.counters.bytes_read
        assert read_directory(storage, entry)
        assert storage.counters.requests - before[0] == requests
        with zipfile.ZipFile(path) as reference:
            needed = entry.size - reference.start_dir
        assert storage.counters.bytes_read - before[1] <= max(needed, archive.TAIL)


def test_read_directory_beyond_four_gigabytes(storage: Storage, tmp_path: Path) -> None:
    """A sparse archive of 6 GB, its directory written by hand with ZIP64 fields."""
    path, name, video, far = tmp_path / "far.zip", b"part/far.mp4", b"video" * 100, 6 * (1 << 30) + 7
    crc = zlib.crc32(video)
    local = struct.pack("<4s5H3I2H", b"PK\x03\x04", 45, 0, 0, 0, 33, crc, len(video), len(video), len(name), 0)
    extra = struct.pack("<HHQ", 1, 8, far)
    central = struct.pack(
        "<4s6H3I5H2I",
        *(b"PK\x01\x02", 45, 45, 0, 0, 0, 33, crc, len(video), len(video)),
        *(len(name), len(extra), 0, 0, 0, 0, 0xFFFFFFFF),
    )
    with path.open("wb") as file:
        file.seek(far)
        file.write(local + name + video)
        start = file.tell()
        file.write(central + name + extra)
        size, end = file.tell() - start, file.tell()
        file.write(struct.pack("<4sQ2H2I4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, 1, 1, size, start))
        file.write(struct.pack("<4sIQI", b"PK\x06\x07", 0, end, 1))
        file.write(struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, 1, 1, 0xFFFFFFFF, 0xFFFFFFFF, 0))
    assert path.stat().st_blocks * 512 < 1 << 20
    (member,) = directory(storage, path)
    assert (member.offset, member.length) == (far, len(local) + len(name) + len(video))
    check_against_zipfile(storage, path)


@pytest.mark.parametrize("content", [b"", b"PK", b"no zip at all" * 100, bytes(100_000)])
def test_read_directory_rejects_other_files(storage: Storage, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(content)
    with pytest.raises(SourceError, match=r"a\.zip: not a readable zip"):
        directory(storage, path)


def test_read_directory_rejects_truncated_archive(storage: Storage, tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    write(path, contents())
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(SourceError, match="upload is complete"):
        directory(storage, path)


def test_forged_directory_size_is_rejected_unread(
    storage: Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "MAX_DIRECTORY", 100_000)
    path = tmp_path / "a.zip"
    write(path, {"a.mp4": bytes(400_000)})
    content = bytearray(path.read_bytes())
    struct.pack_into("<II", content, len(content) - 10, 300_000, 100)
    path.write_bytes(content)
    with pytest.raises(SourceError, match="300000 bytes; the limit is 100000"):
        directory(storage, path)
    assert storage.counters.bytes_read < 80_000


def test_read_directory_rejects_archive_that_shrinks(storage: Storage, tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    write(path, contents())
    entry = storage.stat(f"file://{path}")
    path.write_bytes(b"PK")
    with pytest.raises(SourceError, match="became shorter"):
        read_directory(storage, entry)


def patched(path: Path, name: str, field: int, form: str, value: int) -> None:
    """Overwrites one field of a member's central header (offsets of APPNOTE.TXT 4.3.12)."""
    content = bytearray(path.read_bytes())
    place = content.index(b"PK\x01\x02")
    while content[place + 46 : place + 46 + len(name)] != name.encode():
        place = content.index(b"PK\x01\x02", place + 4)
    struct.pack_into(form, content, place + field, value)
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("field", "form", "value", "problem"),
    [
        (8, "<H", 1, "UNSUPPORTED_PACKING: the member is encrypted"),
        (10, "<H", 12, "UNSUPPORTED_PACKING: compression method 12"),
        (20, "<I", 500_000, "BAD_RANGE: its 500000 packed bytes"),
        (24, "<I", 1 << 30, "BAD_RANGE: stored, but"),
        (42, "<I", 1 << 30, "BAD_RANGE"),
    ],
)
def test_unreadable_member_has_a_problem(
    storage: Storage, tmp_path: Path, field: int, form: str, value: int, problem: str
) -> None:
    path = tmp_path / "a.zip"
    write(path, {"a.mp4": b"a" * 50, "b.mp4": b"b" * 50, "c.mp4": b"c" * 50})
    patched(path, "b.mp4", field, form, value)
    members = {member.name: member for member in directory(storage, path)}
    assert members["b.mp4"].problem is not None and members["b.mp4"].problem.startswith(problem)
    assert members["b.mp4"].packing is None
    assert members["a.mp4"].problem is None


def test_members_that_share_a_header_are_both_rejected(storage: Storage, tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    write(path, {"a.mp4": b"a" * 50, "b.mp4": b"b" * 50})
    patched(path, "b.mp4", 42, "<I", directory(storage, path)[0].offset)
    assert [(member.problem or "")[:9] for member in directory(storage, path)] == ["BAD_RANGE", "BAD_RANGE"]


@pytest.mark.parametrize("packing", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_read_directory_raises_only_dflib_errors_on_random_bytes(
    storage: Storage, tmp_path: Path, packing: int
) -> None:
    path = tmp_path / "a.zip"
    write(path, contents(), packing, zip64=True)
    whole = path.read_bytes()
    with zipfile.ZipFile(path) as reference:
        start = reference.start_dir
    numbers = random.Random(packing)
    rejected = 0
    for _ in range(800):
        bad = bytearray(whole)
        for _ in range(numbers.randint(1, 6)):
            bad[numbers.randrange(start, len(bad))] = numbers.choice((0, 1, 0xFF, numbers.randrange(256)))
        if numbers.random() < 0.2:
            del bad[numbers.randrange(len(bad)) :]
        path.write_bytes(bad)
        try:
            members = directory(storage, path)
        except DflibError:
            rejected += 1
            continue
        for member in members:
            inside = member.offset >= 0 and member.offset + member.length <= len(bad)
            assert member.problem or inside
    assert 100 < rejected < 800
