"""Recognises the container of a video by its first bytes, for files whose names do not tell.

The containers are those that ``extraction.decode.FORMATS`` opens.
"""

HEAD_BYTES = 1024
"""Number of first bytes that are looked at."""

_BOXES = (b"moov", b"mdat", b"wide", b"pnot")
"""First boxes of QuickTime files that are older than the box ``ftyp``."""
_NO_VIDEO = (b"M4A ", b"M4B ", b"M4P ", b"F4A ", b"heic", b"heix", b"heim", b"heis", b"mif1", b"avif", b"crx ", b"jp2 ")
"""Brands (ISO/IEC 14496-12, section 4.3) of sound and still images.  Sequences of images have other brands."""
_ASF = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
_MXF = bytes.fromhex("060e2b34020501010d010201010200")[:13]
_OGG_VIDEO = (b"\x80theora", b"BBCD", b"\x01video", b"\x4fVP80")
_TS_PACKETS = ((0, 188), (4, 192))
"""Transport streams: place of the first sync byte, and bytes of a packet (192 with the time stamps of M2TS)."""


def container_of(head: bytes) -> str | None:
    """The container that a file's first :data:`HEAD_BYTES` bytes belong to, such as ``mp4``; None: no known one."""
    first = head[:4]
    if head[4:8] == b"ftyp":
        return None if head[8:12] in _NO_VIDEO else "mp4"
    if head[4:8] in _BOXES and (first == b"\0\0\0\1" or int.from_bytes(first, "big") >= 8):
        return "mov"
    if first == b"\x1aE\xdf\xa3":
        return "matroska"
    if first == b"RIFF" and head[8:12] == b"AVI ":
        return "avi"
    if first == b"\0\0\x01\xba":
        return "mpeg"
    if head[:3] == b"FLV" and head[3:4] in (b"\x01", b"\x02", b"\x03", b"\x04"):
        return "flv"
    if head.startswith(_ASF):
        return "asf"
    if first == b"OggS":
        return "ogg" if any(mark in head for mark in _OGG_VIDEO) else None
    if head.startswith(_MXF):
        return "mxf"
    for start, packet in _TS_PACKETS:
        places = range(start, len(head), packet)
        if len(places) >= 3 and all(head[place] == 0x47 for place in places):
            return "mpegts"
    return None
