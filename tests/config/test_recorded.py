"""Settings in run records of earlier versions give the configuration with which the rows were made."""

import copy
from typing import Any

import pytest

from dflib.config import Config
from dflib.config.identity import extractor_id
from dflib.config.load import load
from dflib.config.recorded import restored
from dflib.errors import ConfigError
from tests.jobs.places import HOME

# As the first version recorded them, and the identifier that it computed.
FIRST: dict[str, dict[str, Any]] = {
    "sampling": {"frames": "even:20", "max_offset": 0.0334},
    "faces": {
        "detector": "mtcnn",
        "threshold": 0.95,
        "lone_floor": 0.9,
        "track_floor": 0.7,
        "resize": "by_side",
        "search": "follow:5",
        "second_look": True,
        "track_iou": 0.3,
        "track_min": 2,
        "track_gap": 5,
        "static_shift": 0.05,
    },
    "crops": {"margin": 0.6, "max_side": 400, "jpeg_quality": 95, "keep_frames": False},
    "extract": {
        "wave_videos": 2000,
        "task_bytes": 67108864,
        "max_tries": 3,
        "max_video_bytes": 536870912,
        "max_pixels": 8847360,
        "batch_bytes": 8388608,
    },
}


@pytest.fixture(scope="module")
def today() -> Config:
    """Another configuration than that of the record, in every section."""
    return load(
        HOME / "conf",
        "local",
        ["sampling.deinterlace=true", "faces.threshold=0.5", "crops.margin=0.1", "extract.max_frames=77"],
    )


def test_a_record_of_the_first_version_gives_its_own_settings_and_todays_limits(today: Config) -> None:
    found = restored(today, FIRST)
    assert found.sampling.model_dump() == FIRST["sampling"] | {"deinterlace": False}
    assert (found.faces.lone_threshold, found.faces.track_threshold, found.faces.min_track_length) == (0.9, 0.7, 2)
    assert found.crops.model_dump() == FIRST["crops"]
    assert (found.extract.max_pixels, found.extract.max_frames) == (8847360, 77)


def test_the_identifier_of_the_extraction_stays(today: Config) -> None:
    """With the settings of the record alone, hashed as the first version did."""
    from dflib.config.config import digest
    from dflib.config.identity import ROWS_VERSION

    hashed = {"rows": ROWS_VERSION} | {section: FIRST[section] for section in ("sampling", "faces", "crops")}
    expected = f"even20-mtcnn-{digest(hashed | {'max_pixels': 8847360})[:8]}"
    assert extractor_id(restored(today, FIRST)) == expected != extractor_id(today)


def test_a_record_of_today_gives_the_same_configuration(today: Config) -> None:
    values = today.recorded()
    assert restored(today, {name: values[name] for name in FIRST}) == today


@pytest.mark.parametrize(
    ("section", "key", "value", "message"),
    [
        ("faces", "search", None, "faces.search: Field required"),
        ("faces", "treshold", 1, "faces.treshold: Extra inputs"),
        ("crops", "margin", "wide", "crops.margin: .*number"),
        ("extract", "max_pixels", None, "extract.max_pixels: missing"),
        ("sampling", None, None, "sampling: missing"),
    ],
)
def test_an_unusable_record_is_one_line(
    today: Config, section: str, key: str | None, value: object, message: str
) -> None:
    settings: dict[str, Any] = copy.deepcopy(FIRST)
    if key is None:
        settings[section] = None
    elif value is None:
        del settings[section][key]
    else:
        settings[section][key] = value
    with pytest.raises(ConfigError, match=message) as raised:
        restored(today, settings)
    assert "\n" not in str(raised.value)
