"""Which frames of a video are wanted, from its presentation times alone."""

import math
import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dflib.errors import ConfigError

Times = NDArray[np.float64]
Flags = NDArray[np.bool_]

_PRESET = re.compile(r"(even|per_second|every|first|keyframes)(?::(.+))?")
_TIE = 1e-9
"""Seconds; far below any frame interval, far above the rounding of presentation times."""


@dataclass(frozen=True)
class Wanted:
    """One wanted frame: its place in presentation order, and the time that sampling asked for (seconds)."""

    index: int
    time: float


def check(preset: str) -> None:
    """Refuses a preset that asks for nothing.

    Raises:
        ConfigError: its number is not above zero.
    """
    kind, number = _parse(preset)
    if kind != "keyframes" and not number > 0:
        raise ConfigError(f"sampling.frames={preset}: the number must be above 0")


def wanted_frames(preset: str, times: Times, keys: Flags, duration: float) -> list[Wanted]:
    """The frames that a preset asks for, in presentation order, none twice.

    ============== ===============================================================================
    even:N         N times evenly spread from the first frame to the last, both included (S1 with 20)
    per_second:R   every 1/R seconds from the first frame to the end of the last one: 11 from 10 s (S3, S4)
    every:K        frames 0, K, 2K, … (S5 with 10)
    first:N        the first N frames (S2 with 40 or 80)
    keyframes      the key frames (S1)
    ============== ===============================================================================

    Where a time is asked for, the nearest frame is taken, the earlier of two as near; several times that have
    the same nearest frame give it once, under the time nearest to it.

    Args:
        preset: as in ``sampling.frames``.
        times: presentation times in seconds from the first frame, ascending, float64, shape (n,).
        keys: whether each is a key frame, shape (n,).
        duration: seconds from the start of the first frame to the end of the last.
    """
    if len(times) == 0:
        return []
    kind, number = _parse(preset)
    if kind == "even":
        count, last = int(number), float(times[-1])
        if count == 1:
            return _nearest(times, last / 2, 1.0, 1)
        return _nearest(times, 0.0, last / (count - 1), count)
    if kind == "per_second":
        return _nearest(times, 0.0, 1 / number, math.floor(duration * number + _TIE) + 1)
    if kind == "every":
        indexes = np.arange(0, len(times), int(number))
    elif kind == "first":
        indexes = np.arange(min(int(number), len(times)))
    else:
        indexes = np.flatnonzero(keys)
    return [Wanted(int(index), float(times[index])) for index in indexes]


def substitutes(times: Times, kept: Flags, wanted: list[Wanted], max_offset: float) -> list[Wanted] | None:
    """The same wanted frames, each by the nearest kept one, or None when that can't be done.

    It can when every wanted frame has a kept one within ``max_offset`` seconds of its own time and no two share it.
    """
    places = np.flatnonzero(kept)
    if len(places) == 0:
        return None if wanted else []
    chosen: list[Wanted] = []
    for frame in wanted:
        own = times[frame.index]
        after = int(np.searchsorted(times[places], own))
        near = [places[place] for place in (after - 1, after) if 0 <= place < len(places)]
        best = min(near, key=lambda index: (round(abs(times[index] - own), 9), index))
        if abs(times[best] - own) > max_offset + _TIE or (chosen and chosen[-1].index == best):
            return None
        chosen.append(Wanted(int(best), frame.time))
    return chosen


def _parse(preset: str) -> tuple[str, float]:
    match = _PRESET.fullmatch(preset)
    assert match is not None, preset
    return match[1], float(match[2] or 0)


def _nearest(times: Times, start: float, step: float, count: int) -> list[Wanted]:
    """Frames that are nearest to one of ``start + k * step``, k < ``count``.

    Goes over frames rather than over the times asked for, so that an absurd number asks for no more than there is.
    """
    if count == 1 or step <= 0:
        best = int(np.argmin(np.round(np.abs(times - start), 9)))  # of two as near the earlier, come what may
        return [Wanted(best, start)]
    # Frame i is nearest to all times in (edge[i], edge[i + 1]]; a tie goes to the earlier frame.
    middles = (times[:-1] + times[1:]) / 2
    steps = np.floor((middles - start) / step + _TIE)
    low = np.concatenate([[0], steps + 1])
    high = np.minimum(np.concatenate([steps, [count - 1]]), count - 1)
    own = np.clip(np.round((times - start) / step), low, high)
    return [Wanted(int(i), float(start + own[i] * step)) for i in np.flatnonzero(high >= low)]
