"""The condition on faces, against the same rows in pandas."""

import itertools

import pandas as pd
import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import DoubleType, StringType, StructField, StructType

from dflib.config import Quality, View
from dflib.tables.quality import ALL_FACES, limits, seen_by, usable
from dflib.tables.schemas import FACES

pytestmark = pytest.mark.spark

MEASURES = ("box_w", "box_h", "sharpness", "brightness", "frontal")


def quality(**limits: float) -> Quality:
    return Quality.model_validate(ALL_FACES.model_dump() | limits)


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    """Every mix of a low, a middle, a high and an unknown value."""
    values = [
        (20.0, 64.0, 300.0, None),
        (64.0, 200.0, None),
        (5.0, 100.0, None),
        (10.0, 120.0, 255.0, None),
        (0.0, 0.7, None),
    ]
    mixes = list(itertools.product(*values))
    table = pd.DataFrame(mixes, columns=list(MEASURES), dtype="float64")
    table["face_id"] = [f"f{number:04d}" for number in range(len(table))]
    return table


@pytest.fixture(scope="module")
def passing(spark: SparkSession, rows: pd.DataFrame):
    fields = [StructField("face_id", StringType(), False), *(StructField(name, DoubleType()) for name in MEASURES)]
    records = [
        tuple(None if pd.isna(value) else value for value in row)
        for row in rows[["face_id", *MEASURES]].itertuples(index=False)
    ]
    faces = spark.createDataFrame(records, StructType(fields)).cache()

    def names(limits: Quality) -> list[str]:
        return sorted(row["face_id"] for row in faces.where(usable(limits)).select("face_id").collect())

    yield names
    faces.unpersist()


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        ({"min_size": 64}, lambda t: t[["box_w", "box_h"]].min(axis=1) < 64),
        ({"min_size": 64.5}, lambda t: t[["box_w", "box_h"]].min(axis=1) < 64.5),
        ({"min_sharpness": 5.1}, lambda t: t["sharpness"] < 5.1),
        ({"min_brightness": 40}, lambda t: t["brightness"] < 40),
        ({"max_brightness": 120}, lambda t: t["brightness"] > 120),
        ({"min_brightness": 120, "max_brightness": 120}, lambda t: t["brightness"].notna() & (t["brightness"] != 120)),
        ({"min_frontal": 0.7}, lambda t: t["frontal"] < 0.7),
        (
            {"min_size": 50, "min_sharpness": 50, "max_brightness": 200, "min_frontal": 0.5},
            lambda t: (
                (t[["box_w", "box_h"]].min(axis=1) < 50)
                | (t["sharpness"] < 50)
                | (t["brightness"] > 200)
                | (t["frontal"] < 0.5)
            ),
        ),
    ],
)
def test_usable_excludes_only_measured_values(passing, rows: pd.DataFrame, limits: dict, reason) -> None:
    expected = rows[~reason(rows)]["face_id"].tolist()
    assert 0 < len(expected) < len(rows)
    assert passing(quality(**limits)) == sorted(expected)


def test_usable_without_limits_passes_all(passing, rows: pd.DataFrame) -> None:
    assert passing(quality()) == sorted(rows["face_id"])


def test_usable_passes_a_face_without_measurements(passing, rows: pd.DataFrame) -> None:
    unknown = rows[rows[list(MEASURES)].isna().all(axis=1)]["face_id"].item()
    strict = quality(min_size=10_000, min_sharpness=10_000, min_brightness=254, max_brightness=254, min_frontal=1)
    assert unknown in passing(strict)


def test_usable_is_never_null(spark: SparkSession) -> None:
    nothing = spark.range(1).select(*[F.lit(None).cast("double").alias(name) for name in MEASURES])
    for these in (quality(), quality(min_size=1, min_sharpness=1, min_brightness=1, max_brightness=2, min_frontal=1)):
        assert nothing.select(usable(these).alias("usable")).first()["usable"] is True


def test_usable_reads_only_columns_of_set_limits(spark: SparkSession) -> None:
    """A table of faces from before a measure was there can still be read."""
    older = spark.createDataFrame([], FACES.spark_schema()).drop("frontal", "sharpness", "brightness")
    assert older.where(usable(quality())).count() == 0
    assert older.where(usable(quality(min_size=64))).count() == 0


def test_usable_drops_short_tracks_when_requested(spark: SparkSession) -> None:
    faces = spark.createDataFrame([("a", True), ("b", False), ("c", None)], "face_id string, short boolean")
    left = [row["face_id"] for row in faces.where(usable(quality(drop_short=True))).orderBy("face_id").collect()]
    assert left == ["b", "c"] and faces.where(usable(quality())).count() == 3


def test_limits_names_only_set_limits() -> None:
    assert limits(quality()) == []
    assert limits(quality(min_size=64, drop_short=True)) == ["min_size=64", "drop_short=1"]


def test_seen_by_requires_landmarks_only_for_views_that_need_them(spark: SparkSession) -> None:
    rows = [("a", [1.0] * 10), ("b", None)]
    faces = spark.createDataFrame(rows, "face_id string, landmarks array<double>")
    plain = View(size=64, margin=0.3, square=True, interpolation="area", blank_face=False)
    for view, seen in ((plain, ["a", "b"]), (plain.model_copy(update={"align": "landmarks"}), ["a"])):
        left = faces.where(seen_by(view)).orderBy("face_id").collect()
        assert [row["face_id"] for row in left] == seen
