"""How a face is turned, from its five landmarks."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Pose:
    """How a face is turned; neither number depends on the size and place of the face.

    Attributes:
        frontal: 1 when the face is turned neither left nor right, 0 when the tip of the nose lies level with an
            eye or beyond, which for usual heads is a yaw of some 45 degrees.
        roll: degrees by which the line from the left to the right eye is turned in the picture, above -180 up to
            180; above 0 is clockwise, as the right end of the line lies lower.
    """

    frontal: float
    roll: float


def pose(landmarks: Sequence[float] | NDArray[np.floating[Any]] | None) -> Pose | None:
    """The pose of a face, or None when it has no landmarks or they do not say it.

    ``frontal = max(0, 1 - 2 |s| / a)``.  a is the distance of the eyes; s is how far the nose lies off the middle of
    the face (half way between the middle of the eyes and that of the mouth corners), along the line of the eyes.
    Seen from afar, a head whose nose stands d in front of that middle and whose eyes are a apart has
    ``2 s / a = (2 d / a) tan(yaw)``: 0 from the front, the same to both sides, growing with the yaw; d is about
    half of a.  The middle lies at about the height of the nose, so that an error in the line of the eyes moves s
    little.

    How far a face looks up or down is not measured: where the nose lies between eyes and mouth depends as much
    on the person.

    Args:
        landmarks: ten numbers or ``[5, 2]``, x and y of left eye, right eye, nose, left and right mouth corner as
            seen in the picture, in pixels of any picture; None when the detector finds none.

    Returns:
        None without landmarks, with numbers that are not finite, or with both eyes at one point.
    """
    if landmarks is None:
        return None
    points = np.asarray(landmarks, np.float64).reshape(5, 2)
    eyes = points[1] - points[0]
    apart = math.hypot(*eyes)
    if not np.isfinite(points).all() or apart == 0:
        return None
    middle = (points[:2].mean(axis=0) + points[3:].mean(axis=0)) / 2
    off = abs(float((points[2] - middle) @ eyes)) / apart
    return Pose(frontal=max(0.0, 1 - 2 * off / apart), roll=math.degrees(math.atan2(eyes[1], eyes[0])))
