"""``first:N``: the first N frames (S2 with 40 or 80)."""

from dflib.extraction.sampling import at_indexes
from dflib.media.frame import FrameRequest
from dflib.media.timeline import Flags, Times


def first(times: Times, keys: Flags, duration: float, argument: str) -> list[FrameRequest]:
    """See :class:`dflib.extraction.sampling.Sampling`."""
    return at_indexes(range(min(int(argument), len(times))), times)


PART = first
