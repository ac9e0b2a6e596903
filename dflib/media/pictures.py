"""What a packet holds, read from its bytes without decoding: whether it shows a picture, and of which kind."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

_SLICE, _PARTITIONS, _IDR = 1, (2, 3, 4), 5  # NAL unit types of H.264, ITU-T H.264 table 7-1
_FIRST_NON_VCL = 32  # NAL unit types of HEVC below it are pictures, ITU-T H.265 table 7-1


@dataclass(frozen=True, slots=True)
class Picture:
    """What a packet holds.

    Attributes:
        shown: whether it holds a picture that is shown.
        idr, referenced: whether that is an IDR picture, and whether other pictures refer to it (``nal_ref_idc``); None:
            not known.
    """

    shown: bool
    idr: bool | None = None
    referenced: bool | None = None


NOT_SHOWN = Picture(shown=False)
UNKNOWN = Picture(shown=True)
_KINDS = {(idr, referenced): Picture(True, idr, referenced) for idr in (True, False) for referenced in (True, False)}

Reader = Callable[[bytes], Picture]


def reader(codec: str, extradata: bytes | None) -> Reader | None:
    """A function from the bytes of a packet to what it holds; None for a codec whose packets are not looked into.

    Args:
        codec: FFmpeg's name of it.
        extradata: of the stream: tells how its NAL units are separated.
    """
    if codec == "h264":
        # avcC, ISO/IEC 14496-15 5.3.3.1.2
        length = (extradata[4] & 3) + 1 if extradata and len(extradata) >= 7 and extradata[0] == 1 else None
        return lambda packet: _h264(packet, length)
    if codec == "hevc":
        # hvcC, ISO/IEC 14496-15 8.3.3.1.2
        length = (extradata[21] & 3) + 1 if extradata and len(extradata) >= 23 and extradata[0] == 1 else None
        return lambda packet: _hevc(packet, length)
    return {"vp8": _vp8, "vp9": _vp9}.get(codec)


def _h264(packet: bytes, length: int | None) -> Picture:
    kinds: set[tuple[bool, bool]] = set()
    for place in _nal_units(packet, length):
        if place < 0:
            return UNKNOWN
        header = packet[place]
        if header & 31 in _PARTITIONS:
            return UNKNOWN
        if header & 31 in (_SLICE, _IDR):
            kinds.add((header & 31 == _IDR, header >> 5 & 3 > 0))
    if not kinds:
        return NOT_SHOWN
    # Fields of one frame may differ.
    return _KINDS[kinds.pop()] if len(kinds) == 1 else UNKNOWN


def _hevc(packet: bytes, length: int | None) -> Picture:
    for place in _nal_units(packet, length):
        if place < 0 or packet[place] >> 1 & 63 < _FIRST_NON_VCL:
            return UNKNOWN
    return NOT_SHOWN


def _nal_units(packet: bytes, length: int | None) -> Iterator[int]:
    """The places of the headers of a packet's NAL units; -1 where the units are damaged.

    Args:
        packet: its bytes.
        length: bytes of the length field before each unit; None: start codes separate them (Annex B).
    """
    if length is None:
        place = packet.find(b"\0\0\1")
        while 0 <= place < len(packet) - 3:
            yield place + 3
            place = packet.find(b"\0\0\1", place + 3)
        return
    place = 0
    while place + length < len(packet):
        size = int.from_bytes(packet[place : place + length], "big")
        if size == 0 or place + length + size > len(packet):
            yield -1
            return
        yield place + length
        place += length + size


def _vp8(packet: bytes) -> Picture:
    """RFC 6386 section 9.1: bit 4 of the frame tag is show_frame."""
    return UNKNOWN if packet[0] >> 4 & 1 else NOT_SHOWN


def _vp9(packet: bytes) -> Picture:
    """VP9 bitstream specification 6.2: show_existing_frame or show_frame.  A superframe ends with a shown frame."""
    if packet[-1] & 0xE0 == 0xC0 and len(packet) > 1:
        return UNKNOWN
    bits = packet[0]
    profile = (bits >> 5 & 1) | (bits >> 4 & 1) << 1
    place = 3 if profile < 3 else 2  # profile 3 has one more bit
    show_existing, shown = bits >> place & 1, bits >> (place - 2) & 1
    return UNKNOWN if show_existing or shown else NOT_SHOWN
