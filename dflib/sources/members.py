"""Reads and checks the bytes of one video, in one request."""

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
    """The bytes of a video as ``videos`` describes it, in one storage request.

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


def _unpack(
    storage: Storage, uri: str, offset: int | None, length: int | None, packing: str, size: int, max_bytes: int
) -> bytes:
    if offset is None or length is None or offset < 0 or length < LOCAL_HEADER.size:
        raise VideoError("BAD_RANGE", f"{uri}: offset {offset}, length {length} cannot contain a zip member")
    if length > max_bytes + HEADER_SLACK:
        raise VideoError("TOO_LARGE", f"{uri}: a range of {length} bytes; the limit for a video is {max_bytes}")
    content = storage.read_range(uri, offset, length)
    where = f"{uri} at {offset}"
    if len(content) != length:
        raise VideoError("BAD_RANGE", f"{where}: only {len(content)} of {length} bytes exist; run ingest again")
    signature, _, flags, *_, name_length, extra_length = LOCAL_HEADER.unpack_from(content)
    if signature != b"PK\x03\x04":
        raise VideoError("BAD_RANGE", f"{where}: no zip member starts here; the archive has changed, run ingest again")
    if flags & _ENCRYPTED:
        raise VideoError("UNSUPPORTED_PACKING", f"{where}: the member is encrypted")
    start = LOCAL_HEADER.size + name_length + extra_length
    packed = memoryview(content)[start:]
    if packing == "stored":
        if len(packed) < size:
            raise VideoError("BAD_RANGE", f"{where}: {len(packed)} of {size} bytes; run ingest again")
        return bytes(packed[:size])
    if size > MAX_RATIO * len(packed) + HEADER_SLACK:
        raise VideoError(
            "TOO_LARGE",
            f"{where}: {len(packed)} bytes with a size of {size} when inflated; video does not compress that well",
        )
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        # One byte more than expected: a member that inflates further is detected without inflating it.
        inflated = inflater.decompress(packed, size + 1)
    except zlib.error as error:
        raise VideoError("BAD_RANGE", f"{where}: cannot be inflated: {error}") from None
    if len(inflated) != size or not inflater.eof:
        raise VideoError("BAD_RANGE", f"{where}: does not inflate to exactly {size} bytes")
    return inflated
