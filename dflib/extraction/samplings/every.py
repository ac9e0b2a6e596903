"""``every:K``: frames 0, K, 2K, … (S5 with 10)."""

import numpy as np

from dflib.extraction.sampling import at_indexes
from dflib.media.frame import FrameRequest
from dflib.media.timeline import Flags, Times


def every(times: Times, keys: Flags, duration: float, argument: str) -> list[FrameRequest]:
    """See :class:`dflib.extraction.sampling.Sampling`."""
    return at_indexes(np.arange(0, len(times), int(argument)), times)


PART = every
