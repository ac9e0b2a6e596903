"""How a stored frame is turned and mirrored for display."""

import math
import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_MATRIX = struct.Struct("=9i")
_ONE = 1 << 16
_ODD = 1.0  # degrees


@dataclass(frozen=True)
class Orientation:
    """One of eight orientations.

    Attributes:
        rotation: degrees clockwise by which the frame is turned: 0, 90, 180 or 270.
        mirrored: whether left and right are swapped before that.
        odd_angle: degrees by which the file turns the frame further; that is not done.
    """

    rotation: int = 0
    mirrored: bool = False
    odd_angle: float = 0.0

    @property
    def swaps_sides(self) -> bool:
        """Whether width becomes height."""
        return self.rotation % 180 != 0

    @property
    def upright(self) -> bool:
        """Whether nothing is to be done."""
        return self.rotation == 0 and not self.mirrored

    def apply(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The image as displayed, shape (height, width, 3)."""
        if self.upright:
            return image
        mirrored = image[:, ::-1] if self.mirrored else image
        return np.ascontiguousarray(np.rot90(mirrored, -self.rotation // 90))


UPRIGHT = Orientation()


def of_frame(decoded: Any) -> Orientation | None:
    """The orientation that a decoded frame states (display matrix of the container, or SEI message); None: none.

    Args:
        decoded: ``av.VideoFrame``.
    """
    from av.sidedata import sidedata

    container: Any = sidedata.SideDataContainer
    # ``decoded.side_data`` would refer to the frame and be referred to by it, so that its memory would not be freed
    # before the next run of the garbage collector.
    stated = container(decoded).get(sidedata.Type.DISPLAYMATRIX)
    return None if stated is None else of_matrix(_MATRIX.unpack(bytes(stated)[: _MATRIX.size]))


def of_matrix(matrix: tuple[int, ...]) -> Orientation:
    """The orientation of a display matrix (ISO/IEC 14496-12 8.3.2): (x, y) is shown at (ax + cy, bx + dy).

    Args:
        matrix: nine integers a, b, u, c, d, v, x, y, w; a to d in units of 1/65536.
    """
    a, b, c, d = matrix[0] / _ONE, matrix[1] / _ONE, matrix[3] / _ONE, matrix[4] / _ONE
    if math.hypot(a, b) == 0 or math.hypot(c, d) == 0:
        return UPRIGHT
    # Mirroring leaves the y axis as it is, so its image tells the angle.
    angle = math.degrees(math.atan2(-c, d)) % 360
    rotation = round(angle / 90) % 4 * 90
    odd = (angle - rotation + 180) % 360 - 180
    return Orientation(rotation, mirrored=a * d - b * c < 0, odd_angle=odd if abs(odd) > _ODD else 0.0)
