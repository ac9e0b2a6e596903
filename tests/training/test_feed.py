"""The feed over real Parquet files: every row once a pass, counted, cut as the view says, warped in training."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dflib.config import Augment, View
from dflib.errors import CountError, ModelError, TrainingError
from dflib.models import view as views
from dflib.storage import Storage
from dflib.training import feed
from dflib.training.feed import Feed, Part
from tests.training.made_faces import parquet_set

VIEW = View(size=32, margin=0.2, square=True, interpolation="area", blank_face=False)
NOTHING = Augment(rotation=0, width_shift=0, height_shift=0, shear=0, zoom=0, horizontal_flip=False)
ALL = Augment(rotation=10, width_shift=0.1, height_shift=0.1, shear=10, zoom=0.1, horizontal_flip=True)


@pytest.fixture(scope="module")
def part(tmp_path_factory: pytest.TempPathFactory) -> Part:
    """53 rows in three files with several row groups, below a folder whose name URLs would encode."""
    folder = tmp_path_factory.mktemp("feed") / "a b%20c=d"
    return Part(parquet_set(folder, "train", 53, files=3, row_group=7), 53)


def make(part: Part, view: View = VIEW, cache_bytes: int = 0) -> Feed:
    return Feed(part, view, Storage(), 1, cache_bytes)


def frame(part: Part) -> pa.Table:
    return pa.concat_tables([pq.read_table(file.removeprefix("file://")) for file in part.files])


def test_rows_are_those_of_the_footers_in_another_order_each_pass(part: Part) -> None:
    footers = sum(pq.ParquetFile(file.removeprefix("file://")).metadata.num_rows for file in part.files)
    one = make(part)
    one.check()
    passes = [list(one.row_groups()) for _ in range(3)]
    images = [[bytes(image) for group in groups for image in group["image"]] for groups in passes]
    expected = sorted(frame(part)["image"].to_pylist())
    assert len(expected) == footers == 53
    assert all(sorted(found) == expected for found in images)
    assert len({tuple(found) for found in images}) == 3
    again = make(part)
    assert [bytes(image) for group in again.row_groups() for image in group["image"]] == images[0]


@pytest.mark.parametrize("promised", [52, 54])
def test_a_count_that_is_off_is_an_error(part: Part, promised: int) -> None:
    wrong = make(Part(part.files, promised))
    with pytest.raises(CountError, match=f"footers promise 53 rows, the training set {promised}"):
        wrong.check()
    with pytest.raises(CountError, match=f"delivered 53 rows, the training set promises {promised}"):
        list(wrong.row_groups())
    with pytest.raises(Exception, match="delivered 53"):
        list(wrong.judge(8))
    assert isinstance(wrong.problem, CountError)


@pytest.mark.parametrize("cache_bytes", [0, 2**30])
def test_every_row_comes_once_an_epoch(part: Part, cache_bytes: int) -> None:
    batches = make(part, cache_bytes=cache_bytes).train(8, NOTHING)
    table = frame(part)
    expected = sorted(
        (views.cut_row(image, box, landmarks, VIEW).tobytes(), label, weight)
        for image, box, landmarks, label, weight in zip(
            *[table[name].to_pylist() for name in ("image", "box", "landmarks", "label", "weight")], strict=True
        )
    )
    orders = []
    for _ in range(2):
        found = [
            (picture.round().astype(np.uint8).tobytes(), int(label[0]), float(weight))
            for pictures, labels, weights in batches.as_numpy_iterator()
            for picture, label, weight in zip(pictures, labels, weights, strict=True)
        ]
        assert sorted(found) == expected
        orders.append(found)
    assert orders[0] != orders[1]


def test_pictures_are_warped_anew_each_epoch_and_by_seed(part: Part) -> None:
    def means(one: Feed) -> list[np.ndarray]:
        batches = one.train(53, ALL)
        return [np.sort(next(batches.as_numpy_iterator())[0].mean((1, 2, 3))) for _ in range(2)]

    first, second = means(make(part, cache_bytes=2**30)), means(make(part, cache_bytes=2**30))
    assert np.array_equal(first, second)
    plain = np.sort(next(make(part).judge(53).as_numpy_iterator())[0].mean((1, 2, 3)))
    assert np.abs(first[0] - plain).max() > 0.2 and not np.array_equal(first[0], first[1])


def test_judging_keeps_pictures_as_cut(part: Part) -> None:
    pictures, labels, weights = next(make(part).judge(53).as_numpy_iterator())
    assert pictures.shape == (53, 32, 32, 3) and labels.shape == (53, 1) and weights.shape == (53,)
    # Fakes are made reddish: RGB it is.
    assert ((pictures.mean((1, 2))[:, 0] > pictures.mean((1, 2))[:, 2]) == labels[:, 0]).all()


def test_a_picture_that_cannot_be_read_is_left_out_and_counted(tmp_path: Path) -> None:
    files = parquet_set(tmp_path, "train", 10, spoilt=2)
    one = make(Part(files, 10))
    assert sum(len(labels) for _, labels, _ in one.judge(4).as_numpy_iterator()) == 8
    assert one.unreadable == 2


def test_a_view_that_cannot_be_cut_ends_the_pass_with_its_reason(tmp_path: Path) -> None:
    one = make(Part(parquet_set(tmp_path, "train", 4, boxes=False), 4), VIEW.model_copy(update={"blank_face": True}))
    with pytest.raises(Exception, match="blank_face"):
        list(one.judge(4))
    assert isinstance(one.problem, ModelError)


def test_a_path_that_petastorm_would_cut_off_is_refused() -> None:
    with pytest.raises(TrainingError, match="choose another tables"):
        feed.petastorm_url("file:///a#b/c.parquet")
