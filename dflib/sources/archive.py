"""Reads the central directory of a zip by range requests.  The archive is never unpacked or read completely.

The standard library's ``zipfile`` parses the central directory (ZIP64, comments, bytes before the archive) from a file
object whose reads are range requests: one for the end of the archive, and a second one when the central directory
starts before that.
"""

import io
import itertools
import struct
import zipfile
from dataclasses import dataclass

from dflib.errors import SourceError
from dflib.sources.members import HEADER_SLACK, LOCAL_HEADER
from dflib.storage import Entry, Storage

TAIL = 22 + 0xFFFF + 20 + 56 + 4096
"""Bytes read first: end record, longest comment, ZIP64 locator and record (APPNOTE.TXT 4.3.14-16), and 4 KiB more,
so that without a comment they include a central directory of up to about 700 short entries."""
MAX_DIRECTORY = 32 << 20
"""Largest central directory that is read, some 400,000 members; limits the cost of a forged length."""
_ENCRYPTED = 0x1
_PACKING = {zipfile.ZIP_STORED: "stored", zipfile.ZIP_DEFLATED: "deflated"}


@dataclass(frozen=True)
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
    """The files in a zip, sorted by name, each with its byte range.  Folders are left out.

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
    infos = archive.infolist()
    starts = sorted(info.header_offset for info in infos)
    # Forged offsets may lie after the directory, and the directory itself after the end.
    last = min(archive.start_dir, entry.size)
    ends = {start: min(end, last) for start, end in zip(starts, [*starts[1:], last], strict=True)}
    # Members that share a header get an empty range, and so a problem.
    ends |= {start: start for start, following in itertools.pairwise(starts) if start == following}
    members = [_member(info, ends[info.header_offset]) for info in infos if not info.orig_filename.endswith("/")]
    return sorted(members, key=lambda member: (member.name, member.offset))


def _member(info: zipfile.ZipInfo, end: int) -> Member:
    # zipfile cuts filename at the first NUL, orig_filename is complete.
    name, offset = info.orig_filename, info.header_offset
    minimum = LOCAL_HEADER.size + len(name) + info.compress_size
    packing = _PACKING.get(info.compress_type)
    problem = None
    if offset < 0 or offset + minimum > end:
        problem = (
            f"BAD_RANGE: its {info.compress_size} packed bytes at {offset} overlap the next member at {end}, "
            "or extend beyond the archive"
        )
    elif info.flag_bits & _ENCRYPTED:
        problem = "UNSUPPORTED_PACKING: the member is encrypted; add it unencrypted"
    elif packing is None:
        problem = f"UNSUPPORTED_PACKING: compression method {info.compress_type}; use stored or deflated"
    elif packing == "stored" and info.compress_size != info.file_size:
        problem = f"BAD_RANGE: stored, but {info.compress_size} packed bytes for a size of {info.file_size}"
    # Bytes of deleted members may lie before the next header; they are not part of the range.
    length = max(0, min(end - offset, info.compress_size + HEADER_SLACK))
    return Member(name, offset, length, None if problem else packing, info.CRC, info.file_size, problem)
