"""The layout of FaceForensics++."""

from pathlib import Path

import pytest

from dflib.sources.layouts import Clip, SideFiles
from dflib.sources.layouts.faceforensics import PART


def describe(path: str) -> Clip | None:
    return PART.describe(path, SideFiles())


@pytest.mark.parametrize("top", ["", "ffpp/", "s3://bucket/data/"])
def test_describe_original(top: str) -> None:
    assert describe(f"{top}original_sequences/youtube/c23/videos/519.mp4") == Clip(
        "youtube/c23/519", "REAL", group="youtube/519", compression="c23"
    )


def test_describe_manipulation_names_target_as_original() -> None:
    assert describe("manipulated_sequences/Deepfakes/c40/videos/519_515.mp4") == Clip(
        "Deepfakes/c40/519_515",
        "FAKE",
        original="youtube/c40/519",
        group="youtube/519",
        manipulation="Deepfakes",
        compression="c40",
    )


def test_describe_deepfakedetection_names_the_target_actor_in_the_same_scene() -> None:
    fake = describe("manipulated_sequences/DeepFakeDetection/c23/videos/01_02__exit_phone_room__YVGY8LOK.mp4")
    real = describe("original_sequences/actors/c23/videos/01__exit_phone_room.mp4")
    assert fake is not None and real is not None
    assert (fake.label, fake.original, fake.group) == ("FAKE", real.path, real.group)
    assert (fake.path, fake.manipulation) == (
        "DeepFakeDetection/c23/01_02__exit_phone_room__YVGY8LOK",
        "DeepFakeDetection",
    )
    assert (real.path, real.group) == ("actors/c23/01__exit_phone_room", "actors/01__exit_phone_room")


def test_describe_manipulation_with_another_name_has_no_known_original() -> None:
    clip = describe("manipulated_sequences/Other/c23/videos/some_clip.mp4")
    assert clip is not None and (clip.label, clip.original, clip.group) == ("FAKE", None, "Other/some_clip")


def test_masks_are_no_clips() -> None:
    for path in (
        "manipulated_sequences/Deepfakes/masks/videos/1_2.mp4",
        "s3://b/x/manipulated_sequences/M/masks/a.mp4",
    ):
        assert PART.not_a_clip(path) == "with masks of manipulated regions"
    for path in ("manipulated_sequences/Deepfakes/c23/videos/1_2.mp4", "masks/videos/a.mp4"):
        assert PART.not_a_clip(path) is None


@pytest.mark.parametrize(
    "path",
    [
        "original_sequences/youtube/c23/519.mp4",
        "p/manipulated_sequences/Deepfakes/c23/videos/sub/1.mp4",
        "unmanipulated_sequences/Deepfakes/c23/videos/1.mp4",
        "a.mp4",
    ],
)
def test_describe_rejects_other_paths(path: str) -> None:
    assert describe(path) is None


@pytest.mark.shared
def test_describe_sample_data(sample_data: Path) -> None:
    clips = {path.name: describe(path.as_posix()) for path in (sample_data / "ffpp").rglob("*.mp4")}
    assert {name: clip and clip.label for name, clip in clips.items()} == {
        "519_515.mp4": "FAKE",
        "519.mp4": "REAL",
        "009.mp4": "REAL",
        "100.mp4": "REAL",
    }
