"""Reads and checks the bytes of one video, in one request; of a large one in a zip, in two."""

import io
import struct
import zlib

from dflib.errors import VideoError
from dflib.storage import Storage

LOCAL_HEADER = struct.Struct("<4sHHHHHIIIHH")
"""Fixed part of a local file header (APPNOTE.TXT 6.3.10, section 4.3.7): 30 bytes."""
HEADER_SLACK = LOCAL_HEADER.size + 2 * 0xFFFF + 24
"""Largest number of bytes of a range besides the compressed ones: header, name, extra field, data descriptor."""
_ENCRYPTED = 0x1
MAX_RATIO = 100
"""Largest compression ratio.  Video is compressed already, so a better one is a bomb and is rejected."""
LARGE = 16 << 20
"""Size in bytes from which the header of a stored member is read by itself, so that its content is held only once."""
PIECE = 1 << 20
"""Bytes that are inflated at a time."""


def read_member(
    storage: Storage,
    uri: str,
    offset: int | None,
    length: int | None,
    packing: str,
    crc32: int | None,
    size: int,
    max_bytes: int,
) -> bytes:
    """The bytes of a video as ``videos`` describes it, in one storage request; from :data:`LARGE` on, in two.

    A stored video is held once; a deflated one, once beside its packed bytes.

    Args:
        storage: where the video is.
        uri: the archive, or the file itself when ``packing`` is ``file``.
        offset: offset of the local header in bytes; not used for a file.
        length: bytes up to the next header; not used for a file.
        packing: ``stored``, ``deflated`` or ``file``.
        crc32: expected CRC-32 of the video; None: not checked.
        size: expected size of the video in bytes.
        max_bytes: largest size in bytes; nothing is read of a larger video.

    Raises:
        VideoError: ``EMPTY_FILE``, ``TOO_LARGE``, ``BAD_RANGE`` (the content has changed since ingest),
            ``CRC_MISMATCH`` or ``UNSUPPORTED_PACKING``.
        StorageError: the object cannot be read.
    """
    if packing not in ("stored", "deflated", "file"):
        raise VideoError(
            "UNSUPPORTED_PACKING", f"{uri}: packing {packing!r} has no readable video; use stored, deflated or file"
        )
    if size <= 0:
        raise VideoError("EMPTY_FILE", f"{uri}: the video contains no bytes")
    if size > max_bytes:
        raise VideoError("TOO_LARGE", f"{uri}: {size} bytes; the limit is {max_bytes}")
    if packing == "file":
        # One byte more than expected, so that a file that has grown is detected without reading all of it.
        content = storage.read_range(uri, 0, size + 1)
        if len(content) != size:
            raise VideoError("BAD_RANGE", f"{uri}: is no longer {size} bytes long; run ingest again")
    else:
        content = _unpack(storage, uri, offset, length, packing, size, max_bytes)
    if crc32 is not None and zlib.crc32(content) != crc32:
        raise VideoError("CRC_MISMATCH", f"{uri}: CRC-32 is {zlib.crc32(content):08x} instead of {crc32:08x}")
    return content


def read_head(
    storage: Storage, uri: str, offset: int, length: int, packing: str, max_bytes: int, name_bytes: int = 1024
) -> bytes:
    """The first bytes of a file, for a look at what it is; nothing is checked.

    Args:
        storage: where the file is.
        uri, offset, length, packing: as for :func:`read_member`; of a ``file``, ``length`` is its size.
        max_bytes: number of bytes.
        name_bytes: bytes that are read for the name and the extra field of a zip member's header.

    Returns:
        At most ``max_bytes`` bytes; none when they cannot be found.

    Raises:
        StorageError: the object cannot be read.
    """
    if packing == "file":
        return storage.read_range(uri, 0, min(length, max_bytes))
    content = storage.read_range(uri, offset, min(length, LOCAL_HEADER.size + name_bytes + max_bytes))
    if len(content) < LOCAL_HEADER.size or not content.startswith(b"PK\x03\x04"):
        return b""
    *_, name_length, extra_length = LOCAL_HEADER.unpack_from(content)
    packed = content[LOCAL_HEADER.size + name_length + extra_length :]
    if packing == "stored":
        return packed[:max_bytes]
    try:
        return zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed, max_bytes)
    except zlib.error:
        return b""


def _unpack(
    storage: Storage, uri: str, offset: int | None, length: int | None, packing: str, size: int, max_bytes: int
) -> bytes:
    if offset is None or length is None or offset < 0 or length < LOCAL_HEADER.size:
        raise VideoError("BAD_RANGE", f"{uri}: offset {offset}, length {length} cannot contain a zip member")
    if length > max_bytes + HEADER_SLACK:
        raise VideoError("TOO_LARGE", f"{uri}: a range of {length} bytes; the limit for a video is {max_bytes}")
    where = f"{uri} at {offset}"
    if packing == "stored" and size >= LARGE:
        # A slice of a range would be a second copy of the content.
        start = _start(storage.read_range(uri, offset, LOCAL_HEADER.size), where)
        content = storage.read_range(uri, offset + start, size) if start + size <= length else b""
        if len(content) != size:
            raise VideoError("BAD_RANGE", f"{where}: {len(content)} of {size} bytes; run ingest again")
        return content
    content = storage.read_range(uri, offset, length)
    if len(content) != length:
        raise VideoError("BAD_RANGE", f"{where}: only {len(content)} of {length} bytes exist; run ingest again")
    packed = memoryview(content)[_start(content, where) :]
    if packing == "stored":
        if len(packed) < size:
            raise VideoError("BAD_RANGE", f"{where}: {len(packed)} of {size} bytes; run ingest again")
        return bytes(packed[:size])
    if size > MAX_RATIO * len(packed) + HEADER_SLACK:
        raise VideoError(
            "TOO_LARGE",
            f"{where}: {len(packed)} bytes with a size of {size} when inflated; video does not compress that well",
        )
    return _inflate(packed, size, where)


def _start(content: bytes, where: str) -> int:
    """The number of bytes from the local header to the packed bytes."""
    if len(content) < LOCAL_HEADER.size or not content.startswith(b"PK\x03\x04"):
        raise VideoError("BAD_RANGE", f"{where}: no zip member starts here; the archive has changed, run ingest again")
    _, _, flags, *_, name_length, extra_length = LOCAL_HEADER.unpack_from(content)
    if flags & _ENCRYPTED:
        raise VideoError("UNSUPPORTED_PACKING", f"{where}: the member is encrypted")
    return LOCAL_HEADER.size + int(name_length) + int(extra_length)


def _inflate(packed: memoryview, size: int, where: str) -> bytes:
    """Inflates in pieces: zlib's own buffer would be joined at the end, which holds the content twice."""
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    inflated = io.BytesIO()
    place = 0
    try:
        # One byte more than expected: a member that inflates further is detected without inflating it.
        while not inflater.eof and inflated.tell() <= size:
            feed = inflater.unconsumed_tail or packed[place : place + PIECE]
            if not inflater.unconsumed_tail:
                place += len(feed)
            piece = inflater.decompress(feed, min(PIECE, size + 1 - inflated.tell()))
            if not piece and not feed:
                break
            inflated.write(piece)
    except zlib.error as error:
        raise VideoError("BAD_RANGE", f"{where}: cannot be inflated: {error}") from None
    if inflated.tell() != size or not inflater.eof:
        raise VideoError("BAD_RANGE", f"{where}: does not inflate to exactly {size} bytes")
    return inflated.getvalue()
