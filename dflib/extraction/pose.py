"""The pose of a face from its five landmarks."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Pose:
    """The pose of a face; independent of the face's size and position.

    Attributes:
        frontal: 1 for a face turned neither left nor right; 0 when the tip of the nose lies at or beyond an eye,
            which for usual heads is a yaw of about 45 degrees.
        roll: rotation of the line from the left to the right eye in the image, in degrees, above -180 and up to 180;
            positive values are clockwise (the right end of the line is lower).
    """

    frontal: float
    roll: float


def pose(landmarks: Sequence[float] | NDArray[np.floating[Any]] | None) -> Pose | None:
    """The pose of a face, or None when its landmarks do not determine one.

    ``frontal = max(0, 1 - 2 |s| / a)``, where a is the distance between the eyes and s the distance of the nose from
    the centre of the face along the line through the eyes; the centre is halfway between the midpoint of the eyes and
    that of the mouth corners.  In parallel projection, a head whose nose is d in front of the centre has
    ``2 s / a = (2 d / a) tan(yaw)``: 0 from the front, symmetric, increasing with the yaw; d is about half of a.  The
    centre is at about the height of the nose, so an error in the direction of the line through the eyes changes s
    little.

    Pitch is not measured: the position of the nose between eyes and mouth depends as much on the person.

    Args:
        landmarks: ten numbers or shape (5, 2), x and y of left eye, right eye, nose, left and right mouth corner as
            seen in the image, in pixels of any image; None when the detector has no landmarks.

    Returns:
        None without landmarks, with numbers that are not finite, or with both eyes at one point.
    """
    if landmarks is None:
        return None
    points = np.asarray(landmarks, np.float64).reshape(5, 2)
    eyes = points[1] - points[0]
    distance = math.hypot(*eyes)
    if not np.isfinite(points).all() or distance == 0:
        return None
    centre = (points[:2].mean(axis=0) + points[3:].mean(axis=0)) / 2
    shift = abs(float((points[2] - centre) @ eyes)) / distance
    return Pose(frontal=max(0.0, 1 - 2 * shift / distance), roll=math.degrees(math.atan2(eyes[1], eyes[0])))
