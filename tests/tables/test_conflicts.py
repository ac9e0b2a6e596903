"""Writers that meet at one table."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from unittest.mock import MagicMock

import pytest
from delta.exceptions.captured import (
    ConcurrentAppendException,
    ConcurrentDeleteReadException,
    MetadataChangedException,
)
from deltalake import DeltaTable
from pyspark.errors import PySparkException

from dflib.errors import TableError
from dflib.storage import Storage
from dflib.tables import conflicts, history
from dflib.tables.schemas import SPLITS
from dflib.tables.store import Tables


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conflicts, "LONGEST_PAUSE", 0.001)


def made(kind: type[PySparkException]) -> PySparkException:
    """An exception as PySpark raises it; its own constructor needs a JVM."""
    return kind.__new__(kind)


@pytest.mark.parametrize("kind", [ConcurrentAppendException, MetadataChangedException])
def test_a_conflict_is_tried_again(quick: None, kind: type[PySparkException]) -> None:
    calls: list[int] = []

    def commit() -> str:
        calls.append(len(calls))
        if len(calls) < 4:
            raise made(kind)
        return "done"

    assert conflicts.retried(commit, "file:///t/x") == "done" and calls == [0, 1, 2, 3]


def test_what_always_meets_others_is_an_error_that_names_the_table(quick: None) -> None:
    def commit() -> None:
        raise made(ConcurrentAppendException)

    with pytest.raises(TableError, match=r"^file:///t/x: nothing was written, .*run the job again"):
        conflicts.retried(commit, "file:///t/x")


def test_other_errors_are_not_tried_again(quick: None) -> None:
    calls: list[int] = []

    def commit() -> None:
        calls.append(1)
        raise PySparkException("no such column")

    with pytest.raises(PySparkException):
        conflicts.retried(commit, "file:///t/x")
    assert calls == [1]


def test_files_are_joined_again_where_another_writer_came_in_between(
    quick: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = MagicMock()
    compaction = target.forPath.return_value.optimize.return_value.executeCompaction
    compaction.side_effect = [made(ConcurrentAppendException), made(ConcurrentDeleteReadException), None]
    monkeypatch.setattr(history, "DeltaTable", target)
    history.join_files(Tables(MagicMock(), f"file://{tmp_path}", Storage()), history.Place(SPLITS))
    assert compaction.call_count == 3


def at_once(*calls: Callable[[], object]) -> list[object]:
    """Results, or errors, of calls that begin at the same time."""
    barrier, found = threading.Barrier(len(calls)), dict.fromkeys(range(len(calls)))

    def run(number: int) -> None:
        barrier.wait()
        try:
            found[number] = calls[number]()  # type: ignore[assignment]
        except Exception as error:
            found[number] = error  # type: ignore[assignment]

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return list(found.values())


@pytest.mark.spark
def test_writers_at_once_lose_and_repeat_nothing(tables: Tables) -> None:
    writers = [Tables(tables.spark, tables.root, Storage()) for _ in range(2)]

    def insert(number: int) -> Callable[[], int]:
        rows = [
            {"source_group": name, "split": "train", "split_by": "original", "assigned_at": datetime.now(UTC)}
            for name in ("shared", f"own-{number}")
        ]
        return lambda: writers[number].insert_new(SPLITS, SPLITS.frame(tables.spark, rows))

    # The table does not exist yet: they meet at its creation, too.
    assert sorted(at_once(*map(insert, range(2)))) == [1, 2]  # type: ignore[type-var]
    groups = DeltaTable(tables.uri(SPLITS).removeprefix("file://")).to_pandas()["source_group"]
    assert sorted(groups) == ["own-0", "own-1", "shared"]


@pytest.mark.spark
@pytest.mark.parametrize("file", ["_delta_log/.00000000000000000000.json.3f.tmp", "notes.txt"])
def test_a_folder_with_files_and_no_table_is_named(tables: Tables, tmp_path: Path, file: str) -> None:
    path = tmp_path / "tables" / "splits" / file
    path.parent.mkdir(parents=True)
    path.write_text("{}")
    with pytest.raises(TableError, match=r"tables/splits: the table can't be created: .*; otherwise set tables.root"):
        tables.create(SPLITS)
    assert path.read_text() == "{}"


def test_what_another_writer_is_about_to_make_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conflicts, "PAUSE", 0.001)
    answers = iter([False, False, True])
    assert conflicts.comes_true(lambda: next(answers))
    assert not conflicts.comes_true(lambda: False, seconds=0.01)
