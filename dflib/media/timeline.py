"""The frames that a video shows and their times."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dflib.errors import VideoError

Times = NDArray[np.float64]
Flags = NDArray[np.bool_]

JUMPING = ("mpegts", "mpeg", "flv")
"""Containers that recorders write without end or join byte by byte, so that their clock may be set in between."""

JUMP = 10.0
"""Seconds from which a gap between two frames in such a container is a clock that was set, as in FFmpeg
(``dts_delta_threshold``)."""


@dataclass(frozen=True)
class StreamInfo:
    """A video stream: its frames in presentation order.

    Attributes:
        stream: index of the stream in the file.
        codec: FFmpeg's name of it.
        width, height: of the stored frames, in pixels.
        times: seconds from the first frame, ascending, float64, shape (n,).
        stamps: presentation time stamps by which decoded frames are recognised, in the stream's time base, int64,
            shape (n,); None: decoded frames are counted.
        keys: whether each is a key frame, shape (n,).
        idr, referenced: whether each is an IDR frame, and whether other frames refer to it, shape (n,); None: unknown.
        duration: seconds from the start of the first frame to the end of the last.
        surveyed: whether the frames were found by decoding them all.
        inspected: whether packets that show no picture were left out.
        jumping: whether a long gap between frames is a clock that was set.
        aspect_in_frames: whether the shape of pixels is stated in the frames, and not for the stream as a whole.
        options: options of FFmpeg's demuxer with which the file must be opened.
        defect: why frames are missing; None: none are known to be.
        marks: peculiarities, each as ``CODE: text``.
    """

    stream: int
    codec: str
    width: int
    height: int
    times: Times
    stamps: NDArray[np.int64] | None
    keys: Flags
    idr: Flags | None
    referenced: Flags | None
    duration: float
    surveyed: bool = False
    inspected: bool = False
    jumping: bool = False
    aspect_in_frames: bool = False
    options: tuple[tuple[str, str], ...] = ()
    defect: str | None = None
    marks: tuple[str, ...] = ()

    def with_frames(self, times: Times, duration: float, mark: str | None, keys: Flags, **more: Any) -> "StreamInfo":
        """The stream with its frames, as :func:`growing` timed them; ``more``: other attributes."""
        marks = (*self.marks, mark) if mark else self.marks
        return replace(self, times=times, duration=duration, marks=marks, keys=keys, **more)

    @property
    def fps(self) -> float | None:
        """Average frames per second."""
        return len(self.times) / self.duration if self.duration > 0 else None


def growing(stamps: Sequence[int | None], base: float, rate: float, jumping: bool) -> tuple[Times, float, str | None]:
    """Times that only grow, from the time stamps of frames in presentation order.

    Where the stamps start again, or the clock was set, the next frame follows after the median interval.

    Args:
        stamps: in units of ``base``; None: the frame has none.
        base: seconds; 0: not known.
        rate: frames per second; 0: not known.
        jumping: whether a gap of more than :data:`JUMP` seconds is a clock that was set.

    Returns:
        Seconds from the first frame, seconds from then to the end of the last frame, and a mark.
    """
    steps = [b - a for a, b in pairwise(stamps) if a is not None and b is not None and b > a] if base > 0 else []
    if not steps and rate <= 0 and len(stamps) > 1:
        raise VideoError("UNREADABLE", "neither presentation times nor a frame rate")
    interval = statistics.median(steps) * base if steps else 1 / rate if rate > 0 else 0.0
    times: list[float] = []
    origin, shift, last, joined, assumed = 0, 0.0, None, 0, 0
    for stamp in stamps:
        if stamp is None or base <= 0:
            times.append(times[-1] + interval if times else 0.0)
            assumed += 1
            continue
        if last is None:
            origin, shift = stamp, times[-1] + interval if times else 0.0
        # As Python integers: the difference of a hostile file's stamps may not fit into 64 bits.
        time = (stamp - origin) * base + shift
        gap = (stamp - last) * base if last is not None else 0.0
        if times and (time <= times[-1] or (jumping and gap > JUMP)):
            joined += last is not None
            origin, shift = stamp, times[-1] + interval
            time = shift
        times.append(time)
        last = stamp
    parts = [f"the times start again or jump at {joined} places"] if joined else []
    parts += [f"{assumed} of {len(stamps)} frames have no time"] if assumed else []
    mark = f"TIMES_ASSUMED: {' and '.join(parts)}; the frame interval of {interval:.4f} s was taken" if parts else None
    return np.array(times), times[-1] + interval, mark


MISORDERED = 0.1
"""Share of steps back above which stamps are in another order than the frames, instead of those of joined parts."""


def in_order(stamps: Sequence[int | None], decoding: Sequence[int | None]) -> list[int | None]:
    """Stamps that grow with the frames, from presentation times that may be wrong.

    Some writers store decoding times as presentation times, or times that the reordering of B-frames makes wrong.  As
    FFmpeg's best-effort time stamps do, the decoding times of frames are taken where these have fewer steps back.  If
    neither grow, each frame gets the place of one of the stamps, in their order.

    Args:
        stamps: presentation times of frames in presentation order; None: unknown.
        decoding: decoding times of the packets that the decoder was fed with when it returned them.
    """
    if _steps_back(stamps) <= MISORDERED * len(stamps):
        return list(stamps)
    known = [stamp for stamp in decoding if stamp is not None]
    # The last frames come out when no packet is left.
    if len(known) > len(decoding) / 2 and _steps_back(known) <= MISORDERED * len(known):
        step = round(statistics.median(b - a for a, b in pairwise(known))) if len(known) > 1 else 0
        filled: list[int | None] = []
        for stamp in decoding:
            before = filled[-1] if filled else None
            filled.append(stamp if stamp is not None or before is None else before + max(step, 1))
        return filled
    unique = {stamp for stamp in stamps if stamp is not None}
    placed: list[int | None] = [*sorted(unique)]
    return placed if len(placed) == len(stamps) else list(stamps)


def _steps_back(stamps: Sequence[int | None]) -> int:
    known = [stamp for stamp in stamps if stamp is not None]
    return sum(after <= before for before, after in pairwise(known))


def base_of(stream: Any) -> float:
    """Seconds of a unit of the time stamps of a stream; 0: not known."""
    return float(stream.time_base) if stream.time_base else 0.0


def rate_of(stream: Any) -> float:
    """Frames per second as the container states or FFmpeg guesses them; 0: not known."""
    return float(stream.average_rate or stream.guessed_rate or 0)
