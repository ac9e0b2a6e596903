"""Whether two files of one identifier and one size are the same video; the only place where ingest reads videos."""

import zlib

from dflib.errors import StorageError
from dflib.sources.chunk import Video
from dflib.storage import Storage

TAIL_BYTES = 64 << 10
"""Last bytes that are compared: compressed pictures, or the index with the size of each picture."""
PIECE_BYTES = 8 << 20


def same_bytes(storage: Storage, one: Video, two: Video) -> bool:
    """Whether two videos of the same size are equal.

    By fingerprint (CRC and size, or etag) where those are equal; else by CRC where one of them lies in a zip, for which
    the other is read; else by their last :data:`TAIL_BYTES` bytes.  True where one of them cannot be read any more.
    """
    if one.fingerprint == two.fingerprint or (one.crc32 is not None and two.crc32 is not None):
        return one.fingerprint == two.fingerprint or one.crc32 == two.crc32
    try:
        if one.crc32 is None and two.crc32 is None:
            return _tail(storage, one) == _tail(storage, two)
        zipped, file = (one, two) if two.crc32 is None else (two, one)
        return zipped.crc32 == _crc32(storage, file)
    except StorageError:
        return True


def _tail(storage: Storage, file: Video) -> bytes:
    size = file.size or 0
    return storage.read_range(file.uri or "", max(0, size - TAIL_BYTES), TAIL_BYTES)


def _crc32(storage: Storage, file: Video) -> int:
    crc = 0
    for start in range(0, file.size or 0, PIECE_BYTES):
        crc = zlib.crc32(storage.read_range(file.uri or "", start, PIECE_BYTES), crc)
    return crc
