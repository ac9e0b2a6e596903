"""Damaged and forged zips, seeded, and what ingest makes of them, compared with ``zipfile`` over the whole file.

``python -m tests.hostile.zips FOLDER`` reads them all in one process and prints the counts as JSON.
"""

import io
import json
import random
import struct
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

from dflib.errors import SourceError, VideoError
from dflib.sources.chunk import Chunk, Source, code
from dflib.sources.members import read_member
from dflib.sources.readers import read_zip
from dflib.sources.reading import _check_rows
from dflib.storage import Storage
from tests.hostile.census import Census
from tests.sources.settings import sources

MAX_BYTES = 64 << 20
_VALUES = (0, 1, 2, 0x7F, 0x80, 0xFF, 0xFFFE, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)
_VALUES_64 = (*_VALUES, 2**62, 2**63 - 1, 2**63, 2**64 - 2, 2**64 - 1)
_CENTRAL, _LOCAL, _END, _END_64, _LOCATOR = b"PK\1\2", b"PK\3\4", b"PK\5\6", b"PK\6\6", b"PK\6\7"
_FIELDS = {
    _CENTRAL: [(4, "<H"), (6, "<H"), (8, "<H"), (10, "<H"), (12, "<I"), (16, "<I"), (20, "<I"), (24, "<I"), (28, "<H"),
               (30, "<H"), (32, "<H"), (34, "<H"), (42, "<I")],
    _LOCAL: [(4, "<H"), (6, "<H"), (8, "<H"), (14, "<I"), (18, "<I"), (22, "<I"), (26, "<H"), (28, "<H")],
    _END: [(4, "<H"), (6, "<H"), (8, "<H"), (10, "<H"), (12, "<I"), (16, "<I"), (20, "<H")],
    _END_64: [(4, "<Q"), (16, "<I"), (24, "<Q"), (32, "<Q"), (40, "<Q"), (48, "<Q")],
    _LOCATOR: [(4, "<I"), (8, "<Q"), (16, "<I")],
}  # fmt: skip
"""Offsets and formats of the fields of each record (APPNOTE.TXT 4.3)."""


def intact(seed: int) -> list[bytes]:
    """Zips of many kinds that are intact."""
    numbers = random.Random(seed)
    made = []
    for kind in range(8):
        buffer = io.BytesIO(b"#!/bin/sh\n" * 50 if kind == 3 else b"")
        buffer.seek(0, io.SEEK_END)
        with zipfile.ZipFile(buffer, "a", (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)[kind % 2]) as archive:
            for number in range(0 if kind == 7 else numbers.randint(1, 6)):
                name = f"part/{number}{numbers.choice(('.mp4', '.mkv', '', '.txt', 'é.mp4'))}"
                with archive.open(name, "w", force_zip64=kind in (2, 5)) as member:
                    member.write(numbers.randbytes(numbers.randint(0, 900)) + bytes(numbers.randint(0, 300)))
            archive.writestr("part/metadata.json", json.dumps({"0.mp4": {"label": "FAKE", "original": "1.mp4"}}))
            if kind == 4:
                archive.comment = numbers.randbytes(300)
            if kind == 6:
                archive.writestr("part/inner.zip", made[0])
        made.append(buffer.getvalue())
    return made


def damaged(count: int, seed: int = 14) -> Iterator[bytes]:
    """Zips with random bytes, cut or lengthened, with forged fields, or with records in wrong places."""
    numbers = random.Random(seed)
    while True:
        for whole in intact(numbers.randrange(1 << 30)):
            for _ in range(6):
                yield _one(bytearray(whole), numbers)
                count -= 1
                if not count:
                    return


def _one(content: bytearray, numbers: random.Random) -> bytes:
    for _ in range(numbers.randint(1, 3)):
        kind = numbers.randrange(8)
        start = max(0, content.find(_CENTRAL))
        if kind == 0 and content:
            for _ in range(numbers.randint(1, 6)):
                content[numbers.randrange(len(content))] = numbers.choice((0, 1, 0xFF, numbers.randrange(256)))
        elif kind in (1, 2) and len(content) > start:
            for _ in range(numbers.randint(1, 4)):
                content[numbers.randrange(start, len(content))] = numbers.randrange(256)
        elif kind in (3, 4):
            _forge(content, numbers)
        elif kind == 5:
            del content[numbers.randrange(len(content) + 1) :]
        elif kind == 6:
            content += numbers.choice((b"\0" * 30, _END + bytes(18), numbers.randbytes(40), content[start:]))
        else:
            place, length = numbers.randrange(len(content) + 1), numbers.randint(1, 60)
            if numbers.random() < 0.5:
                del content[place : place + length]
            else:
                content[place:place] = content[place : place + length]
    return bytes(content)


def _forge(content: bytearray, numbers: random.Random) -> None:
    signature = numbers.choice([each for each in _FIELDS if each in content] or [b""])
    if not signature:
        return
    places = [place for place in range(len(content)) if content.startswith(signature, place)]
    offset, form = numbers.choice(_FIELDS[signature])
    place = numbers.choice(places) + offset
    size = struct.calcsize(form)
    if place + size <= len(content):
        struct.pack_into(form, content, place, numbers.choice(_VALUES_64) % (1 << 8 * size))


def bombs() -> Iterator[bytes]:
    """Zips that are valid and cost much: metadata and heads that inflate, many members, many entries, one range."""
    for fill in (b" ", b"[", b'{"a":'):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("metadata.json", fill * ((15 << 20) // len(fill)))
            archive.writestr("head", bytes(40 << 20))
            archive.writestr("a.mp4", bytes(60 << 20))
        yield buffer.getvalue()
    for count in (70_000, 249_000, 399_000):
        yield many_members(count)
    listing = json.dumps({f"{number:x}": {"label": "REAL"} for number in range(190_000)})
    for text in (listing, listing.replace("REAL", "F"), listing[:-1] + ', "../a": 1, "a": [' + "0," * 99 + "0]}"):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            for folder in range(5):
                archive.writestr(f"p{folder}/metadata.json", text)
        yield buffer.getvalue()


def many_members(count: int) -> bytes:
    """A zip with many members of one byte, which all have names of their own."""
    locals_, centrals, place = [], [], 0
    for number in range(count):
        name = b"%07d.mp4" % number
        local = struct.pack("<4s5H3I2H", _LOCAL, 20, 0, 0, 0, 33, 0x8CDC1683, 1, 1, len(name), 0) + name + b"x"
        centrals.append(
            struct.pack("<4s6H3I5H2I", _CENTRAL, 20, 20, 0, 0, 0, 33, 0x8CDC1683, 1, 1, len(name), 0, 0, 0, 0, 0, place)
            + name
        )
        locals_.append(local)
        place += len(local)
    directory = b"".join(centrals)
    end = place + len(directory)
    return b"".join(
        (
            *locals_,
            directory,
            struct.pack("<4sQ2H2I4Q", _END_64, 44, 45, 45, 0, 0, count, count, len(directory), place),
            struct.pack("<4sIQI", _LOCATOR, 0, end, 1),
            struct.pack("<4s4H2IH", _END, 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0),
        )
    )


def read(storage: Storage, path: Path) -> Chunk | str:
    """What ingest makes of a zip: a chunk, or ``refused``; any other text is a fault."""
    uri = f"file://{path}"
    try:
        chunk = read_zip(storage, Source("zip", uri, (storage.stat(uri),)), sources())
        _check_rows(chunk)
    except SourceError as error:
        return "refused" if str(error).startswith(uri) else f"no place in {error}"
    if [code(problem) for problem in chunk.problems] == ["NOT_A_ZIP"]:
        return "refused"
    return chunk


def judge(storage: Storage, path: Path, chunk: Chunk) -> str:
    """Compares a chunk with what ``zipfile`` reads: ``right``, or what is wrong."""
    with zipfile.ZipFile(path) as archive:
        infos = [info for info in archive.infolist() if not info.orig_filename.endswith("/")]
        if chunk.members != len(infos):
            return f"{chunk.members} members instead of {len(infos)}"
        places = {info.header_offset: info for info in infos}
        for video in chunk.videos if len(chunk.videos) < 1000 else chunk.videos[::5000]:
            if video.uri is None or video.packing is None or video.size is None:
                if not video.problems:
                    return f"{video.video_id} has no place and no problem"
                continue
            try:
                content = read_member(
                    storage, video.uri, video.offset, video.length, video.packing, video.crc32, video.size, MAX_BYTES
                )
            except VideoError:
                continue
            try:
                expected = archive.read(places[video.offset or 0])
            except Exception:  # what zipfile refuses has no other truth than its CRC-32, which was checked
                continue
            if content != expected:
                return f"{video.video_id} has other bytes than zipfile reads"
    return "right"


if __name__ == "__main__":
    census, storage, path = Census(), Storage(), Path(sys.argv[1]) / "chunk.zip"
    for content in (*intact(1), *damaged(1500), *bombs()):
        path.write_bytes(content)
        census.add(lambda: read(storage, path), lambda chunk: judge(storage, path, chunk))
    print(census.json())
