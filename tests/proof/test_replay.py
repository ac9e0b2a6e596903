"""What a replay says of links that differ, or that can't be made again."""

import math
from typing import Any

import pytest
from pyspark.sql import SparkSession

from dflib.config.load import load
from dflib.proof import replay
from dflib.proof.chain import Chain
from dflib.storage import Storage
from tests.jobs.places import HOME

NAN = math.nan
VIEW = '{"size": 64, "margin": 0.3, "square": true, "interpolation": "area", "blank_face": false}'


@pytest.mark.parametrize(
    ("one", "two", "distance"),
    [
        (0.5, 0.5, 0.0),
        (0.5, 0.25, 0.25),
        (NAN, NAN, 0.0),
        (NAN, 0.5, math.inf),
        (0.5, NAN, math.inf),
        ([1.0, NAN], [1.0, NAN], 0.0),
        ([1.0, NAN], [1.5, NAN], 0.5),
        ([1.0, 2.0], [1.0, NAN], math.inf),
        ([1.0], [1.0, 2.0], math.inf),
        (None, 0.5, math.inf),
        (None, None, 0.0),
        (True, False, math.inf),
        ("a", "b", math.inf),
        ([], [], 0.0),
    ],
)
def test_distance_of_what_is_no_number_is_infinite(one: Any, two: Any, distance: float) -> None:
    assert replay._distance(one, two) == distance


def test_a_score_that_is_no_number_differs() -> None:
    stored = [{"face_id": "a", "p_fake": 0.5}, {"face_id": "b", "p_fake": 0.25}]
    assert replay._predictions(stored, {"a": 0.5, "b": 0.25}).outcome == "equal"
    for scores in ({"a": NAN, "b": 0.25}, {"a": 0.5, "b": NAN}):
        assert replay._predictions(stored, scores).outcome == "differs"


@pytest.mark.spark
@pytest.mark.parametrize("packing", ["crops", "stored"])
def test_links_after_one_that_cannot_be_made_again_are_not_checked(packing: str, spark: SparkSession) -> None:
    """Ready-cut crops, alone or beside a video, of a model whose files are gone."""
    data: dict[str, Any] = {
        "video": {"video_id": "v", "packing": packing, "uri": "file:///nowhere.zip"},
        "extraction": {"extractor": "crops-0123abcd", "outcome": "DONE", "sha256": None},
        "settings": None,
        "faces": [{"face_id": "v/0", "frame_index": 0}],
        "model": {"uri": "file:///nowhere", "sha256": "ab" * 32, "view": VIEW},
        "predictions": [{"face_id": "v/0", "p_fake": 0.9}],
        "verdicts": [{"rule": "mean", "verdict": "FAKE", "p_fake": 0.9}],
    }
    checks = replay.replay(Chain(data, {"v/0": b"x"}), load(HOME / "conf", "local"), Storage(), spark)
    assert [(check.link, check.outcome) for check in checks] == [
        ("bytes", "not checked"),
        ("model", "differs"),
        ("predictions", "not checked"),
        ("verdict mean", "not checked"),
    ]
    assert "nowhere" in checks[1].detail


def test_settings_that_this_version_cannot_use_are_one_line_and_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay, "_read", lambda *_: b"video")
    settings = {section: {"unknown": 1} for section in ("sampling", "faces", "crops", "extract")}
    data: dict[str, Any] = {
        "video": {"video_id": "v"},
        "extraction": {"extractor": "even20-mtcnn-0123abcd", "outcome": "DONE", "sha256": None, "decoder": None},
        "settings": settings,
        "model": None,
    }
    *_, last = replay._checks(Chain(data, {}), load(HOME / "conf", "local"), Storage(), {})
    assert (last.link, last.outcome) == ("frames", "not checked")
    assert "extract.max_pixels: missing" in last.detail and "\n" not in last.detail
