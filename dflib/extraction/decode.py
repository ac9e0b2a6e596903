"""Video bytes to frames: what demuxing tells, which frames need decoding, and decoding them.

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
from dflib.extraction.sampling import Flags, Times, Wanted, substitutes

FORMATS = "mov,matroska,webm,avi,mpegts,mpeg,flv,asf,ogg"
"""Containers that are opened.  Others are refused: playlists, for one, would make the reader open other files."""

MAX_FRAMES = 1_000_000
"""More packets than this (9 hours at 30 a second) are no clip but a way to fill the memory."""

_SLICE, _PARTITIONS, _IDR = 1, (2, 3, 4), 5  # NAL unit types, ITU-T H.264 table 7-1


@dataclass(frozen=True)
class Survey:
    """What demuxing tells without decoding; frames in presentation order.

    Attributes:
        times: seconds from the first frame, ascending, float64, shape (n,).
        stamps: presentation time stamps in units of the stream, int64, shape (n,); None when the container
            has none, in which case frames are counted as they come out.
        keys: whether each is a key frame, shape (n,).
        idr, referenced: whether each is an IDR picture, or is one that others refer to; None unless H.264 says so.
        duration: seconds from the start of the first frame to the end of the last.
        defect: what is wrong with the file although frames can be read, in words.
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
        """Average frames a second."""
        return len(self.times) / self.duration if self.duration > 0 else None


@dataclass(frozen=True)
class Plan:
    """What is to be decoded: the frames taken, and the decoder's ``skip_frame`` that still gives them."""

    frames: list[Wanted]
    skip: str


@dataclass(frozen=True)
class Frame:
    """One decoded frame; kept as the decoder gave it, since of most of its pixels no RGB is ever wanted.

    Attributes:
        time: presentation time, seconds from the first frame.
        rotation: degrees clockwise by which the stored picture is turned for display.
        width, height: as displayed.
        picture: PyAV's frame.
    """

    wanted: Wanted
    time: float
    rotation: int
    width: int
    height: int
    picture: Any

    @functools.cached_property
    def rgb(self) -> Image:
        """The whole frame as displayed: uint8 RGB, shape (height, width, 3)."""
        return self._displayed(self.picture)

    def small(self, width: int, height: int) -> Image:
        """The whole frame as displayed, brought to another size by averaging areas (or linearly, when enlarged)."""
        if (width, height) == (self.width, self.height):
            return self.rgb
        stored = (height, width) if self.rotation % 180 else (width, height)
        way = "AREA" if width < self.width else "BILINEAR"
        return self._displayed(self.picture.reformat(*stored, format="rgb24", interpolation=way, threads=1))

    def region(self, left: int, top: int, right: int, bottom: int, size: tuple[int, int] | None = None) -> Image:
        """``rgb[top:bottom, left:right]``, to the bit, without the rest where that can be had.

        Args:
            left, top, right, bottom: whole pixels; with ``size``, even ones in a frame of even size.
            size: width and height to which it is brought by averaging areas.
        """
        import av
        import cv2

        if not self._plain or "rgb" in self.__dict__:
            part = self.rgb[top:bottom, left:right]
            return part if size is None else np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_AREA), np.uint8)
        # Two by two pixels share their colour.
        x, y, right_even, bottom_even = left & ~1, top & ~1, right + (right & 1), bottom + (bottom & 1)
        parts = []
        for plane, by in zip(self.picture.planes, (1, 2, 2), strict=True):
            whole = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)
            parts.append(whole[y // by : bottom_even // by, x // by : right_even // by].ravel())
        cut = av.VideoFrame.from_ndarray(np.concatenate(parts).reshape(-1, right_even - x), format="yuv420p")
        cut.colorspace, cut.color_range = self.picture.colorspace, self.picture.color_range
        if size is None:
            return self._displayed(cut)[top - y : bottom - y, left - x : right - x]
        # An eighth of the time of first making it RGB.
        return self._displayed(cut.reformat(*size, format="rgb24", interpolation="AREA", threads=1))

    @property
    def bytes(self) -> int:
        """Memory that the frame takes, about: as it is, and as RGB where no region can be had without it."""
        stored: int = sum(plane.buffer_size for plane in self.picture.planes)
        return stored if self._plain else stored + 3 * self.width * self.height

    @property
    def _plain(self) -> bool:
        """Whether a part of the planes is a part of the frame."""
        even = self.width % 2 == 0 and self.height % 2 == 0 and self.rotation == 0
        return even and self.picture.format.name == "yuv420p" and not self.picture.interlaced_frame

    def _displayed(self, picture: Any) -> Image:
        turns = -self.rotation // 90 % 4  # quarter turns, counter-clockwise
        rgb = picture.reformat(format="rgb24", threads=1).to_ndarray()
        return np.ascontiguousarray(np.rot90(rgb, turns)) if turns else np.asarray(rgb, np.uint8)


def survey(content: bytes, max_pixels: int) -> Survey:
    """Reads all packets of the video stream, decoding none.

    Frames that an edit list leaves out do not count.

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
            kinds.append(_picture_kind(bytes(packet), nal_length) if nal_length else None)
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
    # AVI has none either: what its packets are given is the order of decoding.
    if len(known) < len(stamps) or base <= 0 or container_name == "avi":
        if rate <= 0:
            raise VideoError("UNREADABLE", "neither presentation times nor a frame rate")
        times = np.arange(len(stamps)) / rate
        return Survey(codec, width, height, times, None, np.array(keys), None, None, len(stamps) / rate, defect)
    # A stamp that comes twice (two fields, or a damaged file) can be told apart by nobody: it counts once.
    order, places = np.unique(np.array(known, dtype=np.int64), return_index=True)
    # As Python integers: a hostile file may hold stamps whose difference leaves 64 bits.
    times = np.array([(int(stamp) - int(order[0])) * base for stamp in order])
    interval = float(np.median(np.diff(times))) if len(times) > 1 else (1 / rate if rate > 0 else longest * base)
    told = [kind for kind in (kinds[place] for place in places) if kind is not None]
    exact = len(told) == len(kinds)
    idr = np.array([kind[0] for kind in told]) if exact else None
    referenced = np.array([kind[1] for kind in told]) if exact else None
    return Survey(
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


def plan(video: Survey, wanted: list[Wanted], max_offset: float) -> Plan:
    """The cheapest way of decoding that gives every wanted frame, or one within ``max_offset`` seconds of it.

    IDR pictures only, then all that others refer to (``NONREF``: bit-exact, half the time), then all.
    Skipping goes by ``nal_ref_idc``, which is exactly what the decoder goes by; whatever does not state it
    (other codecs, other packings of H.264) is decoded whole.
    """
    for skip, kept in (("NONKEY", video.idr), ("NONREF", video.referenced)):
        if kept is not None and not kept.all():
            chosen = substitutes(video.times, kept, wanted, max_offset)
            if chosen is not None:
                return Plan(chosen, skip)
    return Plan(wanted, "DEFAULT")


def decode(
    content: bytes, video: Survey, todo: Plan, max_pixels: int, problem: Callable[[str], None]
) -> Iterator[Frame]:
    """Yields the planned frames that can be decoded, in presentation order, one at a time.

    Decoding uses one thread and ends after the last planned frame.  A packet that can't be decoded is passed
    over and told to ``problem``; a frame that the decoder itself calls corrupt is left out.

    Raises:
        VideoError: UNREADABLE or NO_VIDEO_STREAM (can't be opened), TOO_LARGE (a frame has too many pixels).
    """
    import av

    planned = {frame.index: frame for frame in todo.frames}
    if not planned:
        return
    counted = -1
    with _opened(content) as (container, stream):
        context = stream.codec_context
        context.thread_count = 1
        context.skip_frame = todo.skip
        for packet in _packets(container, stream, problem, flush=True):
            try:
                pictures = packet.decode()
            except (av.FFmpegError, ValueError) as error:
                problem(f"packet at {packet.pts}: {_reason(error)}")
                continue
            for picture in pictures:
                counted += 1
                index = _index(video, picture, counted)
                wanted = planned.pop(index, None)
                if wanted is not None and picture.is_corrupt:
                    problem(f"frame {index} is corrupt")
                elif wanted is not None:
                    _check_pixels(picture.width, picture.height, max_pixels)
                    yield _frame(picture, wanted, float(video.times[index]))
                if not planned:
                    return


def _index(video: Survey, picture: Any, counted: int) -> int:
    """Place of a decoded picture in presentation order; -1 when its time stamp is none of the packets'."""
    if video.stamps is None:
        return counted
    if picture.pts is None:
        return -1
    place = int(np.searchsorted(video.stamps, picture.pts))
    return place if place < len(video.stamps) and video.stamps[place] == picture.pts else -1


def _frame(picture: Any, wanted: Wanted, time: float) -> Frame:
    rotation = -round(picture.rotation / 90) % 4 * 90  # PyAV's is counter-clockwise
    width, height = (picture.height, picture.width) if rotation % 180 else (picture.width, picture.height)
    return Frame(wanted, time, rotation, width, height, picture)


@contextlib.contextmanager
def _opened(content: bytes) -> Iterator[tuple[Any, Any]]:
    """An open container and its best video stream."""
    import av

    try:
        container = av.open(io.BytesIO(content), metadata_errors="ignore", options={"format_whitelist": FORMATS})
    except (av.FFmpegError, ValueError) as error:
        raise VideoError("UNREADABLE", f"can't be opened as a video: {_reason(error)}") from None
    with container:
        stream = container.streams.best("video")
        if stream is None or stream.disposition & stream.disposition.attached_pic:
            raise VideoError("NO_VIDEO_STREAM", "holds no video stream")
        if stream.codec_context is None:
            raise VideoError("UNREADABLE", "the video stream is of a codec that can't be decoded")
        yield container, stream


def _packets(container: Any, stream: Any, problem: Callable[[str], None], flush: bool = False) -> Iterator[Any]:
    """Packets of a stream until they end or can't be read any more; the empty last one only to ``flush``."""
    import av

    try:
        for packet in container.demux(stream):
            if packet.size or flush:
                yield packet
    except (av.FFmpegError, ValueError) as error:
        problem(f"packets can't be read any further: {_reason(error)}")


def _reason(error: Exception) -> str:
    """FFmpeg's own words where there are some, without the name of a file that is none."""
    return getattr(error, "strerror", None) or str(error)


def _check_pixels(width: int, height: int, max_pixels: int) -> None:
    if width * height > max_pixels:
        raise VideoError("TOO_LARGE", f"{width}x{height} pixels are over extract.max_pixels={max_pixels}")


def _nal_length(codec: str, extradata: bytes | None) -> int | None:
    """Bytes of a NAL unit's length field where H.264 is packed as in mp4 (avcC, ISO/IEC 14496-15), else None."""
    if codec != "h264" or not extradata or len(extradata) < 7 or extradata[0] != 1:
        return None
    return (extradata[4] & 3) + 1


def _picture_kind(packet: bytes, nal_length: int) -> tuple[bool, bool] | None:
    """Whether the picture of a packet is an IDR picture and whether others refer to it (``nal_ref_idc``).

    None when it can't be told: no slices, partitioned ones, fields that differ, or broken lengths.
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
