"""``even:N``: the frames nearest to N times evenly spread from the first frame to the last, both included (S1)."""

from dflib.extraction.sampling import at_times
from dflib.media.frame import FrameRequest
from dflib.media.timeline import Flags, Times


def even(times: Times, keys: Flags, duration: float, argument: str) -> list[FrameRequest]:
    """With N = 1, the middle of the video; see :class:`dflib.extraction.sampling.Sampling`."""
    count, last = int(argument), float(times[-1])
    if count == 1:
        return at_times(times, last / 2, 1.0, 1)
    return at_times(times, 0.0, last / (count - 1), count)


PART = even
