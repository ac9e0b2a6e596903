"""The pose of a synthetic head: five points in space, rotated by known angles, in parallel projection."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from dflib.extraction.pose import Pose, pose

# Millimetres; x to the right, y down, z towards the camera: eyes, tip of the nose, corners of the mouth.
HEAD = np.array([[-32.0, -35, 0], [32, -35, 0], [0, 0, 30], [-25, 35, 4], [25, 35, 4]])


def seen(
    yaw: float = 0, pitch: float = 0, roll: float = 0, scale: float = 1, nose: tuple[float, float] = (0, 0)
) -> Pose:
    """Rotated by pitch, then yaw, then roll, in degrees."""
    rotated = Rotation.from_euler("xyz", [pitch, yaw, roll], degrees=True).apply(HEAD)
    found = pose(rotated[:, :2] * scale + nose)
    assert found is not None
    return found


def test_frontal_is_1_from_the_front() -> None:
    assert seen() == Pose(frontal=1.0, roll=0.0)


def test_frontal_decreases_with_yaw() -> None:
    frontal = [seen(yaw).frontal for yaw in range(0, 90, 5)]
    assert all(0 <= value <= 1 for value in frontal)
    within = [value for value in frontal if value > 0]
    assert len(within) >= 8 and within == sorted(within, reverse=True) and len(set(within)) == len(within)
    assert set(frontal[len(within) :]) == {0.0}
    assert seen(15).frontal > 0.7 and seen(60).frontal == 0


def test_frontal_follows_the_tangent_of_yaw() -> None:
    # The nose is 28 in front of the centre of eyes and mouth, and the eyes are 32 to either side of it.
    for yaw in (5, 20, 40):
        assert seen(yaw).frontal == pytest.approx(1 - 28 / 32 * np.tan(np.deg2rad(yaw)))


@pytest.mark.parametrize("pitch", [-20, 0, 20])
@pytest.mark.parametrize("yaw", [3, 17, 35])
def test_frontal_is_symmetric(yaw: float, pitch: float) -> None:
    assert seen(yaw, pitch).frontal == pytest.approx(seen(-yaw, pitch).frontal)


@pytest.mark.parametrize("pitch", [-25, -10, 10, 25])
def test_frontal_is_independent_of_pitch(pitch: float) -> None:
    assert seen(pitch=pitch).frontal == pytest.approx(1)
    frontal = [seen(yaw, pitch).frontal for yaw in range(0, 40, 5)]
    assert frontal == sorted(frontal, reverse=True) and frontal[0] > frontal[-1] + 0.3


@pytest.mark.parametrize("roll", [-170, -90, -33.3, 0, 12.5, 90, 179])
@pytest.mark.parametrize(("yaw", "pitch"), [(0, 0), (25, 0), (-25, 15)])
def test_roll_is_exact_and_leaves_frontal_unchanged(yaw: float, pitch: float, roll: float) -> None:
    rolled = seen(yaw, pitch, roll)
    assert rolled.roll == pytest.approx(roll)
    assert rolled.frontal == pytest.approx(seen(yaw, pitch).frontal)


@pytest.mark.parametrize("scale", [0.05, 1, 40])
@pytest.mark.parametrize("nose", [(0, 0), (1900, 1070), (-50, 3)])
def test_pose_is_independent_of_size_and_position(scale: float, nose: tuple[float, float]) -> None:
    moved, original = seen(22, 5, -8, scale, nose), seen(22, 5, -8)
    assert (moved.frontal, moved.roll) == (pytest.approx(original.frontal), pytest.approx(original.roll))


def test_pose_takes_ten_numbers_or_five_points() -> None:
    points = [float(number) for number in (HEAD[:, :2] + 100).ravel()]
    assert pose(points) == pose(HEAD[:, :2] + 100) == Pose(1.0, 0.0)


@pytest.mark.parametrize(
    "landmarks",
    [None, [float("nan")] * 10, [1.0] * 9 + [float("inf")], [5.0, 7.0] * 5, [5, 7, 5, 7, 9, 9, 4, 11, 6, 11]],
)
def test_pose_is_none_for_degenerate_landmarks(landmarks: list[float] | None) -> None:
    assert pose(landmarks) is None
