"""Finds the frames of a video by decoding all of them."""

import numpy as np

from dflib.errors import VideoError
from dflib.media.container import opened, packets
from dflib.media.limits import Limits
from dflib.media.timeline import StreamInfo, base_of, growing, in_order, rate_of


def survey(content: bytes, limits: Limits, info: StreamInfo, untimed_rate: float | None = None) -> StreamInfo:
    """Finds the frames by decoding all of them.

    Args:
        content: the file's bytes.
        limits: as for :func:`probe`.
        info: from :func:`probe`; its packets do not correspond to its frames.
        untimed_rate: frames per second at which frames without times follow each other; None: they have times.

    Raises:
        VideoError: as :func:`probe`.
    """
    import av

    stamps: list[int | None] = []
    decoding: list[int | None] = []
    keys: list[bool] = []
    with opened(content, limits, info.stream, **dict(info.options)) as (container, stream):
        stream.codec_context.thread_count = 1
        stream.codec_context.options = {"skip_loop_filter": "all"}  # changes pixels only
        base, rate = base_of(stream), rate_of(stream)
        for packet in packets(container, stream, lambda _: None, flush=True):
            try:
                frames = packet.decode()
            except (av.FFmpegError, ValueError):
                continue
            for frame in frames:
                stamps.append(frame.pts)
                decoding.append(frame.dts)
                keys.append(bool(frame.key_frame))
            limits.check_length(len(stamps), info.width, info.height)
    if not stamps:
        raise VideoError("DECODE_ERROR", "none of its pictures can be decoded")
    if untimed_rate:
        stamps, rate = [None] * len(stamps), untimed_rate
    times, duration, mark = growing(in_order(stamps, decoding), base, rate, info.jumping)
    return info.with_frames(
        times, duration, mark, np.array(keys), stamps=None, idr=None, referenced=None, surveyed=True
    )
