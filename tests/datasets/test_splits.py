"""Splits: permanent, close to the configured fractions, by original, by chunk, or as the source assigns them."""

from collections import Counter

import pytest

from dflib.config import SplitsConfig
from dflib.datasets import splits
from dflib.errors import TrainingError
from dflib.tables.schemas import SPLITS, VIDEOS
from dflib.tables.store import Tables
from tests.table_rows import add
from tests.training.synthetic_faces import Clip, insert_splits, source_groups

pytestmark = pytest.mark.spark


def assign(tables: Tables, clips: list[Clip], dry_run: bool = False, **changes: object) -> dict[str, str]:
    values = {"by": "original", "min_chunks": 10, "validation": 0.1, "test": 0.2, "seed": 1} | changes
    videos = tables.spark.createDataFrame(
        [{name: clip.row.get(name) for name in VIDEOS.schema.names} for clip in clips], VIDEOS.spark_schema()
    )
    found = splits.assign(tables, videos, SplitsConfig.model_validate(values), dry_run).collect()
    assert len({row["source_group"] for row in found}) == len(found)
    return {row["source_group"].removeprefix("made/"): row["split"] for row in found}


def test_assign_meets_the_fractions_with_few_groups_and_keeps_splits(tables: Tables) -> None:
    first = assign(tables, source_groups(30))
    assert Counter(first.values()) == {"train": 21, "validation": 3, "test": 6}
    version = tables.version(SPLITS)
    assert assign(tables, source_groups(30)) == first
    assert tables.version(SPLITS) == version, "a new version without new groups"
    grown = assign(tables, source_groups(60), seed=99, test=0.5)
    assert {group: grown[group] for group in first} == first
    assert Counter(grown.values()) == {"train": 24, "validation": 6, "test": 30}


def test_assign_depends_on_the_seed_and_writes_nothing_in_a_dry_run(tables: Tables) -> None:
    one = assign(tables, source_groups(30), dry_run=True)
    assert (
        one
        == assign(tables, source_groups(30)[::-1], dry_run=True)
        != assign(tables, source_groups(30), dry_run=True, seed=2)
    )
    assert not tables.exists(SPLITS)


def test_assign_gives_each_split_a_group_when_there_are_few(tables: Tables) -> None:
    assert sorted(assign(tables, source_groups(3), dry_run=True).values()) == ["test", "train", "validation"]


def test_assign_ignores_videos_without_label(tables: Tables) -> None:
    assert set(assign(tables, [Clip("a"), Clip("b", label=None)], dry_run=True)) == {"a"}


def test_assign_by_chunk_keeps_chunks_whole_also_for_new_groups(tables: Tables) -> None:
    def chunked(count: int, per: int) -> list[Clip]:
        return [Clip(f"c{chunk:02d}n{n}", chunk=f"chunk_{chunk}") for chunk in range(count) for n in range(per)]

    # A fake in another chunk than its original: the group follows the chunk of its first video.
    found = assign(tables, [*chunked(10, 4), Clip("z", original="c00n0", chunk="chunk_9")], by="auto")
    of_chunk = {group[:3]: split for group, split in found.items()}
    assert all(found[group] == of_chunk[group[:3]] for group in found)
    assert Counter(of_chunk.values()) == {"train": 7, "validation": 1, "test": 2}
    later = assign(tables, chunked(10, 6), by="chunk")
    assert all(split == of_chunk[group[:3]] for group, split in later.items())


def test_assign_auto_splits_by_original_when_there_are_few_chunks(tables: Tables) -> None:
    assign(tables, [Clip(f"r{n}", chunk=f"chunk_{n % 3}") for n in range(9)], by="auto")
    assert {row["split_by"] for row in tables.read(SPLITS).collect()} == {"original"}


def test_assign_given_takes_the_splits_of_the_source(tables: Tables) -> None:
    clips = [Clip("a", given="train"), Clip("b", given="Val"), Clip("c", given="test")]
    assert assign(tables, clips, by="given", dry_run=True) == {"a": "train", "b": "validation", "c": "test"}


@pytest.mark.parametrize(
    ("clips", "text"),
    [
        ([Clip("a", given="holdout")], "made/a: its metadata contain the unknown split 'holdout'.*splits.by"),
        ([Clip("a", given=None)], "made/a: its metadata assign no split to 1 of its videos"),
        ([Clip("a", given="train"), Clip("b", original="a", given="test")], "made/a: .* assign both test and train"),
    ],
)  # fmt: skip
def test_assign_given_refuses_unknown_missing_or_contradictory_splits(
    tables: Tables, clips: list[Clip], text: str
) -> None:
    with pytest.raises(TrainingError, match=text):
        assign(tables, clips, by="given")
    assert not tables.exists(SPLITS)


def test_assign_keeps_splits_of_groups_without_videos(tables: Tables) -> None:
    insert_splits(tables, {"gone": "test"})
    add(tables, VIDEOS, [])
    assert assign(tables, [Clip("a")])["gone"] == "test"
