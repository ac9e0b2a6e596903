"""Waves, tasks, and the identifier of an extractor."""

import dataclasses

import pytest

from dflib.config import Config
from dflib.config.identity import extractor_id
from dflib.extraction.schedule import PendingVideo, tasks, waves


def video(number: int, size: int = 1000) -> PendingVideo:
    return PendingVideo(f"t/{number:04d}", "file:///z.zip", number * 100_000, size, "stored", 1, size, "f")


@pytest.mark.parametrize(("count", "slots", "task_bytes"), [(192, 2, 64 << 20), (3, 8, 64 << 20), (500, 2, 1 << 20)])
def test_tasks_contain_every_video_once_in_order(count: int, slots: int, task_bytes: int) -> None:
    videos = [video(number, size=50_000 + 997 * (number % 13)) for number in range(count)]
    cut = tasks(videos, task_bytes, slots)
    assert [one for task in cut for one in task] == videos
    assert min(count, 3 * slots) - 1 <= len(cut)
    sizes = [sum(one.bytes for one in task) for task in cut]
    assert max(sizes) <= task_bytes + 2 * 62_000
    assert max(sizes) <= 2 * sum(sizes) / len(sizes) + 2 * 62_000, "no task is much larger than the mean"


def test_tasks_take_videos_without_bytes() -> None:
    assert tasks([], 1000, 4) == []
    empty = [dataclasses.replace(video(number), problem=("MISSING_FILE", "x")) for number in range(5)]
    assert [one for task in tasks(empty, 1000, 1) for one in task] == empty


def test_waves_have_the_configured_size() -> None:
    videos = [video(number) for number in range(7)]
    assert list(map(len, waves(videos, 3))) == [3, 3, 1] and waves([], 3) == []


def test_extractor_id_changes_with_settings_that_change_rows(config: Config) -> None:
    identifier = extractor_id(config)
    assert identifier.startswith("even4-mtcnn-") and len(identifier.rpartition("-")[2]) == 8
    same = config.model_copy(update={"extract": config.extract.model_copy(update={"wave_videos": 1})})
    assert extractor_id(same) == identifier
    other = config.model_copy(update={"crops": config.crops.model_copy(update={"margin": 0.5})})
    assert extractor_id(other) != identifier
