"""The cheapest way to decode the requested frames."""

from dataclasses import dataclass

import numpy as np

from dflib.media.frame import FrameRequest
from dflib.media.timeline import Flags, StreamInfo, Times

TOLERANCE = 1e-9
"""Seconds; far below any frame interval, far above the rounding errors of presentation times."""


@dataclass(frozen=True)
class DecodePlan:
    """What to decode.

    Attributes:
        requests: the frames to return.
        skip_frame: the decoder's setting (``NONKEY``, ``NONREF`` or ``DEFAULT``) with which it still outputs them.
    """

    requests: list[FrameRequest]
    skip_frame: str


def plan(info: StreamInfo, requests: list[FrameRequest], max_offset: float) -> DecodePlan:
    """The cheapest way to decode every requested frame, or one within ``max_offset`` seconds of it.

    Tried in this order: IDR frames only (``NONKEY``), frames that others refer to (``NONREF``: bit-exact, in half the
    time), all frames.  The choice is based on ``nal_ref_idc``, which the decoder uses too; streams that do not state
    it (other codecs) are decoded completely.
    """
    for skip_frame, decoded in (("NONKEY", info.idr), ("NONREF", info.referenced)):
        if decoded is not None and not decoded.all():
            chosen = substitutes(info.times, decoded, requests, max_offset)
            if chosen is not None:
                return DecodePlan(chosen, skip_frame)
    return DecodePlan(requests, "DEFAULT")


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
