"""Which faces are good enough to use: conditions over the columns of ``faces``."""

from functools import reduce

from pyspark.sql import Column
from pyspark.sql import functions as F

from dflib.config import Quality, View

BRIGHTEST = 255
"""Largest grey level; as ``max_brightness`` it filters nothing."""

ALL_FACES = Quality(
    min_size=0, min_sharpness=0, min_brightness=0, max_brightness=BRIGHTEST, min_frontal=0, drop_short=False
)
"""No limit is set."""


def usable(quality: Quality) -> Column:
    """Whether a row of ``faces`` is good enough; never null.

    Only measured values exclude a face: null passes.  So a ready-cut crop, which has no box, sharpness, brightness or
    pose, always passes, and so does a face without landmarks when ``min_frontal`` is set: a filter does not empty a set
    whose values were never measured.  A value equal to its limit passes.

    Only the columns of limits that are set are read; without limits the condition is a literal true.

    Args:
        quality: the limits.

    Returns:
        A condition over ``box_w``, ``box_h``, ``sharpness``, ``brightness``, ``frontal`` and ``short``.
    """
    bad = []
    if quality.min_size > 0:
        bad.append(F.least("box_w", "box_h") < quality.min_size)
    if quality.min_sharpness > 0:
        bad.append(F.col("sharpness") < quality.min_sharpness)
    if quality.min_brightness > 0:
        bad.append(F.col("brightness") < quality.min_brightness)
    if quality.max_brightness < BRIGHTEST:
        bad.append(F.col("brightness") > quality.max_brightness)
    if quality.min_frontal > 0:
        bad.append(F.col("frontal") < quality.min_frontal)
    if quality.drop_short:
        bad.append(F.col("short"))
    known = [~F.coalesce(one, F.lit(False)) for one in bad]
    return reduce(lambda all_of, one: all_of & one, known, F.lit(True))


def moving() -> Column:
    """Whether a row of ``faces`` is not on a track marked static; never null."""
    return ~F.coalesce("static", F.lit(False))


def seen_by(view: View) -> Column:
    """Whether a view can be cut from a row of ``faces``: some views need landmarks, which not all detectors return."""
    return F.col("landmarks").isNotNull() if view.needs_landmarks else F.lit(True)


def limits(quality: Quality) -> list[str]:
    """The limits that are set, as ``name=value``, for names of rules."""
    unset = ALL_FACES.model_dump()
    return [f"{name}={value:g}" for name, value in quality.model_dump().items() if value != unset[name]]
