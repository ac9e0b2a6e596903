"""Training sets against pandas: balance, splits, labels, coordinates, what is left out, and what is refused."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from deltalake import DeltaTable
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from dflib.config import TrainConfig
from dflib.datasets import training_set
from dflib.datasets.training_set import Count, Selection
from dflib.errors import CountError, TrainingError
from dflib.storage import Storage, for_jvm, local_path
from dflib.tables.schemas import EXTRACTIONS, FACES, SPLITS, TRAINING_SET, VIDEOS
from dflib.tables.store import Tables
from tests.table_rows import add
from tests.training.synthetic_faces import (
    EXTRACTOR,
    NOW,
    Clip,
    configuration,
    face_rows,
    insert_clips,
    insert_splits,
    source_groups,
)

pytestmark = pytest.mark.spark

OTHER = "even20-mtcnn-11111111"
SPLIT = {"real00": "train", "real01": "train", "real02": "train", "real03": "validation", "real04": "test"}
SPLIT |= {"lost": "train", "late": "test"}


@pytest.fixture(scope="module")
def made(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Tables:
    """Five groups of an original and two fakes, a portrait, an unlabelled clip, and one that belongs to two splits."""
    tables = Tables(spark, f"file://{tmp_path_factory.mktemp('sets')}/a space/tables", Storage())
    odd = [
        Clip("portrait", original="real00", faces=3, static=2),
        Clip("unknown", label=None, group="real00"),
        Clip("lost"),
        Clip("late", original="lost", group="late"),
    ]
    insert_clips(tables, [*source_groups(5, fakes=2, faces=3), *odd])
    insert_splits(tables, SPLIT)
    return tables


def train(**values: object) -> TrainConfig:
    whole = configuration(Path("/nowhere")).train.model_dump()
    return TrainConfig.model_validate(whole | values)


def select(tables: Tables, **values: object) -> Selection:
    return training_set.select(tables, tables.read(VIDEOS), tables.read(SPLITS), EXTRACTOR, train(**values))


def rows(selection: Selection) -> pd.DataFrame:
    return selection.rows.toPandas().sort_values("face_id", ignore_index=True)


@pytest.fixture(scope="module")
def everything(made: Tables) -> pd.DataFrame:
    return rows(select(made, balance="none"))


def test_select_takes_all_labelled_moving_faces_with_label_and_split(everything: pd.DataFrame) -> None:
    names = everything["video_id"].str.removeprefix("made/")
    expected = {clip.name: 3 for clip in source_groups(5)} | {"portrait": 1, "lost": 2}
    assert names.value_counts().to_dict() == expected
    assert (everything["label"] == (~names.str.contains("real|lost")).astype(int)).all()
    assert (everything["split"] == everything["source_group"].str.removeprefix("made/").map(SPLIT)).all()
    assert (everything["weight"] == 1).all()


def test_select_counts_its_rows(made: Tables, everything: pd.DataFrame) -> None:
    selection = select(made, balance="none")
    counted = everything.groupby(["split", "label"]).agg(faces=("face_id", "size"), videos=("video_id", "nunique"))
    assert selection.counts == tuple(Count(*key, row.faces, row.videos) for key, row in counted.iterrows())
    assert selection.groups == everything.groupby("split")["source_group"].nunique().to_dict()
    assert selection.crossing_videos == 1


def test_select_consecutive_keeps_the_first_fakes_in_name_order(made: Tables, everything: pd.DataFrame) -> None:
    of_train = everything[everything["split"] == "train"]
    real = of_train[of_train["label"] == 0]
    first = of_train[of_train["label"] == 1].sort_values(["video_id", "face_id"]).head(len(real))
    found = rows(select(made, balance="consecutive"))
    assert set(found[found["split"] == "train"]["face_id"]) == set(real["face_id"]) | set(first["face_id"])
    rest = everything[everything["split"] != "train"]
    assert set(found[found["split"] != "train"]["face_id"]) == set(rest["face_id"]), "only train is balanced"


def test_select_random_keeps_as_many_fakes_as_real_faces_by_seed(made: Tables) -> None:
    kept = {}
    for seed in (1, 2):
        found = rows(select(made, balance="random", seed=seed))
        of_train = found[found["split"] == "train"]
        assert of_train["label"].value_counts().to_dict() == {0: 11, 1: 11}
        kept[seed] = set(of_train["face_id"])
    assert kept[1] == set(rows(select(made, balance="random")).query("split == 'train'")["face_id"]) != kept[2]


def test_select_weights_gives_both_classes_equal_weight(made: Tables) -> None:
    found = rows(select(made, balance="weights"))
    of_train = found[found["split"] == "train"]
    sums = of_train.groupby("label")["weight"].sum()
    assert sums[0] == pytest.approx(sums[1], rel=1e-6) and of_train["weight"].mean() == pytest.approx(1, rel=1e-6)
    real = of_train[of_train["label"] == 0]["weight"]
    assert real.unique() == pytest.approx([len(of_train) / (2 * len(real))])
    assert (found[found["split"] != "train"]["weight"] == 1).all()


def test_select_limits_the_faces_of_a_video(made: Tables) -> None:
    found = rows(select(made, balance="none", max_faces_per_video=2))
    assert found["video_id"].value_counts().max() == 2 and len(found) == 15 * 2 + 2 + 1


def test_select_shuffle_labels_permutes_labels_over_videos(made: Tables, everything: pd.DataFrame) -> None:
    found = rows(select(made, balance="none", shuffle_labels=True))
    assert (found.groupby("video_id")["label"].nunique() == 1).all()

    def of_videos(frame: pd.DataFrame) -> dict[tuple[str, int], int]:
        return frame.groupby(["split", "label"])["video_id"].nunique().to_dict()

    assert of_videos(found) == of_videos(everything)
    assert (found["label"] != everything["label"]).mean() > 0.2


def test_select_takes_only_current_faces(tables: Tables) -> None:
    insert_clips(tables, source_groups(5, fakes=2, faces=3))
    insert_splits(tables, SPLIT)
    whole = select(tables, balance="none")
    before = set(rows(whole)["video_id"])
    killed = [row | {"face_id": "left", "video_id": "made/killed"} for row in face_rows([Clip("killed", faces=1)])]
    add(tables, FACES, killed)
    add(tables, VIDEOS, [Clip("killed", original="real00").row])
    assert (rows(select(tables, balance="none"))["video_id"] != "made/killed").all()
    tables.upsert(VIDEOS, tables.read(VIDEOS).where("video_id = 'made/fake000'").withColumn("fingerprint", F.lit("2")))
    selection = select(tables, balance="none")
    assert before - set(rows(selection)["video_id"]) == {"made/fake000"}
    assert (whole.not_current, selection.not_current) == (0, 3 + 1)
    assert sum(map(selection.faces, ("train", "validation", "test"))) == 45 - 3


@pytest.mark.cluster  # make test has no time for it
def test_select_derives_the_set_id_from_the_rows(made: Tables) -> None:
    names = [
        select(made, **values).set_id for values in ({}, {}, {"seed": 2}, {"balance": "none"}, {"shuffle_labels": True})
    ]
    assert names[0] == names[1] and len(set(names)) == 4


def test_write_pins_and_shuffles_a_set_and_writes_it_once(made: Tables, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training_set, "FACES_PER_FILE", 10)
    selection = select(made, balance="weights")
    written = training_set.write(made, selection, seed=1)
    assert training_set.write(made, select(made, balance="weights"), seed=1) == written
    rows_of = {split: sum(files.values()) for split, files in written.files.items()}
    assert rows_of == {"test": 9, "train": 36 - 6, "validation": 9}
    assert {split: len(files) for split, files in written.files.items()} == {"test": 1, "train": 3, "validation": 1}
    table = DeltaTable(str(local_path(written.uri)))
    assert table.version() == written.version == 1
    frame = table.to_pandas().sort_values("face_id", ignore_index=True)
    expected = rows(selection)
    pd.testing.assert_frame_equal(frame[list(expected.columns)], expected, check_dtype=False)
    for split, files in written.files.items():
        for file, count in files.items():
            content = pd.read_parquet(local_path(file))
            assert set(content["split"]) == {split} and len(content) == count
    # Adjacent rows of a file are rarely of one video.
    big = pd.concat([pd.read_parquet(local_path(file)) for file in written.files["train"]])
    assert (big["video_id"].values[1:] == big["video_id"].values[:-1]).mean() < 0.4
    # The box at 10, 20 of the frame, in a crop at 4, 14 of twice the size.
    assert np.allclose(np.stack(frame["box"]), [12, 12, 24, 24])
    assert np.allclose(frame["landmarks"][0], [(11 + n - (14 if n % 2 else 4)) * 2 for n in range(10)])


def test_select_refuses_a_face_without_position_in_its_crop(tables: Tables) -> None:
    """Its box would be four NaN, and the whole wide crop would be trained on as if it were ready-cut."""
    insert_clips(tables, source_groups(5, fakes=1, faces=1))
    insert_splits(tables, SPLIT)
    damaged = tables.read(FACES).where("video_id = 'made/fake010'").withColumn("crop_scale", F.lit(None).cast("double"))
    tables.upsert(FACES, damaged)
    with pytest.raises(TrainingError, match=r"^made/fake010\|.*: the face has a box, but crop_scale is missing"):
        select(tables, balance="none")


def test_select_refuses_a_group_in_two_splits(made: Tables) -> None:
    twice = made.read(SPLITS).unionByName(
        made.spark.createDataFrame([("made/real01", "test", "original", NOW)], SPLITS.spark_schema())
    )
    with pytest.raises(TrainingError, match="made/real01 is in test and train"):
        training_set.select(made, made.read(VIDEOS), twice, EXTRACTOR, train())


@pytest.mark.parametrize(
    ("left", "text"),
    [
        ("split != 'validation'", "validation split has no faces.*splits.by to original"),
        ("split != 'train'", "train split has no faces:"),
        ("split != 'train' OR source_group = 'made/lost'", "train split has no FAKE faces"),
    ],
)
def test_select_refuses_a_set_without_validation_or_a_class(made: Tables, left: str, text: str) -> None:
    with pytest.raises(TrainingError, match=text):
        training_set.select(made, made.read(VIDEOS), made.read(SPLITS).where(left), EXTRACTOR, train())


def test_write_refuses_a_set_that_was_modified(made: Tables) -> None:
    selection = select(made, balance="none", max_faces_per_video=1)
    folder = f"training_sets/{selection.set_id}"
    written = training_set.write(made, selection, seed=1)
    present = made.read(TRAINING_SET, written.version, folder)
    target = for_jvm(made.uri(TRAINING_SET, folder))
    # Somebody copies a row of the train split to test.
    stray = present.where("split = 'train'").limit(1).selectExpr("* EXCEPT (split)", "'test' split")
    stray.select(present.columns).write.format("delta").mode("append").save(target)
    with pytest.raises(CountError, match=r"holds .* were selected; .* delete the folder"):
        training_set.write(made, selection, seed=1)


def test_resolve_extractor_takes_the_requested_the_only_or_the_configured_one(made: Tables, tables: Tables) -> None:
    assert training_set.resolve_extractor(made, None, "another") == EXTRACTOR
    with pytest.raises(TrainingError, match=f"train.extractor=x: .* {EXTRACTOR}"):
        training_set.resolve_extractor(made, "x", EXTRACTOR)
    with pytest.raises(TrainingError, match="no faces to train on; run extract first"):
        training_set.resolve_extractor(tables, None, EXTRACTOR)
    add(tables, EXTRACTIONS, [
        {"video_id": "v", "extractor": name, "outcome": "DONE", "attempts": 1, "frames": 1, "faces": 1, "bytes_read": 0,
         "requests": 0, "run_id": "r", "extracted_at": NOW} for name in (EXTRACTOR, OTHER)
    ])  # fmt: skip
    assert training_set.resolve_extractor(tables, None, OTHER) == OTHER
    assert training_set.resolve_extractor(tables, EXTRACTOR, OTHER) == EXTRACTOR
    with pytest.raises(TrainingError, match=f"set train.extractor to one of {OTHER}, {EXTRACTOR}"):
        training_set.resolve_extractor(tables, None, "neither")
