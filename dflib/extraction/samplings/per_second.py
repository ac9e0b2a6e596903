"""``per_second:R``: the frames nearest to every 1/R seconds from the first frame to the end of the last (S3, S4).

With R = 1, 11 frames of a video of ten seconds.
"""

import math

from dflib.extraction.sampling import at_times
from dflib.media.frame import FrameRequest
from dflib.media.plan import TOLERANCE
from dflib.media.timeline import Flags, Times


def per_second(times: Times, keys: Flags, duration: float, argument: str) -> list[FrameRequest]:
    """See :class:`dflib.extraction.sampling.Sampling`."""
    rate = float(argument)
    return at_times(times, 0.0, 1 / rate, math.floor(duration * rate + TOLERANCE) + 1)


PART = per_second
