"""Box and landmarks of stored faces in the coordinates of their crops, as Spark columns over ``faces``.

``faces`` holds box and landmarks in frame pixels, and the position and scale of the crop in the frame. Training sets
and scoring select these columns, so that a model sees the same region in both.
"""

from collections.abc import Sequence

from pyspark.sql import Column
from pyspark.sql import functions as F

_SIDES = ("box_y", "box_w", "box_h")
_POSITION = ("crop_x", "crop_y", "crop_scale")

PROBLEM = "the face has a box, but {} is missing, so its position in the crop is unknown; extract its video again"


def box() -> Column:
    """x, y, width and height of the box in crop pixels: array of four doubles.

    Four NaN for a ready-cut crop, which is a row without ``box_x``. Meaningless where :func:`problem` is not null.
    """
    scale = F.col("crop_scale")
    return _with_nan([_x(F.col("box_x")), _y(F.col("box_y")), F.col("box_w") * scale, F.col("box_h") * scale])


def landmarks() -> Column:
    """x, y of the five landmarks in crop pixels: array of ten doubles; NaN where they are unknown."""
    numbers = [F.try_element_at("landmarks", F.lit(index + 1)) for index in range(10)]
    return _with_nan([_y(number) if index % 2 else _x(number) for index, number in enumerate(numbers)])


def problem() -> Column:
    """Why box and landmarks can't be located in the crop: text, null for a sound face and for a ready-cut crop.

    Without this check such a box would be four NaN, and the whole wide crop would pass for a ready-cut one.
    """
    names = [F.when(F.col(name).isNull(), F.lit(name)) for name in (*_SIDES, *_POSITION)]
    missing = F.concat_ws(", ", *names)
    before, after = PROBLEM.split("{}")
    text = F.concat(F.lit(before), missing, F.lit(after))
    return F.when(F.col("box_x").isNotNull() & (missing != ""), text)


def _x(column: Column) -> Column:
    return (column - F.col("crop_x")) * F.col("crop_scale")


def _y(column: Column) -> Column:
    return (column - F.col("crop_y")) * F.col("crop_scale")


def _with_nan(values: Sequence[Column]) -> Column:
    return F.array(*[F.coalesce(value, F.lit(float("nan"))) for value in values])
