"""The pose of a made head: five points in space, turned by known angles and seen from afar."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from dflib.extraction.pose import Pose, pose

# Millimetres; x to the right, y down, z towards the camera: eyes, tip of the nose, corners of the mouth.
HEAD = np.array([[-32.0, -35, 0], [32, -35, 0], [0, 0, 30], [-25, 35, 4], [25, 35, 4]])


def seen(
    yaw: float = 0, pitch: float = 0, roll: float = 0, scale: float = 1, nose: tuple[float, float] = (0, 0)
) -> Pose:
    """Nodded, then turned aside, then tilted in the picture; degrees."""
    turned = Rotation.from_euler("xyz", [pitch, yaw, roll], degrees=True).apply(HEAD)
    found = pose(turned[:, :2] * scale + nose)
    assert found is not None
    return found


def test_a_face_from_the_front() -> None:
    assert seen() == Pose(frontal=1.0, roll=0.0)


def test_the_further_aside_the_less_frontal() -> None:
    frontal = [seen(yaw).frontal for yaw in range(0, 90, 5)]
    assert all(0 <= value <= 1 for value in frontal)
    within = [value for value in frontal if value > 0]
    assert len(within) >= 8 and within == sorted(within, reverse=True) and len(set(within)) == len(within)
    assert set(frontal[len(within) :]) == {0.0}
    assert seen(15).frontal > 0.7 and seen(60).frontal == 0


def test_the_formula_is_that_of_the_tangent() -> None:
    # The nose stands 28 in front of the middle of eyes and mouth, which is 32 from each eye.
    for yaw in (5, 20, 40):
        assert seen(yaw).frontal == pytest.approx(1 - 28 / 32 * np.tan(np.deg2rad(yaw)))


@pytest.mark.parametrize("pitch", [-20, 0, 20])
@pytest.mark.parametrize("yaw", [3, 17, 35])
def test_left_and_right_are_the_same(yaw: float, pitch: float) -> None:
    assert seen(yaw, pitch).frontal == pytest.approx(seen(-yaw, pitch).frontal)


@pytest.mark.parametrize("pitch", [-25, -10, 10, 25])
def test_nodding_alone_leaves_a_face_frontal(pitch: float) -> None:
    assert seen(pitch=pitch).frontal == pytest.approx(1)
    frontal = [seen(yaw, pitch).frontal for yaw in range(0, 40, 5)]
    assert frontal == sorted(frontal, reverse=True) and frontal[0] > frontal[-1] + 0.3


@pytest.mark.parametrize("roll", [-170, -90, -33.3, 0, 12.5, 90, 179])
@pytest.mark.parametrize(("yaw", "pitch"), [(0, 0), (25, 0), (-25, 15)])
def test_roll_is_exact_and_changes_nothing_else(yaw: float, pitch: float, roll: float) -> None:
    tilted = seen(yaw, pitch, roll)
    assert tilted.roll == pytest.approx(roll)
    assert tilted.frontal == pytest.approx(seen(yaw, pitch).frontal)


@pytest.mark.parametrize("scale", [0.05, 1, 40])
@pytest.mark.parametrize("nose", [(0, 0), (1900, 1070), (-50, 3)])
def test_size_and_place_do_not_matter(scale: float, nose: tuple[float, float]) -> None:
    there, here = seen(22, 5, -8, scale, nose), seen(22, 5, -8)
    assert (there.frontal, there.roll) == (pytest.approx(here.frontal), pytest.approx(here.roll))


def test_ten_numbers_are_five_points() -> None:
    points = [float(number) for number in (HEAD[:, :2] + 100).ravel()]
    assert pose(points) == pose(HEAD[:, :2] + 100) == Pose(1.0, 0.0)


@pytest.mark.parametrize(
    "landmarks",
    [None, [float("nan")] * 10, [1.0] * 9 + [float("inf")], [5.0, 7.0] * 5, [5, 7, 5, 7, 9, 9, 4, 11, 6, 11]],
)
def test_landmarks_that_say_no_pose_give_none(landmarks: list[float] | None) -> None:
    assert pose(landmarks) is None
