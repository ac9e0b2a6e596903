"""Sampling from presentation times alone."""

import numpy as np
import pytest

from dflib.extraction.sampling import Wanted, substitutes, wanted_frames


def indexes(preset: str, times: np.ndarray, keys: np.ndarray | None = None, duration: float | None = None) -> list[int]:
    flags = np.zeros(len(times), bool) if keys is None else keys
    length = duration if duration is not None else float(times[-1] + np.median(np.diff(times)) if len(times) > 1 else 0)
    return [frame.index for frame in wanted_frames(preset, times, flags, length)]


def brute(times: np.ndarray, asked: np.ndarray) -> list[int]:
    """The nearest frame of each time asked for, the earlier of two as near, none twice."""
    return sorted({int(np.argmin(np.round(np.abs(times - time), 9))) for time in asked})


@pytest.mark.parametrize("fps", [15, 24000 / 1001, 25, 30000 / 1001, 30])
@pytest.mark.parametrize("count", [1, 2, 3, 19, 20, 21, 299, 300, 301])
@pytest.mark.parametrize("number", [1, 2, 4, 20, 30])
def test_even_takes_the_nearest_frames(fps: float, count: int, number: int) -> None:
    times = np.arange(count) / fps
    asked = np.linspace(0, times[-1], number) if number > 1 else np.array([times[-1] / 2])
    found = indexes(f"even:{number}", times)
    assert found == brute(times, asked)
    assert len(found) == min(number, count)
    if number > 1:
        assert found[0] == 0 and found[-1] == count - 1


def test_even_goes_by_time_not_by_number() -> None:
    """Of a clip at 30 fps that drops to 3 fps halfway, half the frames asked for lie in the slow half."""
    times = np.concatenate([np.arange(30) / 30, 1 + np.arange(4) / 3])
    assert indexes("even:5", times) == brute(times, np.linspace(0, 2, 5)) == [0, 15, 30, 31, 33]


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("preset", ["even:7", "even:40", "per_second:1", "per_second:3.7", "per_second:.2"])
def test_uneven_times_against_brute_force(seed: int, preset: str) -> None:
    random = np.random.default_rng(seed)
    times = np.concatenate([[0], np.cumsum(random.exponential(0.1, random.integers(1, 80)))])
    duration = float(times[-1]) + 0.1
    kind, _, number = preset.partition(":")
    if kind == "even":
        asked = np.linspace(0, times[-1], int(number))
    else:
        asked = np.arange(int(duration * float(number)) + 1) / float(number)
    assert indexes(preset, times, duration=duration) == brute(times, asked)


@pytest.mark.parametrize("fps", [30, 30000 / 1001])
def test_per_second_gives_eleven_from_ten_seconds(fps: float) -> None:
    found = indexes("per_second:1", np.arange(300) / fps)
    assert len(found) == 11 and found[:2] == [0, 30] and found[-1] == 299


def test_every_first_and_keyframes() -> None:
    times = np.arange(25) / 25
    keys = np.arange(25) % 12 == 0
    assert indexes("every:10", times) == [0, 10, 20]
    assert indexes("first:40", times) == list(range(25))
    assert indexes("first:3", times) == [0, 1, 2]
    assert indexes("keyframes", times, keys) == [0, 12, 24]
    assert indexes("keyframes", times) == []


@pytest.mark.parametrize("preset", ["even:20", "even:1", "per_second:1", "every:3", "first:2"])
def test_one_frame_and_none(preset: str) -> None:
    assert indexes(preset, np.array([0.0]), duration=0.04) == [0]
    assert indexes(preset, np.array([]), duration=0) == []


def test_absurd_numbers_ask_for_no_more_than_there_is() -> None:
    times = np.arange(50) / 25
    for preset in ("even:999999999999", "per_second:999999999999", "first:999999999999"):
        assert indexes(preset, times) == list(range(50))
    assert indexes("every:999999999999", times) == [0]


def test_wanted_time_is_the_time_asked_for() -> None:
    frames = wanted_frames("even:4", np.arange(20) / 25, np.zeros(20, bool), 0.8)
    assert [frame.time for frame in frames] == pytest.approx([0, 19 / 75, 38 / 75, 19 / 25])


def test_substitutes_within_the_limit() -> None:
    times = np.arange(10) / 25
    kept = np.arange(10) % 2 == 0
    wanted = [Wanted(0, 0.0), Wanted(3, 0.12), Wanted(8, 0.32)]
    assert substitutes(times, kept, wanted, 0.04) == [Wanted(0, 0.0), Wanted(2, 0.12), Wanted(8, 0.32)]
    assert substitutes(times, kept, wanted, 0.039) is None, "the nearest kept frame is 40 ms away"


def test_substitutes_are_never_shared() -> None:
    """Consecutive frames can't be had from every other one, however wide the limit."""
    times = np.arange(10) / 25
    wanted = [Wanted(index, times[index]) for index in range(4)]
    assert substitutes(times, np.arange(10) % 2 == 0, wanted, 1.0) is None
    assert substitutes(times, np.zeros(10, bool), wanted, 1.0) is None
