"""Video bytes to frames: probing the packets, choosing which frames to decode, and decoding them.

PyAV is imported inside functions: the driver imports this module and decodes nothing.
"""

import contextlib
import functools
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dflib.errors import VideoError
from dflib.extraction.detect import Image
from dflib.extraction.sampling import Flags, FrameRequest, Times, substitutes

FORMATS = "mov,matroska,webm,avi,mpegts,mpeg,flv,asf,ogg"
"""Containers that are opened.  Others are refused; a playlist, for example, would make the reader open other files."""

MAX_FRAMES = 1_000_000
"""Limit of packets (9 hours at 30 frames a second), which protects the memory of a task from hostile files."""

_SLICE, _PARTITIONS, _IDR = 1, (2, 3, 4), 5  # NAL unit types, ITU-T H.264 table 7-1


@functools.cache
def version() -> str:
    """The decoder in use, such as ``PyAV 16.0.1, libavcodec 61.19.101``."""
    import av

    return f"PyAV {av.__version__}, libavcodec {'.'.join(map(str, av.library_versions['libavcodec']))}"


@dataclass(frozen=True)
class StreamInfo:
    """A video stream as its packets describe it, without decoding; frames in presentation order.

    Attributes:
        codec: FFmpeg's name of it.
        width, height: of the stored frames, in pixels.
        times: seconds from the first frame, ascending, float64, shape (n,).
        stamps: presentation time stamps in the stream's time base, int64, shape (n,); None when the container
            has none, in which case decoded frames are counted.
        keys: whether each is a key frame, shape (n,).
        idr, referenced: whether each is an IDR frame, and whether other frames refer to it, shape (n,); None unless
            the stream is H.264 whose packets state it.
        duration: seconds from the start of the first frame to the end of the last.
        defect: description of a defect of the file that still lets frames be read.
    """

    codec: str
    width: int
    height: int
    times: Times
    stamps: NDArray[np.int64] | None
    keys: Flags
    idr: Flags | None
    referenced: Flags | None
    duration: float
    defect: str | None

    @property
    def fps(self) -> float | None:
        """Average frames per second."""
        return len(self.times) / self.duration if self.duration > 0 else None


@dataclass(frozen=True)
class DecodePlan:
    """What to decode.

    Attributes:
        requests: the frames to return.
        skip_frame: the decoder's setting (``NONKEY``, ``NONREF`` or ``DEFAULT``) with which it still outputs them.
    """

    requests: list[FrameRequest]
    skip_frame: str


@dataclass(frozen=True)
class Frame:
    """One decoded frame, kept in the decoder's format, since most of its pixels are never needed as RGB.

    Attributes:
        request: that it answers.
        time: presentation time, seconds from the first frame.
        rotation: degrees clockwise by which the stored frame is turned for display: 0, 90, 180 or 270.
        width, height: as displayed.
        decoded: ``av.VideoFrame``.
    """

    request: FrameRequest
    time: float
    rotation: int
    width: int
    height: int
    decoded: Any

    @functools.cached_property
    def rgb(self) -> Image:
        """The whole frame as displayed: uint8 RGB, shape (height, width, 3)."""
        return self._displayed(self.decoded)

    def resized(self, width: int, height: int) -> Image:
        """The whole frame as displayed, resized by area averaging, or bilinearly when enlarged; uint8 RGB."""
        if (width, height) == (self.width, self.height):
            return self.rgb
        stored = (height, width) if self.rotation % 180 else (width, height)
        interpolation = "AREA" if width < self.width else "BILINEAR"
        return self._displayed(self.decoded.reformat(*stored, format="rgb24", interpolation=interpolation, threads=1))

    def region(self, left: int, top: int, right: int, bottom: int, size: tuple[int, int] | None = None) -> Image:
        """``rgb[top:bottom, left:right]``, bit-identical; where possible, no other pixels are converted to RGB.

        Args:
            left, top, right, bottom: whole pixels; with ``size``, even ones in a frame of even size.
            size: width and height to which the region is resized by area averaging.
        """
        import av
        import cv2

        if not self._plain or "rgb" in self.__dict__:
            part = self.rgb[top:bottom, left:right]
            return part if size is None else np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_AREA), np.uint8)
        # In YUV 4:2:0, two by two pixels share their chroma.
        x, y, right_even, bottom_even = left & ~1, top & ~1, right + (right & 1), bottom + (bottom & 1)
        parts = []
        for plane, factor in zip(self.decoded.planes, (1, 2, 2), strict=True):
            whole = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)
            parts.append(whole[y // factor : bottom_even // factor, x // factor : right_even // factor].ravel())
        cut = av.VideoFrame.from_ndarray(np.concatenate(parts).reshape(-1, right_even - x), format="yuv420p")
        cut.colorspace, cut.color_range = self.decoded.colorspace, self.decoded.color_range
        if size is None:
            return self._displayed(cut)[top - y : bottom - y, left - x : right - x]
        # An eighth of the time that resizing RGB takes.
        return self._displayed(cut.reformat(*size, format="rgb24", interpolation="AREA", threads=1))

    @property
    def bytes(self) -> int:
        """Approximate memory: of the decoder's format, and of RGB where a region needs the whole frame as RGB."""
        stored: int = sum(plane.buffer_size for plane in self.decoded.planes)
        return stored if self._plain else stored + 3 * self.width * self.height

    @property
    def _plain(self) -> bool:
        """Whether a region of the planes is a region of the frame as displayed."""
        even = self.width % 2 == 0 and self.height % 2 == 0 and self.rotation == 0
        return even and self.decoded.format.name == "yuv420p" and not self.decoded.interlaced_frame

    def _displayed(self, decoded: Any) -> Image:
        turns = -self.rotation // 90 % 4  # quarter turns, counter-clockwise
        rgb = decoded.reformat(format="rgb24", threads=1).to_ndarray()
        return np.ascontiguousarray(np.rot90(rgb, turns)) if turns else np.asarray(rgb, np.uint8)


def probe(content: bytes, max_pixels: int) -> StreamInfo:
    """Reads all packets of the video stream without decoding any; frames that an edit list excludes are left out.

    Args:
        content: the file's bytes.
        max_pixels: limit of a frame's width times height.

    Raises:
        VideoError: UNREADABLE, NO_VIDEO_STREAM, NO_FRAMES or TOO_LARGE.
    """
    with _opened(content) as (container, stream):
        context = stream.codec_context
        _check_pixels(context.width, context.height, max_pixels)
        nal_length = _nal_length(context.name, context.extradata)
        base = float(stream.time_base) if stream.time_base else 0.0
        stamps: list[int | None] = []
        keys: list[bool] = []
        kinds: list[tuple[bool, bool] | None] = []
        longest = 0
        problems: list[str] = []
        for packet in _packets(container, stream, problems.append):
            if packet.is_discard:
                continue
            if len(stamps) == MAX_FRAMES:
                raise VideoError("TOO_LARGE", f"more than {MAX_FRAMES:,} frames")
            stamps.append(packet.pts)
            keys.append(bool(packet.is_keyframe))
            kinds.append(_h264_kind(bytes(packet), nal_length) if nal_length else None)
            longest = max(longest, packet.duration or 0)
        rate = float(stream.average_rate or stream.guessed_rate or 0)
        if any(entry.pos + entry.size > len(content) for entry in stream.index_entries):
            problems.append("the file ends before its last frame")
        codec, width, height = context.name, context.width, context.height
        container_name = container.format.name
    if not stamps:
        raise VideoError("NO_FRAMES", "the video stream has no packets")

    defect = problems[0] if problems else None
    known = [stamp for stamp in stamps if stamp is not None]
    # AVI stores no presentation times: its packets are stamped in decoding order.
    if len(known) < len(stamps) or base <= 0 or container_name == "avi":
        if rate <= 0:
            raise VideoError("UNREADABLE", "neither presentation times nor a frame rate")
        times = np.arange(len(stamps)) / rate
        return StreamInfo(codec, width, height, times, None, np.array(keys), None, None, len(stamps) / rate, defect)
    # Frames with the same stamp (two fields, or a damaged file) cannot be distinguished: they count once.
    order, places = np.unique(np.array(known, dtype=np.int64), return_index=True)
    # As Python integers: the difference of a hostile file's stamps may not fit into 64 bits.
    times = np.array([(int(stamp) - int(order[0])) * base for stamp in order])
    interval = float(np.median(np.diff(times))) if len(times) > 1 else (1 / rate if rate > 0 else longest * base)
    known_kinds = [kind for kind in (kinds[place] for place in places) if kind is not None]
    complete = len(known_kinds) == len(kinds)
    idr = np.array([kind[0] for kind in known_kinds]) if complete else None
    referenced = np.array([kind[1] for kind in known_kinds]) if complete else None
    return StreamInfo(
        codec,
        width,
        height,
        times,
        order,
        np.array(keys)[places],
        idr,
        referenced,
        float(times[-1]) + interval,
        defect,
    )


def plan(info: StreamInfo, requests: list[FrameRequest], max_offset: float) -> DecodePlan:
    """The cheapest way to decode every requested frame, or one within ``max_offset`` seconds of it.

    Tried in this order: IDR frames only (``NONKEY``), frames that others refer to (``NONREF``: bit-exact, in half the
    time), all frames.  The choice is based on ``nal_ref_idc``, which the decoder uses too; streams that do not state
    it (other codecs, other packings of H.264) are decoded completely.
    """
    for skip_frame, decoded in (("NONKEY", info.idr), ("NONREF", info.referenced)):
        if decoded is not None and not decoded.all():
            chosen = substitutes(info.times, decoded, requests, max_offset)
            if chosen is not None:
                return DecodePlan(chosen, skip_frame)
    return DecodePlan(requests, "DEFAULT")


def decode(
    content: bytes, info: StreamInfo, planned: DecodePlan, max_pixels: int, report: Callable[[str], None]
) -> Iterator[Frame]:
    """Yields the planned frames that can be decoded, in presentation order, one at a time.

    Decoding uses one thread and ends after the last planned frame.  Packets that cannot be decoded and frames that
    the decoder marks as corrupt are left out.

    Args:
        content: the file's bytes.
        info: from :func:`probe`.
        planned: from :func:`plan`.
        max_pixels: limit of a frame's width times height.
        report: called with a description of each packet or frame left out.

    Raises:
        VideoError: UNREADABLE or NO_VIDEO_STREAM (cannot be opened), TOO_LARGE (a frame has too many pixels).
    """
    import av

    remaining = {request.index: request for request in planned.requests}
    if not remaining:
        return
    count = -1
    with _opened(content) as (container, stream):
        context = stream.codec_context
        context.thread_count = 1
        context.skip_frame = planned.skip_frame
        for packet in _packets(container, stream, report, flush=True):
            try:
                frames = packet.decode()
            except (av.FFmpegError, ValueError) as error:
                report(f"packet at {packet.pts}: {_reason(error)}")
                continue
            for decoded in frames:
                count += 1
                index = _index(info, decoded, count)
                request = remaining.pop(index, None)
                if request is not None and decoded.is_corrupt:
                    report(f"frame {index} is corrupt")
                elif request is not None:
                    _check_pixels(decoded.width, decoded.height, max_pixels)
                    yield _frame(decoded, request, float(info.times[index]))
                if not remaining:
                    return


def _index(info: StreamInfo, decoded: Any, count: int) -> int:
    """Index of a decoded frame in presentation order; -1 when no packet has its time stamp."""
    if info.stamps is None:
        return count
    if decoded.pts is None:
        return -1
    index = int(np.searchsorted(info.stamps, decoded.pts))
    return index if index < len(info.stamps) and info.stamps[index] == decoded.pts else -1


def _frame(decoded: Any, request: FrameRequest, time: float) -> Frame:
    rotation = -round(decoded.rotation / 90) % 4 * 90  # PyAV's is counter-clockwise
    width, height = (decoded.height, decoded.width) if rotation % 180 else (decoded.width, decoded.height)
    return Frame(request, time, rotation, width, height, decoded)


@contextlib.contextmanager
def _opened(content: bytes) -> Iterator[tuple[Any, Any]]:
    """An open container and its best video stream."""
    import av

    try:
        container = av.open(io.BytesIO(content), metadata_errors="ignore", options={"format_whitelist": FORMATS})
    except (av.FFmpegError, ValueError) as error:
        raise VideoError("UNREADABLE", f"cannot be opened as a video: {_reason(error)}") from None
    with container:
        stream = container.streams.best("video")
        if stream is None or stream.disposition & stream.disposition.attached_pic:
            raise VideoError("NO_VIDEO_STREAM", "has no video stream")
        if stream.codec_context is None:
            raise VideoError("UNREADABLE", "no decoder for the codec of the video stream")
        yield container, stream


def _packets(container: Any, stream: Any, report: Callable[[str], None], flush: bool = False) -> Iterator[Any]:
    """Packets of a stream up to its end or a read error; the empty last one, which flushes, only with ``flush``."""
    import av

    try:
        for packet in container.demux(stream):
            if packet.size or flush:
                yield packet
    except (av.FFmpegError, ValueError) as error:
        report(f"no further packets can be read: {_reason(error)}")


def _reason(error: Exception) -> str:
    """FFmpeg's message if there is one, without the meaningless file name."""
    return getattr(error, "strerror", None) or str(error)


def _check_pixels(width: int, height: int, max_pixels: int) -> None:
    if width * height > max_pixels:
        raise VideoError("TOO_LARGE", f"{width}x{height} pixels exceed extract.max_pixels={max_pixels}")


def _nal_length(codec: str, extradata: bytes | None) -> int | None:
    """Bytes of a NAL unit's length field if H.264 is packed as in mp4 (avcC, ISO/IEC 14496-15), else None."""
    if codec != "h264" or not extradata or len(extradata) < 7 or extradata[0] != 1:
        return None
    return (extradata[4] & 3) + 1


def _h264_kind(packet: bytes, nal_length: int) -> tuple[bool, bool] | None:
    """Whether a packet holds an IDR frame, and whether other frames refer to it (``nal_ref_idc``).

    None if unknown: no slices, partitioned slices, fields that differ, or wrong lengths.
    """
    place, kinds = 0, set()
    while place + nal_length < len(packet):
        size = int.from_bytes(packet[place : place + nal_length], "big")
        header = packet[place + nal_length]
        place += nal_length + size
        if size == 0 or place > len(packet) or header & 31 in _PARTITIONS:
            return None
        if header & 31 in (_SLICE, _IDR):
            kinds.add((header & 31 == _IDR, header >> 5 & 3 > 0))
    return kinds.pop() if len(kinds) == 1 else None
