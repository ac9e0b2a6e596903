"""Sampling from presentation times, against a brute-force search of the nearest frames."""

from pathlib import Path

import numpy as np
import pytest

from dflib.config import load as conf_files
from dflib.config.identity import extractor_id
from dflib.errors import ConfigError
from dflib.extraction.sampling import sample
from dflib.media.frame import FrameRequest
from dflib.media.plan import substitutes
from dflib.parts import Part, catalog

CONF = Path(__file__).parent.parent.parent / "conf"


def indexes(frames: str, times: np.ndarray, keys: np.ndarray | None = None, duration: float | None = None) -> list[int]:
    flags = np.zeros(len(times), bool) if keys is None else keys
    length = duration if duration is not None else float(times[-1] + np.median(np.diff(times)) if len(times) > 1 else 0)
    return [request.index for request in sample(frames, times, flags, length)]


def brute(times: np.ndarray, requested: np.ndarray) -> list[int]:
    """The nearest frame of each requested time, the earlier of two equally near ones, without duplicates."""
    return sorted({int(np.argmin(np.round(np.abs(times - time), 9))) for time in requested})


@pytest.mark.parametrize("fps", [15, 24000 / 1001, 25, 30000 / 1001, 30])
@pytest.mark.parametrize("count", [1, 2, 3, 19, 20, 21, 299, 300, 301])
@pytest.mark.parametrize("number", [1, 2, 4, 20, 30])
def test_even_selects_the_nearest_frames(fps: float, count: int, number: int) -> None:
    times = np.arange(count) / fps
    requested = np.linspace(0, times[-1], number) if number > 1 else np.array([times[-1] / 2])
    found = indexes(f"even:{number}", times)
    assert found == brute(times, requested)
    assert len(found) == min(number, count)
    if number > 1:
        assert found[0] == 0 and found[-1] == count - 1


def test_even_is_even_in_time() -> None:
    """In a clip at 30 fps that drops to 3 fps halfway, half of the frames are in the slow half."""
    times = np.concatenate([np.arange(30) / 30, 1 + np.arange(4) / 3])
    assert indexes("even:5", times) == brute(times, np.linspace(0, 2, 5)) == [0, 15, 30, 31, 33]


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("frames", ["even:7", "even:40", "per_second:1", "per_second:3.7", "per_second:.2"])
def test_samplings_by_time_equal_brute_force_for_uneven_times(seed: int, frames: str) -> None:
    random = np.random.default_rng(seed)
    times = np.concatenate([[0], np.cumsum(random.exponential(0.1, random.integers(1, 80)))])
    duration = float(times[-1]) + 0.1
    name, _, number = frames.partition(":")
    if name == "even":
        requested = np.linspace(0, times[-1], int(number))
    else:
        requested = np.arange(int(duration * float(number)) + 1) / float(number)
    assert indexes(frames, times, duration=duration) == brute(times, requested)


@pytest.mark.parametrize("fps", [30, 30000 / 1001])
def test_per_second_selects_eleven_frames_of_ten_seconds(fps: float) -> None:
    found = indexes("per_second:1", np.arange(300) / fps)
    assert len(found) == 11 and found[:2] == [0, 30] and found[-1] == 299


TIMES_25 = np.arange(25) / 25


def test_every_selects_each_kth_frame() -> None:
    assert indexes("every:10", TIMES_25) == [0, 10, 20]


def test_first_selects_as_many_frames_as_the_video_has() -> None:
    assert indexes("first:3", TIMES_25) == [0, 1, 2]
    assert indexes("first:40", TIMES_25) == list(range(25))


def test_keyframes_selects_key_frames() -> None:
    assert indexes("keyframes", TIMES_25, np.arange(25) % 12 == 0) == [0, 12, 24]
    assert indexes("keyframes", TIMES_25) == []


@pytest.mark.parametrize("frames", ["even:20", "even:1", "per_second:1", "every:3", "first:2"])
def test_sample_of_one_frame_and_of_none(frames: str) -> None:
    assert indexes(frames, np.array([0.0]), duration=0.04) == [0]
    assert indexes(frames, np.array([]), duration=0) == []


def test_sample_with_an_absurd_number_returns_each_frame_once() -> None:
    times = np.arange(50) / 25
    for frames in ("even:999999999999", "per_second:999999999999", "first:999999999999"):
        assert indexes(frames, times) == list(range(50))
    assert indexes("every:999999999999", times) == [0]


def test_requests_have_the_requested_time() -> None:
    requests = sample("even:4", np.arange(20) / 25, np.zeros(20, bool), 0.8)
    assert [request.time for request in requests] == pytest.approx([0, 19 / 75, 38 / 75, 19 / 25])
    requests = sample("every:7", np.arange(20) / 25, np.zeros(20, bool), 0.8)
    assert [request.time for request in requests] == pytest.approx([0, 7 / 25, 14 / 25])


@pytest.mark.parametrize("part", catalog.SAMPLINGS, ids=lambda part: part.name)
def test_every_sampling_of_the_catalog_requests_frames_in_order(part: Part) -> None:
    frames = part.name if part.argument is None else f"{part.name}:2"
    found = indexes(frames, TIMES_25, np.arange(25) % 12 == 0)
    assert found == sorted(set(found)) and found and set(found) <= set(range(25))


@pytest.mark.parametrize(
    "frames",
    [
        *(
            "per_second:0",
            "per_second:0.0",
            "per_second:.0",
            "per_second:",
            "per_second",
            "per_second:1.",
            "per_second:x",
        ),
        *("per_second:-1", "per_second:1e3", "even:0", "even:", "even", "even:2.5", "even:-3", "every:", "every:0"),
        *("first:0", "first: 3", "keyframes:", "keyframes:3", "often", ":3"),
        *(f"even:{'9' * 400}", f"per_second:{'9' * 400}", f"per_second:.{'0' * 400}1", f"every:{'9' * 5000}"),
    ],
)
def test_configuration_rejects_a_sampling_of_nothing(frames: str) -> None:
    with pytest.raises(ConfigError, match=r"sampling\.frames: .*sampling"):
        conf_files.load(CONF, "local", [f"sampling.frames={frames}"])
    with pytest.raises(ValueError, match="sampling"):
        sample(frames, TIMES_25, np.zeros(25, bool), 1.0)


@pytest.mark.parametrize(
    ("frames", "identifier"),
    [
        ("even:20", "even20-mtcnn-550f77f2"),
        ("per_second:1", "per_second1-mtcnn-144d0ca5"),
        ("per_second:.5", "per_second.5-mtcnn-037604ba"),
        ("every:10", "every10-mtcnn-3e56b5ca"),
        ("first:40", "first40-mtcnn-9121038e"),
        ("keyframes", "keyframes-mtcnn-41d2e265"),
    ],
)
def test_extractor_id_of_stored_rows_stays_valid(frames: str, identifier: str) -> None:
    """As version 0.1.0 computed them from the base configuration."""
    assert extractor_id(conf_files.load(CONF, "local", [f"sampling.frames={frames}"])) == identifier


def test_substitutes_are_within_the_offset() -> None:
    times = np.arange(10) / 25
    decoded = np.arange(10) % 2 == 0
    requests = [FrameRequest(0, 0.0), FrameRequest(3, 0.12), FrameRequest(8, 0.32)]
    expected = [FrameRequest(0, 0.0), FrameRequest(2, 0.12), FrameRequest(8, 0.32)]
    assert substitutes(times, decoded, requests, 0.04) == expected
    assert substitutes(times, decoded, requests, 0.039) is None, "the nearest decoded frame is 40 ms away"


def test_substitutes_are_never_shared() -> None:
    """Every other frame cannot replace consecutive ones, however large the offset."""
    times = np.arange(10) / 25
    requests = [FrameRequest(index, times[index]) for index in range(4)]
    assert substitutes(times, np.arange(10) % 2 == 0, requests, 1.0) is None
    assert substitutes(times, np.zeros(10, bool), requests, 1.0) is None
