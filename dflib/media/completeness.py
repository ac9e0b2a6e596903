"""Whether a file is complete, as far as its container tells.

A file that was cut short often still opens, and looks like a shorter video.
"""

import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dflib.media import mp4_boxes

_SEGMENT = b"\x18\x53\x80\x67"  # of Matroska, RFC 9559
_ASF_HEADER = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
_ASF_FILE_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
_MXF_PARTITION = bytes.fromhex("060e2b34020501010d01020101")  # SMPTE ST 377-1, less the kind of partition
_TAIL = 1 << 16
_TS_SYNC = 0x47
_FLV_TAGS = (8, 9, 18)  # sound, video, script data

TOLERANCE = 0.5
"""Seconds that a video stream may end before the duration that the container states."""


@dataclass(frozen=True)
class Completeness:
    """What is known about the end of a file.

    Attributes:
        cut: why it is known to be cut short; None: it is not known to be.
        unknown: why that can't be known; None: it can.
    """

    cut: str | None = None
    unknown: str | None = None


COMPLETE = Completeness()


def examine(content: bytes, container: str) -> Completeness:
    """What the structure of a file tells about its end.

    Args:
        content: the file.
        container: FFmpeg's name of its format, such as ``matroska,webm``.
    """
    check = _CHECKS.get(container.partition(",")[0])
    return check(content) if check else COMPLETE


def stated_duration(content: bytes, container: str, opened: Any) -> float | None:
    """Seconds that a container states, not those that FFmpeg estimates; None: it states none.

    Args:
        content: the file.
        container: FFmpeg's name of its format.
        opened: the open container.
    """
    if container == "flv":
        # The script data that precede the tags: a name and, as AMF 0 writes it, a number.
        start = content.find(b"onMetaData", 0, _TAIL)
        place = content.find(b"duration\0", start, start + _TAIL) + 9 if start >= 0 else 8
        value = struct.unpack_from(">d", content, place)[0] if 8 < place <= len(content) - 8 else 0.0
        return float(value) if 0 < value < 1e9 else None
    if container in ("mpegts", "mpeg"):
        return None
    return opened.duration / 1e6 if opened.duration else None  # in units of AV_TIME_BASE


def by_duration(stated: float | None, end: float, gap: float) -> Completeness:
    """What the duration that a container states tells about its end.

    Args:
        stated: seconds; None: the container states none.
        end: of the last packet of any stream, seconds.
        gap: longest time between two frames, which the last one may last.
    """
    if stated is None:
        return Completeness(unknown="the container states neither its size nor its duration")
    if end + max(TOLERANCE, gap) < stated:
        return Completeness(cut=f"the file ends after {end:.2f} of {stated:.2f} seconds")
    return COMPLETE


def _mp4(content: bytes) -> Completeness:
    kinds = []
    for box in mp4_boxes.boxes(content):
        # Frames that lie in the box with the media are checked one by one.  Other bytes at the end are no loss.
        if box.end > len(content) and box.kind == b"moof":
            return Completeness(cut="the file ends inside a fragment")
        if box.kind == b"moov" and box.kind in kinds:
            return Completeness(cut=f"a second video follows at byte {box.start - 8} and was not looked at")
        kinds.append(box.kind)
    if b"moof" in kinds and b"mfra" not in kinds:
        return Completeness(unknown="a fragmented mp4 without a fragment index (mfra) does not state its length")
    return COMPLETE


def _matroska(content: bytes) -> Completeness:
    place = content.find(_SEGMENT)
    if place < 0:
        return COMPLETE
    place += len(_SEGMENT)
    if place >= len(content) or content[place] == 0:
        return COMPLETE
    length = 9 - content[place].bit_length()  # of the size itself
    size = int.from_bytes(content[place : place + length], "big") & ((1 << 7 * length) - 1)
    if size == (1 << 7 * length) - 1:
        return Completeness(unknown="its segment has no size")
    missing = place + length + size - len(content)
    return Completeness(cut=f"the last {missing} bytes of its segment are missing") if missing > 0 else COMPLETE


def _avi(content: bytes) -> Completeness:
    place = 0
    while content[place : place + 4] == b"RIFF":
        size = int.from_bytes(content[place + 4 : place + 8], "little")
        end = place + 8 + size
        if size in (0, 0xFFFFFFFF):
            return Completeness(unknown="its RIFF chunk has no size")
        if end > len(content) + 8:  # some writers count the header
            return Completeness(cut=f"the last {end - len(content)} bytes of its RIFF chunk are missing")
        place = end + end % 2
    return COMPLETE


def _mpegts(content: bytes) -> Completeness:
    sizes = [size for size in (188, 192, 204) if _is_mpegts(content, size)]
    start = 4 if sizes and sizes[0] == 192 else 0
    rest = len(content) % sizes[0] if sizes else 0
    if rest > start and content[len(content) - rest + start] == _TS_SYNC:
        return Completeness(cut=f"the file ends inside a packet of {sizes[0]} bytes")
    return Completeness(unknown="an MPEG transport stream does not state its length")


def _is_mpegts(content: bytes, size: int) -> bool:
    start = 4 if size == 192 else 0  # M2TS packets begin with a time stamp
    return all(content[place] == _TS_SYNC for place in range(start, min(len(content), start + 10 * size), size))


def _mpeg(content: bytes) -> Completeness:
    if b"\0\0\1\xb9" in content[-_TAIL:]:
        return COMPLETE
    return Completeness(unknown="a program stream without an end code does not state its length")


def _flv(content: bytes) -> Completeness:
    place = 13  # header, and the size of no tag before the first
    while place + 11 <= len(content) and content[place] & 0x1F in _FLV_TAGS:
        end = place + 11 + int.from_bytes(content[place + 1 : place + 4], "big")
        if end > len(content):
            return Completeness(cut="the file ends inside a tag")
        place = end + 4
    return COMPLETE


def _asf(content: bytes) -> Completeness:
    place = content.find(_ASF_FILE_PROPERTIES, 0, _TAIL)
    if not content.startswith(_ASF_HEADER) or place < 0:
        return COMPLETE
    second = content.find(_ASF_HEADER, len(_ASF_HEADER))
    if second >= 0:
        return Completeness(cut=f"a second video follows at byte {second} and was not looked at")
    size = int.from_bytes(content[place + 40 : place + 48], "little")
    if size > len(content):
        return Completeness(cut=f"the file states a size of {size} bytes and has {len(content)}")
    broadcast = content[place + 88 : place + 89] != b"" and content[place + 88] & 1
    return Completeness(unknown="a broadcast does not state its length") if broadcast or size == 0 else COMPLETE


def _ogg(content: bytes) -> Completeness:
    place = content.rfind(b"OggS")
    header = content[place : place + 27] if place >= 0 else b""
    if len(header) < 27:
        return Completeness(cut="the file ends inside a page")
    segments = content[place + 27 : place + 27 + header[26]]
    if len(segments) < header[26] or place + 27 + len(segments) + sum(segments) > len(content):
        return Completeness(cut="the file ends inside a page")
    return COMPLETE if header[5] & 4 else Completeness(cut="its last page does not end a stream")


def _mxf(content: bytes) -> Completeness:
    places = [found.start() for found in re.finditer(re.escape(_MXF_PARTITION), content)]
    if any(content[place + 13 : place + 14] == b"\x04" for place in places):
        return COMPLETE
    return Completeness(cut="it has no footer partition") if places else COMPLETE


_CHECKS: dict[str, Callable[[bytes], Completeness]] = {
    "mov": _mp4,
    "matroska": _matroska,
    "avi": _avi,
    "mpegts": _mpegts,
    "mpeg": _mpeg,
    "flv": _flv,
    "asf": _asf,
    "ogg": _ogg,
    "mxf": _mxf,
}
