"""Reads the central directory of a zip by range requests.  The archive is never unpacked or read completely.

The standard library's ``zipfile`` parses the central directory (ZIP64, comments, bytes before the archive) from a file
object whose reads are range requests: one for the end of the archive, and a second one when the central directory
starts before that.
"""

import io
import struct
import zipfile
import zlib
from dataclasses import dataclass

from dflib.errors import SourceError
from dflib.sources.members import HEADER_SLACK, LOCAL_HEADER
from dflib.storage import Entry, Storage

TAIL = 22 + 0xFFFF + 20 + 56 + 4096
"""Bytes read first: end record, longest comment, ZIP64 locator and record (APPNOTE.TXT 4.3.14-16), and 4 KiB more,
so that without a comment they include a central directory of up to about 700 short entries."""
MAX_DIRECTORY = 32 << 20
"""Largest central directory that is read, some 400,000 members; limits the cost of a forged length."""
MAX_SIZE = 2**63 - 1
"""Largest size and offset that a row can hold; ZIP64 fields go to twice that."""
_ENCRYPTED, _UTF8, _UNICODE_PATH = 0x1, 0x800, 0x7075
_PACKING = {zipfile.ZIP_STORED: "stored", zipfile.ZIP_DEFLATED: "deflated"}


@dataclass(frozen=True, slots=True)
class Member:
    """One file in a zip.

    Attributes:
        name: as in the central directory, untrusted.
        offset: offset of its local header in the archive, in bytes.
        length: bytes from there to the next header; they contain this member and padding only.
        packing: ``stored`` or ``deflated``; None when ``problem`` is set.
        crc32, size: CRC-32 and bytes of the unpacked file.
        problem: ``CODE: text``, why its bytes cannot be read; None when they can.
    """

    name: str
    offset: int
    length: int
    packing: str | None
    crc32: int
    size: int
    problem: str | None


class RangeFile(io.RawIOBase):
    """A read-only file over range requests.  Its last :data:`TAIL` bytes are fetched in one request and cached."""

    def __init__(self, storage: Storage, entry: Entry) -> None:
        super().__init__()
        self._storage, self._entry = storage, entry
        self._position = 0
        self._tail_start = max(0, entry.size - TAIL)
        self._tail: bytes | None = None

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._entry.size}[whence]
        if start + offset < 0:
            raise OSError(f"seek to {start + offset}, before the start")
        self._position = start + offset
        return self._position

    def read(self, size: int = -1, /) -> bytes:
        """Up to ``size`` bytes (-1: to the end) from the current position.

        Raises:
            zipfile.BadZipFile: more than :data:`MAX_DIRECTORY` bytes are requested.
            SourceError: the object is shorter than when it was listed.
        """
        end = self._entry.size if size < 0 else min(self._position + size, self._entry.size)
        start = self._position
        if end <= start:
            return b""
        if end - start > MAX_DIRECTORY:
            raise zipfile.BadZipFile(f"a central directory of {end - start} bytes; the limit is {MAX_DIRECTORY}")
        content = b""
        if start < self._tail_start:
            content = self._fetch(start, min(end, self._tail_start))
        if end > self._tail_start:
            if self._tail is None:
                self._tail = self._fetch(self._tail_start, self._entry.size)
            content += self._tail[max(0, start - self._tail_start) : end - self._tail_start]
        self._position = end
        return content

    def _fetch(self, start: int, end: int) -> bytes:
        content = self._storage.read_range(self._entry.uri, start, end - start)
        if len(content) != end - start:
            raise SourceError(
                f"{self._entry.uri}: became shorter while it was read; run ingest again when the upload is complete"
            )
        return content


def read_directory(storage: Storage, entry: Entry) -> list[Member]:
    """The files in a zip, each with its byte range: by name, and those of one name as in the central directory.

    Folders are left out, but not what has a folder's name and contains bytes.

    Raises:
        SourceError: the object is not a zip, its central directory is broken or larger than :data:`MAX_DIRECTORY`,
            or it changed while it was read.
        StorageError: the object cannot be read.
    """
    try:
        # The constructor reads the directory; the archive object needs no further access.
        archive = zipfile.ZipFile(RangeFile(storage, entry))
    except (
        zipfile.BadZipFile,
        NotImplementedError,
        struct.error,
        ValueError,
        OverflowError,
        EOFError,
        OSError,
    ) as error:
        # Raised by zipfile on corrupt bytes; UnicodeDecodeError is a ValueError, a bad seek an OSError.
        raise SourceError(f"{entry.uri}: not a readable zip ({error}); check that the upload is complete") from None
    numbered = {id(info): number for number, info in enumerate(archive.infolist())}
    infos = sorted(archive.infolist(), key=lambda info: info.header_offset)
    if not infos and archive.start_dir > 0:
        raise SourceError(
            f"{entry.uri}: not a readable zip (its directory is empty, but {archive.start_dir} bytes come before it); "
            "check that the upload is complete"
        )
    # Forged offsets may lie after the directory, and the directory itself after the end.
    last = min(archive.start_dir, entry.size)
    del archive
    members: list[tuple[int, Member]] = []
    for number, info in enumerate(infos):
        following = infos[number + 1].header_offset if number + 1 < len(infos) else last
        previous = infos[number - 1].header_offset if number else -1
        # Members that share a header get an empty range, and so a problem.
        end = info.header_offset if info.header_offset == previous else min(following, last)
        if not info.orig_filename.endswith("/") or info.file_size:
            members.append((numbered[id(info)], _member(info, end)))
    return [member for _, member in sorted(members, key=lambda pair: (pair[1].name, pair[0]))]


def _member(info: zipfile.ZipInfo, end: int) -> Member:
    name, offset, packed, size = _name(info), info.header_offset, info.compress_size, info.file_size
    minimum = LOCAL_HEADER.size + len(info.orig_filename) + packed
    packing = _PACKING.get(info.compress_type)
    problem = None
    if size > MAX_SIZE or not 0 <= offset <= MAX_SIZE:
        problem = f"BAD_RANGE: a size of {size} bytes at {offset} is not possible"
        size, offset = min(size, MAX_SIZE), max(0, min(offset, MAX_SIZE))
    elif offset + minimum > end:
        problem = (
            f"BAD_RANGE: its {packed} packed bytes at {offset} overlap the next member at {end}, "
            "or extend beyond the archive"
        )
    elif info.flag_bits & _ENCRYPTED:
        problem = "UNSUPPORTED_PACKING: the member is encrypted; add it unencrypted"
    elif packing is None:
        problem = f"UNSUPPORTED_PACKING: compression method {info.compress_type}; use stored or deflated"
    elif packing == "stored" and packed != size:
        problem = f"BAD_RANGE: stored, but {packed} packed bytes for a size of {size}"
    # Bytes of deleted members may lie before the next header; they are not part of the range.
    length = max(0, min(end - offset, packed + HEADER_SLACK))
    return Member(name, offset, length, None if problem else packing, info.CRC, size, problem)


def _name(info: zipfile.ZipInfo) -> str:
    """The complete name: zipfile cuts ``filename`` at the first NUL.

    Without the flag for UTF-8, a name is in code page 437 (APPNOTE.TXT appendix D); but macOS and others write UTF-8
    without the flag, and no other text is valid UTF-8 by chance. Others state the name again in UTF-8.
    """
    name = info.orig_filename
    in_utf8 = bool(info.flag_bits & _UTF8)
    encoded = name.encode("utf-8" if in_utf8 else "cp437")
    stated = _unicode_path(info.extra, encoded)
    if stated is not None:
        return stated
    try:
        return name if in_utf8 else encoded.decode()
    except UnicodeError:
        return name


def _unicode_path(extra: bytes, name: bytes) -> str | None:
    """The name of an Info-ZIP Unicode Path field (APPNOTE.TXT 4.6.9), if there is one for this name.

    A program that renames the member and does not know the field leaves the old one there: the CRC-32 tells.
    """
    while len(extra) >= 4:
        kind, length = struct.unpack_from("<HH", extra)
        content, extra = extra[4 : 4 + length], extra[4 + length :]
        is_name = kind == _UNICODE_PATH and len(content) > 5 and content[0] == 1
        if is_name and int.from_bytes(content[1:5], "little") == zlib.crc32(name):
            try:
                return content[5:].decode()
            except UnicodeError:
                return None
    return None
