"""Decodes the planned frames of a video."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np

from dflib.media import orientation
from dflib.media.container import opened, packets, reason
from dflib.media.deinterlace import Deinterlacer
from dflib.media.frame import Frame, FrameRequest
from dflib.media.limits import Limits
from dflib.media.orientation import Orientation
from dflib.media.plan import DecodePlan
from dflib.media.timeline import StreamInfo

_ASPECTS = (Fraction(1, 10), Fraction(10))
"""Pixel aspect ratios outside of these are damage."""


class UnannouncedFramesError(Exception):
    """Decoding shows other frames than the packets announce: :func:`dflib.media.survey.survey` finds them."""


@dataclass
class Findings:
    """What decoding finds out about a video.

    Attributes:
        problems: descriptions of packets and frames that were left out.
        damaged: number of packets that cannot be decoded and of frames that the decoder marks as corrupt.
        interlaced: whether a returned frame is interlaced.
        odd_angle: degrees by which the file turns its frames beyond a multiple of 90.
        sizes: width and height of the returned frames, in the order in which they came.
    """

    problems: list[str] = field(default_factory=list)
    damaged: int = 0
    interlaced: bool = False
    odd_angle: float = 0.0
    sizes: dict[tuple[int, int], None] = field(default_factory=dict)

    def marks(self, deinterlaced: bool) -> list[str]:
        """The same, each as ``CODE: text``; ``deinterlaced``: whether frames were deinterlaced."""
        marks = []
        if self.damaged:
            marks.append(f"DAMAGED_FRAMES: {self.damaged} packets or frames are damaged")
        if self.interlaced:
            done = "and were deinterlaced" if deinterlaced else "as sampling.deinterlace=false leaves them"
            marks.append(f"INTERLACED: frames consist of two fields, {done}")
        if self.odd_angle:
            marks.append(
                f"ODD_ANGLE: the file turns its frames by {self.odd_angle:.1f} degrees more, which is not done"
            )
        if len(self.sizes) > 1:
            shapes = ", ".join(f"{width}x{height}" for width, height in list(self.sizes)[:5])
            marks.append(f"SIZE_CHANGES: frames have {len(self.sizes)} sizes: {shapes}")
        return marks


def decode(
    content: bytes,
    info: StreamInfo,
    planned: DecodePlan,
    limits: Limits,
    findings: Findings,
    deinterlace: bool = False,
) -> Iterator[Frame]:
    """Yields the planned frames that can be decoded, in presentation order, one at a time.

    Decoding uses one thread and ends after the last planned frame.  Packets that cannot be decoded and frames that
    the decoder marks as corrupt are left out.

    Args:
        content: the file's bytes.
        info: from :func:`dflib.media.probe.probe`, or ``survey``.
        planned: from :func:`dflib.media.plan.plan`.
        limits: of a frame.
        findings: is added to.
        deinterlace: whether interlaced frames are deinterlaced, for which all frames must be decoded.

    Raises:
        VideoError: UNREADABLE or NO_VIDEO_STREAM (cannot be opened), TOO_LARGE (a frame has too many pixels).
        UnannouncedFramesError: the frames are not those of ``info``, unless it was surveyed.
    """
    remaining = {request.index: request for request in planned.requests}
    skip_frame = "DEFAULT" if deinterlace else planned.skip_frame
    if not remaining:
        return
    # Frames that are counted are counted to the end: their number may not be that of the packets.
    to_the_end = info.stamps is None and not info.surveyed
    state: Orientation = orientation.UPRIGHT
    filtered = Deinterlacer() if deinterlace else None
    with opened(content, limits, info.stream, **dict(info.options)) as (container, stream):
        context = stream.codec_context
        context.thread_count = 1
        context.skip_frame = skip_frame
        shown = _shown(container, stream, info, skip_frame, set(remaining), findings)
        for index, decoded in filtered.run(shown) if filtered else shown:
            # An orientation holds until the next one is stated.
            state = orientation.of_frame(decoded) or state
            request = remaining.pop(index, None)
            if request is not None and decoded.is_corrupt:
                findings.problems.append(f"frame {index} is corrupt")
            elif request is not None:
                findings.interlaced |= bool(decoded.interlaced_frame) or (filtered is not None and filtered.used)
                findings.odd_angle = findings.odd_angle or state.odd_angle
                aspect = context.sample_aspect_ratio if info.aspect_in_frames else stream.sample_aspect_ratio
                frame = _frame(decoded, request, info, state, aspect, limits)
                findings.sizes[frame.width, frame.height] = None
                yield frame
            if not remaining and not to_the_end:
                return


def _shown(
    container: Any, stream: Any, info: StreamInfo, skip_frame: str, wanted: set[int], findings: Findings
) -> Iterator[tuple[int, Any]]:
    """All frames that the decoder returns, with their index in presentation order (-1: not among the announced)."""
    import av

    count = -1
    last = -1
    every = skip_frame == "DEFAULT"
    for packet in packets(container, stream, findings.problems.append, flush=True):
        try:
            frames = packet.decode()
        except (av.FFmpegError, ValueError) as error:
            if info.stamps is None and not info.surveyed:
                raise UnannouncedFramesError(f"packet {packet.pts} shows no frame: {reason(error)}") from None
            findings.damaged += 1
            findings.problems.append(f"packet at {packet.pts}: {reason(error)}")
            continue
        for decoded in frames:
            count += 1
            findings.damaged += bool(decoded.is_corrupt)
            index = _index(info, decoded, count)
            if not info.surveyed:
                misplaced = every and info.stamps is not None and index != count
                missing = any(last < other < index for other in wanted)
                if misplaced or missing or 0 <= index <= last or count >= len(info.times):
                    raise UnannouncedFramesError(f"frame {count} of {len(info.times)} is at {decoded.pts}")
            last = index
            yield index, decoded
    if not info.surveyed and (last < max(wanted) or (every and count + 1 < len(info.times))):
        raise UnannouncedFramesError(f"the last of {len(info.times)} frames are not shown")


def _index(info: StreamInfo, decoded: Any, count: int) -> int:
    """Index of a decoded frame in presentation order; -1 when no packet has its time stamp."""
    if info.stamps is None:
        return count
    if decoded.pts is None:
        return -1
    index = int(np.searchsorted(info.stamps, decoded.pts))
    return index if index < len(info.stamps) and info.stamps[index] == decoded.pts else -1


def _frame(
    decoded: Any,
    request: FrameRequest,
    info: StreamInfo,
    state: Orientation,
    aspect: Fraction | None,
    limits: Limits,
) -> Frame:
    limits.check_picture(decoded.width, decoded.height, decoded.format)
    square = None
    if aspect and aspect != 1 and _ASPECTS[0] <= aspect <= _ASPECTS[1]:
        square = max(1, round(decoded.width * aspect))
        limits.check_picture(square, decoded.height, decoded.format)
    return Frame(request, float(info.times[request.index]), decoded, state, square)
