"""Which frames of a video are requested, from its presentation times alone."""

from collections.abc import Iterable
from typing import Protocol

import numpy as np

from dflib.media.frame import FrameRequest
from dflib.media.plan import TOLERANCE
from dflib.media.timeline import Flags, Times
from dflib.parts import catalog


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
