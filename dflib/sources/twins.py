"""Whether two files of one identifier and one size are the same video; the only place where ingest reads videos."""

import zlib
from collections.abc import Iterator

from dflib.errors import MissingError
from dflib.sources.chunk import Video
from dflib.storage import Storage, content_etags

PIECE_BYTES = 8 << 20


def same_bytes(storage: Storage, kept: Video, new: Video) -> bool | None:
    """Whether two videos of the same size are equal.

    By CRC where both lie in zips; by etag where both lie in storage whose etags tell the content; else by their whole
    content, which is read in pieces.  A video in a zip is compared by its CRC, and not read.

    Returns:
        None: ``kept`` is not there any more.

    Raises:
        StorageError: one of them cannot be read, or ``new`` does not exist.
    """
    if kept.size != new.size:
        return False
    if kept.crc32 is not None and new.crc32 is not None:
        return kept.crc32 == new.crc32
    if kept.crc32 is None and new.crc32 is None:
        if kept.uri == new.uri or (kept.fingerprint == new.fingerprint and _tells_content(kept, new)):
            return True
        news = _pieces(storage, new)
        try:
            return all(piece == next(news) for piece in _pieces(storage, kept))
        except MissingError as error:
            if _is_of(error, new):
                raise
            return None
    zipped, file = (kept, new) if new.crc32 is None else (new, kept)
    try:
        crc = 0
        for piece in _pieces(storage, file):
            crc = zlib.crc32(piece, crc)
        return zipped.crc32 == crc
    except MissingError:
        if file is new:
            raise
        return None


def _tells_content(one: Video, two: Video) -> bool:
    return bool(one.uri and two.uri) and content_etags(one.uri or "") and content_etags(two.uri or "")


def _is_of(error: MissingError, video: Video) -> bool:
    return str(error).startswith(f"{video.uri}:")


def _pieces(storage: Storage, file: Video) -> Iterator[bytes]:
    for start in range(0, file.size or 0, PIECE_BYTES):
        yield storage.read_range(file.uri or "", start, PIECE_BYTES)
