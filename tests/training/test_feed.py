"""The feed over real Parquet files: every row once a pass, counted, cut as the view says, warped in training."""

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
from dflib.training import feed
from dflib.training.feed import Feed, Part
from tests.training.made_faces import parquet_set

VIEW = View(size=32, margin=0.2, square=True, interpolation="area", blank_face=False)
NOTHING = AugmentConfig(rotation=0, width_shift=0, height_shift=0, shear=0, zoom=0, horizontal_flip=False)
ALL = AugmentConfig(rotation=10, width_shift=0.1, height_shift=0.1, shear=10, zoom=0.1, horizontal_flip=True)


@pytest.fixture(scope="module")
def part(tmp_path_factory: pytest.TempPathFactory) -> Part:
    """53 rows in three files with several row groups, below a folder whose name URLs would encode."""
    folder = tmp_path_factory.mktemp("feed") / "a b%20c=d"
    return Part(parquet_set(folder, "train", 53, files=3, row_group=7))


def make(part: Part, view: View = VIEW, cache_bytes: int = 0, share: tuple[int, int] = (0, 1)) -> Feed:
    return Feed(part, view, Storage(), 1, cache_bytes, share)


Row = tuple[bytes, int, float]


def stream(one: Feed, rows: int, begin: int = 0, batch: int = 8) -> list[Row]:
    """The first rows that are trained on: picture, label, weight."""
    found: list[Row] = []
    for pictures, labels, weights in one.train(batch, NOTHING, begin).as_numpy_iterator():
        assert len(pictures) == batch
        pixels = pictures.round().astype(np.uint8)
        found += zip(map(bytes, pixels), labels[:, 0].astype(int), map(float, weights), strict=True)
        if len(found) >= rows:
            return found[:rows]
    raise AssertionError("it has no end")


@pytest.fixture(scope="module")
def expected(part: Part) -> list[Row]:
    """All rows of the set, cut by the view, sorted."""
    table = frame(part)
    columns = [table[name].to_pylist() for name in ("image", "box", "landmarks", "label", "weight")]
    return sorted(
        (views.cut_row(image, box, landmarks, VIEW).tobytes(), label, weight)
        for image, box, landmarks, label, weight in zip(*columns, strict=True)
    )


def frame(part: Part) -> pa.Table:
    return pa.concat_tables([pq.read_table(file.removeprefix("file://")) for file in part.files])


def test_rows_are_those_of_the_footers_in_another_order_each_pass(part: Part) -> None:
    footers = sum(pq.ParquetFile(file.removeprefix("file://")).metadata.num_rows for file in part.files)
    one = make(part)
    one.check()
    passes = [list(one.row_groups(number)) for number in range(3)]
    images = [[bytes(image) for group in groups for image in group["image"]] for groups in passes]
    expected = sorted(frame(part)["image"].to_pylist())
    assert len(expected) == footers == 53
    assert all(sorted(found) == expected for found in images)
    assert len({tuple(found) for found in images}) == 3
    assert [bytes(image) for group in make(part).row_groups(1) for image in group["image"]] == images[1]


@pytest.mark.parametrize("of", [2, 3, 4, 53])
def test_shares_are_of_one_size_and_each_row_is_in_one(part: Part, of: int) -> None:
    shares = [make(part, share=(place, of)) for place in range(of)]
    images = []
    for one in shares:
        one.check()
        images.append([bytes(image) for group in one.row_groups(0) for image in group["image"]])
    assert [len(found) for found in images] == [one.rows for one in shares]
    assert {one.rows for one in shares} <= {53 // of, 53 // of + 1}
    # Each takes a run of the rows as they lie in the files.
    in_order = frame(part)["image"].to_pylist()
    first = 0
    for found in images:
        assert sorted(found) == sorted(in_order[first : first + len(found)])
        first += len(found)
    assert first == 53


def test_a_share_reads_its_own_files_only(part: Part, monkeypatch: pytest.MonkeyPatch) -> None:
    import petastorm

    reader = Mock(wraps=petastorm.make_batch_reader)
    monkeypatch.setattr(petastorm, "make_batch_reader", reader)
    first, second, third = sorted(map(feed.petastorm_url, part.files))
    for place, files in ((0, [first, second]), (1, [third, second])):
        reader.reset_mock()
        list(make(part, share=(place, 2)).row_groups(0))
        assert [file for call in reader.call_args_list for file in call.args[0]] == files


@pytest.mark.parametrize("promised", [17, 19])
def test_a_count_that_is_off_is_an_error(part: Part, promised: int) -> None:
    first = min(part.files)
    wrong = make(Part({**part.files, first: promised}))
    with pytest.raises(CountError, match=f"its footer promises 18 rows, the training set {promised}"):
        wrong.check()
    with pytest.raises(CountError, match=f"delivered 53 rows, the training set promises {promised + 35}"):
        list(wrong.row_groups(0))
    with pytest.raises(Exception, match="delivered 53"):
        list(wrong.judge(8))
    assert isinstance(wrong.problem, CountError)


@pytest.mark.parametrize("cache_bytes", [0, 2**30])
def test_every_row_comes_once_an_epoch(part: Part, expected: list[Row], cache_bytes: int) -> None:
    found = stream(make(part, cache_bytes=cache_bytes), 3 * 53)
    passes = [found[53 * number :][:53] for number in range(3)]
    assert all(sorted(one) == expected for one in passes)
    assert passes[0] != passes[1] != passes[2] != passes[0]


@pytest.mark.parametrize("cache_bytes", [0, 2**30])
@pytest.mark.parametrize("begin", [8, 48, 56, 112])
def test_what_follows_a_restart_is_what_would_have_followed(part: Part, cache_bytes: int, begin: int) -> None:
    for share in ((0, 1), (1, 2)):
        unbroken = stream(make(part, cache_bytes=cache_bytes, share=share), begin + 80)
        assert stream(make(part, cache_bytes=cache_bytes, share=share), 80, begin) == unbroken[begin:]


def test_what_was_trained_on_before_is_not_decoded_again(part: Part, monkeypatch: pytest.MonkeyPatch) -> None:
    cut = Mock(wraps=views.cut_row)
    monkeypatch.setattr(views, "cut_row", cut)
    next(make(part).train(1, NOTHING, begin=52).take(1).as_numpy_iterator())
    assert 0 < cut.call_count < 52, "some are decoded ahead"


def test_a_set_in_memory_is_read_once(part: Part, monkeypatch: pytest.MonkeyPatch) -> None:
    one = make(part, cache_bytes=2**30)
    read = Mock(wraps=one.row_groups)
    monkeypatch.setattr(one, "row_groups", read)
    stream(one, 3 * 53)
    read.assert_called_once_with(0)


def test_pictures_are_warped_anew_each_epoch_and_by_seed(part: Part) -> None:
    def means(one: Feed) -> list[np.ndarray]:
        batches = one.train(53, ALL).take(2)
        return [np.sort(pictures.mean((1, 2, 3))) for pictures, _, _ in batches.as_numpy_iterator()]

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
    one = make(Part(files))
    assert sum(len(labels) for _, labels, _ in one.judge(4).as_numpy_iterator()) == 8
    assert one.unreadable == 2


def test_a_view_that_cannot_be_cut_ends_the_pass_with_its_reason(tmp_path: Path) -> None:
    one = make(Part(parquet_set(tmp_path, "train", 4, boxes=False)), VIEW.model_copy(update={"blank_face": True}))
    with pytest.raises(Exception, match="blank_face"):
        list(one.judge(4))
    assert isinstance(one.problem, ModelError)


def test_a_path_that_petastorm_would_cut_off_is_refused() -> None:
    with pytest.raises(TrainingError, match="choose another tables"):
        feed.petastorm_url("file:///a#b/c.parquet")
