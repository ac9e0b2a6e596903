"""Which frames of a video are requested, from its presentation times alone."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from dflib.parts import catalog

Times = NDArray[np.float64]
Flags = NDArray[np.bool_]

TOLERANCE = 1e-9
"""Seconds; far below any frame interval, far above the rounding errors of presentation times."""


@dataclass(frozen=True)
class FrameRequest:
    """A requested frame.

    Attributes:
        index: of the frame in presentation order.
        time: as requested by the sampling, seconds from the first frame; the frame's own time may differ.
    """

    index: int
    time: float


class Sampling(Protocol):
    """A sampling as a named part: every module of :mod:`dflib.extraction.samplings` defines one as ``PART``."""

    def __call__(self, times: Times, keys: Flags, duration: float, argument: str) -> list[FrameRequest]:
        """The requested frames in presentation order, without duplicates.

        Args:
            times: presentation times in seconds from the first frame, ascending, float64, shape (n,); not empty.
            keys: whether each is a key frame, shape (n,).
            duration: seconds from the start of the first frame to the end of the last.
            argument: what follows the colon in ``sampling.frames``, as the catalog's pattern admits it.
        """


def sample(frames: str, times: Times, keys: Flags, duration: float) -> list[FrameRequest]:
    """The frames that a sampling requests, in presentation order, without duplicates.

    Where a sampling requests times, the nearest frame is taken, and the earlier of two equally near ones.  Several
    times with the same nearest frame request it once, under the time nearest to it.

    Args:
        frames: as ``sampling.frames``, such as ``even:20``.
        times: presentation times in seconds from the first frame, ascending, float64, shape (n,).
        keys: whether each is a key frame, shape (n,).
        duration: seconds from the start of the first frame to the end of the last.

    Raises:
        ValueError: no such sampling, or a wrong argument.
    """
    part: Sampling = catalog.SAMPLINGS.load(frames)
    _, argument = catalog.SAMPLINGS.split(frames)
    return part(times, keys, duration, argument) if len(times) else []


def at_indexes(indexes: Iterable[int], times: Times) -> list[FrameRequest]:
    """Requests for frames by their index in presentation order, under their own times."""
    return [FrameRequest(int(index), float(times[index])) for index in indexes]


def at_times(times: Times, start: float, step: float, count: int) -> list[FrameRequest]:
    """Requests for the frames nearest to the times ``start + k * step``, k < ``count``.

    Iterates over the frames, not over the requested times, so that an absurdly large ``count`` costs no more.
    """
    if count == 1 or step <= 0:
        nearest = int(np.argmin(np.round(np.abs(times - start), 9)))  # rounded: the earlier of two equally near ones
        return [FrameRequest(nearest, start)]
    # Frame i is nearest to all times in (edge[i], edge[i + 1]]; a tie goes to the earlier frame.
    middles = (times[:-1] + times[1:]) / 2
    steps = np.floor((middles - start) / step + TOLERANCE)
    low = np.concatenate([[0], steps + 1])
    high = np.minimum(np.concatenate([steps, [count - 1]]), count - 1)
    own = np.clip(np.round((times - start) / step), low, high)
    return [FrameRequest(int(i), float(start + own[i] * step)) for i in np.flatnonzero(high >= low)]


def substitutes(
    times: Times, decoded: Flags, requests: list[FrameRequest], max_offset: float
) -> list[FrameRequest] | None:
    """The same requests, each for the nearest decoded frame; None if that is impossible.

    It is possible if every requested frame has a decoded one within ``max_offset`` seconds of its own time and no two
    share one.

    Args:
        times: presentation times in seconds, ascending, shape (n,).
        decoded: which frames the decoder would output, shape (n,).
        requests: in presentation order.
        max_offset: seconds.
    """
    places = np.flatnonzero(decoded)
    if len(places) == 0:
        return None if requests else []
    chosen: list[FrameRequest] = []
    for request in requests:
        own = times[request.index]
        after = int(np.searchsorted(times[places], own))
        near = [places[place] for place in (after - 1, after) if 0 <= place < len(places)]
        best = min(near, key=lambda index: (round(abs(times[index] - own), 9), index))
        if abs(times[best] - own) > max_offset + TOLERANCE or (chosen and chosen[-1].index == best):
            return None
        chosen.append(FrameRequest(int(best), request.time))
    return chosen
