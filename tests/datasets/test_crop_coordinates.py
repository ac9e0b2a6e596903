"""Box and landmarks in crop pixels, against numbers computed by hand."""

from typing import Any

import numpy as np
import pytest
from pyspark.sql import Row, SparkSession

from dflib.datasets import crop_coordinates
from dflib.tables.schemas import FACES

pytestmark = pytest.mark.spark

COLUMNS = ("box_x", "box_y", "box_w", "box_h", "crop_x", "crop_y", "crop_scale", "landmarks")
NAN = float("nan")
SOUND: dict[str, Any] = {
    "box_x": 140.0, "box_y": 90.0, "box_w": 80.0, "box_h": 100.0, "crop_x": 100.0, "crop_y": 50.0, "crop_scale": 0.5,
    "landmarks": [150.0, 100.0, 200.0, 104.0, 180.0, 120.0, 160.0, 150.0, 190.0, 151.0],
}  # fmt: skip
BOX = [20.0, 20.0, 40.0, 50.0]
LANDMARKS = [25.0, 25.0, 50.0, 27.0, 40.0, 35.0, 30.0, 50.0, 45.0, 50.5]
POSITION = ("box_y", "box_w", "box_h", "crop_x", "crop_y", "crop_scale")
CASES: dict[str, dict[str, Any]] = {
    "sound": SOUND,
    "without landmarks": SOUND | {"landmarks": None},
    "incomplete landmarks": SOUND | {"landmarks": [*SOUND["landmarks"][:7], None, NAN]},
    "ready-cut crop": dict.fromkeys(SOUND),
    "left of the crop": SOUND | {"box_x": 90.0},
    **{name: SOUND | {name: None} for name in POSITION},
    "position": SOUND | {"crop_x": None, "crop_y": None, "crop_scale": None},
}


@pytest.fixture(scope="module")
def located(spark: SparkSession) -> dict[str, Row]:
    kinds = {field.name: field.dataType.simpleString() for field in FACES.spark_schema()}
    schema = ", ".join(["name string", *(f"{name} {kinds[name]}" for name in COLUMNS)])
    faces = spark.createDataFrame(
        [(name, *(case[column] for column in COLUMNS)) for name, case in CASES.items()], schema
    )
    columns = {
        "box": crop_coordinates.box(), "landmarks": crop_coordinates.landmarks(), "problem": crop_coordinates.problem()
    }  # fmt: skip
    rows = faces.select("name", *(column.alias(name) for name, column in columns.items())).collect()
    return {row["name"]: row for row in rows}


@pytest.mark.parametrize(
    ("name", "box", "landmarks"),
    [
        ("sound", BOX, LANDMARKS),
        ("without landmarks", BOX, [NAN] * 10),
        ("incomplete landmarks", BOX, [*LANDMARKS[:7], NAN, NAN, NAN]),
        ("ready-cut crop", [NAN] * 4, [NAN] * 10),
        ("left of the crop", [-5.0, *BOX[1:]], LANDMARKS),
    ],
)
def test_box_and_landmarks_are_in_crop_pixels(
    located: dict[str, Row], name: str, box: list[float], landmarks: list[float]
) -> None:
    assert located[name]["problem"] is None
    np.testing.assert_allclose(located[name]["box"], box)
    np.testing.assert_allclose(located[name]["landmarks"], landmarks)


@pytest.mark.parametrize("name", POSITION)
def test_problem_names_the_missing_column(located: dict[str, Row], name: str) -> None:
    assert located[name]["problem"] == crop_coordinates.PROBLEM.format(name)


def test_problem_names_all_missing_columns(located: dict[str, Row]) -> None:
    assert located["position"]["problem"] == (
        "the face has a box, but crop_x, crop_y, crop_scale is missing, so its position in the crop is unknown; "
        "extract its video again"
    )
    # What would pass for a ready-cut crop.
    assert np.isnan(located["position"]["box"]).all()
