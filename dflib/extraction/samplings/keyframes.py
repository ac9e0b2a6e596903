"""``keyframes``: the key frames of the stream (S1)."""

import numpy as np

from dflib.extraction.sampling import at_indexes
from dflib.media.frame import FrameRequest
from dflib.media.timeline import Flags, Times


def keyframes(times: Times, keys: Flags, duration: float, argument: str) -> list[FrameRequest]:
    """See :class:`dflib.extraction.sampling.Sampling`."""
    return at_indexes(np.flatnonzero(keys), times)


PART = keyframes
