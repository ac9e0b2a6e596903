"""The feed over real Parquet files: each row once in a pass, counted, cut by the view, augmented in training."""

from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dflib.config import AugmentConfig, View
from dflib.errors import CountError, ModelError, TrainingError
from dflib.models import view as views
from dflib.storage import Storage
from dflib.training.feed import Feed, SplitFiles, petastorm_url
from tests.training.synthetic_faces import write_split

VIEW = View(size=32, margin=0.2, square=True, interpolation="area", blank_face=False)
NO_AUGMENTATION = AugmentConfig(rotation=0, width_shift=0, height_shift=0, shear=0, zoom=0, horizontal_flip=False)
ALL_AUGMENTATIONS = AugmentConfig(
    rotation=10, width_shift=0.1, height_shift=0.1, shear=10, zoom=0.1, horizontal_flip=True
)


@pytest.fixture(scope="module")
def split(tmp_path_factory: pytest.TempPathFactory) -> SplitFiles:
    """53 rows in three files with several row groups, below a folder whose name URLs would encode."""
    folder = tmp_path_factory.mktemp("feed") / "a b%20c=d"
    return SplitFiles(write_split(folder, "train", 53, files=3, row_group=7))


def make_feed(split: SplitFiles, view: View = VIEW, cache_bytes: int = 0, shard: tuple[int, int] = (0, 1)) -> Feed:
    return Feed(split, view, Storage(), 1, cache_bytes, shard)


Row = tuple[bytes, int, float]


def training_rows(feed: Feed, rows: int, first_row: int = 0, batch_size: int = 8) -> list[Row]:
    """Rows of the training batches, without augmentation: image, label, weight."""
    found: list[Row] = []
    for images, labels, weights in feed.training_batches(batch_size, NO_AUGMENTATION, first_row).as_numpy_iterator():
        assert len(images) == batch_size
        pixels = images.round().astype(np.uint8)
        found += zip(map(bytes, pixels), labels[:, 0].astype(int), map(float, weights), strict=True)
        if len(found) >= rows:
            return found[:rows]
    raise AssertionError("the batches ended")


@pytest.fixture(scope="module")
def expected(split: SplitFiles) -> list[Row]:
    """All rows of the split, cut by the view, sorted."""
    table = stored_rows(split)
    columns = [table[name].to_pylist() for name in ("image", "box", "landmarks", "label", "weight")]
    return sorted(
        (views.cut_row(image, box, landmarks, VIEW).tobytes(), label, weight)
        for image, box, landmarks, label, weight in zip(*columns, strict=True)
    )


def stored_rows(split: SplitFiles) -> pa.Table:
    return pa.concat_tables([pq.read_table(file.removeprefix("file://")) for file in split.files])


def test_row_groups_deliver_each_row_in_another_order_each_pass(split: SplitFiles) -> None:
    footers = sum(pq.ParquetFile(file.removeprefix("file://")).metadata.num_rows for file in split.files)
    feed = make_feed(split)
    feed.check_counts()
    passes = [list(feed.row_groups(number)) for number in range(3)]
    images = [[bytes(image) for group in groups for image in group["image"]] for groups in passes]
    expected = sorted(stored_rows(split)["image"].to_pylist())
    assert len(expected) == footers == 53
    assert all(sorted(found) == expected for found in images)
    assert len({tuple(found) for found in images}) == 3
    assert [bytes(image) for group in make_feed(split).row_groups(1) for image in group["image"]] == images[1]


@pytest.mark.parametrize("count", [2, 3, 4, 53])
def test_shards_hold_each_row_once_and_differ_by_at_most_one_row(split: SplitFiles, count: int) -> None:
    shards = [make_feed(split, shard=(index, count)) for index in range(count)]
    images = []
    for feed in shards:
        feed.check_counts()
        images.append([bytes(image) for group in feed.row_groups(0) for image in group["image"]])
    assert [len(found) for found in images] == [feed.rows for feed in shards]
    assert {feed.rows for feed in shards} <= {53 // count, 53 // count + 1}
    # Each shard is a run of consecutive rows in the order of the files.
    in_order = stored_rows(split)["image"].to_pylist()
    first = 0
    for found in images:
        assert sorted(found) == sorted(in_order[first : first + len(found)])
        first += len(found)
    assert first == 53


def test_a_shard_reads_only_its_own_files(split: SplitFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    import petastorm

    reader = Mock(wraps=petastorm.make_batch_reader)
    monkeypatch.setattr(petastorm, "make_batch_reader", reader)
    first, second, third = sorted(map(petastorm_url, split.files))
    for index, files in ((0, [first, second]), (1, [third, second])):
        reader.reset_mock()
        list(make_feed(split, shard=(index, 2)).row_groups(0))
        assert [file for call in reader.call_args_list for file in call.args[0]] == files


@pytest.mark.parametrize("promised", [17, 19])
def test_a_wrong_row_count_is_an_error(split: SplitFiles, promised: int) -> None:
    first = min(split.files)
    wrong = make_feed(SplitFiles({**split.files, first: promised}))
    with pytest.raises(CountError, match=f"18 rows according to its footer, {promised} according to the training set"):
        wrong.check_counts()
    with pytest.raises(CountError, match=f"delivered 53 rows, the training set promises {promised + 35}"):
        list(wrong.row_groups(0))
    with pytest.raises(Exception, match="delivered 53"):
        list(wrong.validation_batches(8))
    assert isinstance(wrong.error, CountError)


@pytest.mark.parametrize("cache_bytes", [0, 2**30])
def test_training_batches_deliver_each_row_once_in_a_pass(
    split: SplitFiles, expected: list[Row], cache_bytes: int
) -> None:
    found = training_rows(make_feed(split, cache_bytes=cache_bytes), 3 * 53)
    passes = [found[53 * number :][:53] for number in range(3)]
    assert all(sorted(rows) == expected for rows in passes)
    assert passes[0] != passes[1] != passes[2] != passes[0]


@pytest.mark.parametrize("cache_bytes", [0, 2**30])
@pytest.mark.parametrize("first_row", [8, 48, 56, 112])
def test_training_batches_from_a_row_are_those_that_would_follow(
    split: SplitFiles, cache_bytes: int, first_row: int
) -> None:
    for shard in ((0, 1), (1, 2)):
        uninterrupted = training_rows(make_feed(split, cache_bytes=cache_bytes, shard=shard), first_row + 80)
        assert (
            training_rows(make_feed(split, cache_bytes=cache_bytes, shard=shard), 80, first_row)
            == uninterrupted[first_row:]
        )


def test_training_batches_do_not_decode_skipped_rows(split: SplitFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    cut = Mock(wraps=views.cut_row)
    monkeypatch.setattr(views, "cut_row", cut)
    next(make_feed(split).training_batches(1, NO_AUGMENTATION, first_row=52).take(1).as_numpy_iterator())
    assert 0 < cut.call_count < 52, "only rows from the first one on are decoded, some of them ahead"


def test_cached_images_are_read_once(split: SplitFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    feed = make_feed(split, cache_bytes=2**30)
    read = Mock(wraps=feed.row_groups)
    monkeypatch.setattr(feed, "row_groups", read)
    training_rows(feed, 3 * 53)
    read.assert_called_once_with(0)


def test_training_batches_are_augmented_differently_in_each_pass(split: SplitFiles) -> None:
    def means(feed: Feed) -> list[np.ndarray]:
        batches = feed.training_batches(53, ALL_AUGMENTATIONS).take(2)
        return [np.sort(images.mean((1, 2, 3))) for images, _, _ in batches.as_numpy_iterator()]

    first, second = means(make_feed(split, cache_bytes=2**30)), means(make_feed(split, cache_bytes=2**30))
    assert np.array_equal(first, second)
    plain = np.sort(next(make_feed(split).validation_batches(53).as_numpy_iterator())[0].mean((1, 2, 3)))
    assert np.abs(first[0] - plain).max() > 0.2 and not np.array_equal(first[0], first[1])


def test_validation_batches_are_rgb_images_as_cut(split: SplitFiles) -> None:
    images, labels, weights = next(make_feed(split).validation_batches(53).as_numpy_iterator())
    assert images.shape == (53, 32, 32, 3) and labels.shape == (53, 1) and weights.shape == (53,)
    # Fakes are reddish, so the first channel is red.
    assert ((images.mean((1, 2))[:, 0] > images.mean((1, 2))[:, 2]) == labels[:, 0]).all()


def test_unreadable_images_are_left_out_and_counted(tmp_path: Path) -> None:
    files = write_split(tmp_path, "train", 10, unreadable=2)
    feed = make_feed(SplitFiles(files))
    assert sum(len(labels) for _, labels, _ in feed.validation_batches(4).as_numpy_iterator()) == 8
    assert feed.unreadable == 2


def test_a_view_that_cannot_be_cut_ends_the_pass(tmp_path: Path) -> None:
    feed = make_feed(
        SplitFiles(write_split(tmp_path, "train", 4, boxes=False)), VIEW.model_copy(update={"blank_face": True})
    )
    with pytest.raises(Exception, match="blank_face"):
        list(feed.validation_batches(4))
    assert isinstance(feed.error, ModelError)


def test_petastorm_url_rejects_characters_that_end_a_path() -> None:
    with pytest.raises(TrainingError, match="choose another tables"):
        petastorm_url("file:///a#b/c.parquet")
