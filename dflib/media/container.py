"""Opens video files and reads their packets, with the same rules for everyone who does."""

import contextlib
import functools
import io
import re
from collections.abc import Callable, Iterator
from typing import Any

from dflib.errors import VideoError
from dflib.media import mp4_boxes
from dflib.media.limits import Limits

FORMATS = "mov,matroska,webm,avi,mpegts,mpeg,flv,asf,ogg,mxf"
"""Containers that are opened.  Others are refused; a playlist, for example, would make the reader open other files."""


_FLV = b"FLV\x01"
_FLV_HEADER = re.compile(rb"FLV\x01[\x00-\x05]\x00\x00\x00\x09\x00\x00\x00\x00")
_FLV_HEADER_BYTES = 13


@functools.cache
def version() -> str:
    """The decoder in use, such as ``PyAV 16.0.1, libavcodec 61.19.101``."""
    import av

    return f"PyAV {av.__version__}, libavcodec {'.'.join(map(str, av.library_versions['libavcodec']))}"


@contextlib.contextmanager
def opened(content: bytes, limits: Limits, stream: int | None = None, **options: str) -> Iterator[tuple[Any, Any]]:
    """An open container, and one of its video streams.

    Args:
        content: the file's bytes.
        limits: checked before anything is decoded.
        stream: index of the stream; None: the one that FFmpeg prefers.
        options: of FFmpeg's demuxer.

    Raises:
        VideoError: UNREADABLE, NO_VIDEO_STREAM or TOO_LARGE.
    """
    mp4_boxes.check_index(content, limits.max_index_entries)
    content = one_flv(content)
    # FFmpeg decodes the first frames of some codecs when it opens a file; larger ones get no size then.
    with _open(content, max_pixels=str(limits.max_pixels), **options) as container:
        chosen = _stream(container, stream)
        context = chosen.codec_context
        if context.width * context.height == 0:
            for width, height in mp4_boxes.stated_sizes(content) or _stated_sizes(content, limits):
                limits.check_picture(width, height)
            raise VideoError(
                "UNREADABLE",
                "the size of its frames is unknown: they cannot be read, or they all exceed "
                f"extract.max_pixels={limits.max_pixels}",
            )
        limits.check_picture(context.width, context.height, context.format)
        yield container, chosen


def _open(content: bytes, **options: str) -> Any:
    import av

    try:
        return av.open(io.BytesIO(content), metadata_errors="ignore", options={"format_whitelist": FORMATS, **options})
    except (av.FFmpegError, ValueError) as error:
        if isinstance(error, MemoryError):
            raise VideoError("TOO_LARGE", "needs more memory than there is when it is opened") from None
        raise VideoError("UNREADABLE", f"cannot be opened as a video: {reason(error)}") from None


def _stream(container: Any, index: int | None) -> Any:
    found = candidates(container)
    if index is None:
        best = container.streams.best("video")
        index = best.index if best in found else found[0].index if found else None
    if index is None:
        raise VideoError("NO_VIDEO_STREAM", "has no video stream")
    chosen = container.streams[index]
    if chosen.codec_context is None:
        raise VideoError("UNREADABLE", "no decoder for the codec of the video stream")
    return chosen


def candidates(container: Any) -> list[Any]:
    """The video streams of an open container, without cover pictures."""
    return [stream for stream in container.streams.video if not stream.disposition & stream.disposition.attached_pic]


def _stated_sizes(content: bytes, limits: Limits) -> list[tuple[int, int]]:
    """Width and height of the video streams as their headers state them, for frames of up to four times the limit."""
    with contextlib.suppress(VideoError), _open(content, max_pixels=str(4 * limits.max_pixels)) as container:
        return [(stream.codec_context.width, stream.codec_context.height) for stream in candidates(container)]
    return []


def one_flv(content: bytes) -> bytes:
    """The file, of FLV without the headers of files that were joined to the first: FFmpeg ends there."""
    if not content.startswith(_FLV) or not _FLV_HEADER.search(content, _FLV_HEADER_BYTES):
        return content
    return content[:_FLV_HEADER_BYTES] + _FLV_HEADER.sub(b"", content[_FLV_HEADER_BYTES:])


def packets(container: Any, stream: Any, report: Callable[[str], None], flush: bool = False) -> Iterator[Any]:
    """Packets up to the end of the file or a read error.

    Args:
        container: an open container.
        stream: one of its streams, or, without ``flush``, a list of them.
        report: called with a description of a read error.
        flush: whether the empty packet at the end, which flushes the decoder, is returned too.
    """
    import av

    try:
        for packet in container.demux(stream):
            if packet.size or flush:
                yield packet
    except (av.FFmpegError, ValueError, IndexError) as error:
        # PyAV knows the streams that were there when the file was opened.
        text = "another stream begins" if isinstance(error, IndexError) else reason(error)
        report(f"no further packets can be read: {text}")
        if flush:
            last = av.Packet()
            last.stream = stream
            yield last


def reason(error: Exception) -> str:
    """FFmpeg's message if there is one, without the meaningless file name."""
    return getattr(error, "strerror", None) or str(error)
