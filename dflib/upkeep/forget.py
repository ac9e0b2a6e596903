"""Removes videos for good: their rows, faces and scores, from all tables, files and pages.

The order lets a killed run be repeated: the tombstones come first, so that no ingest brings the videos back; then files
of reports, which are searched for what the rows name and show; rows that are derived go before those that they are
derived from; and earlier versions are purged in every run.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from dflib import uris
from dflib.errors import TableError
from dflib.storage import Storage
from dflib.tables import deletion, forgotten, history
from dflib.tables.schemas import (
    ALIASES,
    CHANGES,
    CHECKS,
    CHUNKS,
    FACES,
    FORGOTTEN,
    FRAMES,
    MODELS,
    PUBLICATIONS,
    SPLITS,
    TRAINING_SET,
    VIDEOS,
    Table,
)
from dflib.tables.store import Tables
from dflib.upkeep.search import Wanted, every_file, holds

log = logging.getLogger(__name__)

NAME = "forget"
"""The job, beside which no other one writes."""


@dataclass(frozen=True)
class Subject:
    """The videos to forget.

    Attributes:
        videos: their ids, sorted.
        named: how many of them were named; the others are fakes of these.
        training_sets: folders of the training sets that have faces of them.
        models: models that were trained on those.
        wanted: names and images that no file may hold afterwards.
    """

    videos: tuple[str, ...]
    named: int
    training_sets: tuple[str, ...]
    models: tuple[str, ...]
    wanted: Wanted


@dataclass
class Forgotten:
    """What was removed: rows by table, files below the roots by their URI, run records in which names were replaced."""

    rows: dict[str, int] = field(default_factory=dict)
    files: list[str] = field(default_factory=list)
    records: int = 0


def find(tables: Tables, videos: Sequence[str], with_fakes: bool) -> Subject:
    """What there is of the videos.

    Args:
        tables: reads ``videos``, ``faces``, ``frames``, ``models`` and the training sets.
        videos: video_ids; those that were forgotten already may be among them, for another try.
        with_fakes: adds the fakes that were made from them, and the fakes of those.

    Raises:
        TableError: there is no such video, and there was none.
    """
    known = tables.read(VIDEOS).select("video_id", "original")
    ids = set(videos)
    present = {
        row["video_id"]
        for row in known.join(F.broadcast(deletion.frame_of(tables, ids)), "video_id", "left_semi").collect()
    }
    missing = sorted(ids - present - forgotten.known(tables, ids))
    if missing:
        raise TableError(
            f"{tables.uri(VIDEOS)}: there is no video {', '.join(repr(video) for video in missing[:5])}; nothing was "
            "removed. Ids begin with the data set, as in the column video_id"
        )
    newest = ids
    while with_fakes and newest:
        originals = F.broadcast(deletion.frame_of(tables, newest)).withColumnRenamed("video_id", "original")
        fakes = known.join(originals, "original", "left_semi").collect()
        newest = {row["video_id"] for row in fakes} - ids
        ids |= newest
    wanted = F.broadcast(deletion.frame_of(tables, ids))
    sets = [
        place
        for place in history.places(tables)
        if place.table is TRAINING_SET
        and not tables.read(TRAINING_SET, folder=place.folder).join(wanted, "video_id", "left_semi").isEmpty()
    ]
    set_ids = [uris.name(place.name) for place in sets]
    trained = tables.read(MODELS).where(F.col("training_set").isin(set_ids)).select("model_id").collect()
    # An earlier try may have deleted the rows of the training sets.
    models = {row["model_id"] for row in trained} | forgotten.models(tables, ids)
    image_tables = [(FACES, None), (FRAMES, None), *((TRAINING_SET, place.folder) for place in sets)]
    return Subject(
        tuple(sorted(ids)),
        len(set(videos)),
        tuple(place.name for place in sets),
        tuple(sorted(models)),
        Wanted(forgotten.names(ids), frozenset().union(*(_images(tables, *each, wanted) for each in image_tables))),
    )


def forget(
    tables: Tables,
    storage: Storage,
    subject: Subject,
    reports_root: str,
    reason: str,
    forgotten_by: str,
    run_id: str,
) -> Forgotten:
    """Removes the videos from all tables and their history, from pages and other files of reports, and run records.

    No other job may run meanwhile.

    Args:
        tables: all tables.
        storage: of the reports and the run records.
        subject: what :func:`find` found.
        reports_root: URI of the folder of pages; files that name one of the videos are deleted.
        reason, forgotten_by, run_id: for the tombstones.
    """
    result = Forgotten()
    ids = F.broadcast(deletion.frame_of(tables, subject.videos))
    row = {"reason": reason, "forgotten_by": forgotten_by, "models": list(subject.models), "run_id": run_id}
    rows = [
        row | {"id_hash": forgotten.id_hash(video_id), "forgotten_at": datetime.now(UTC)} for video_id in subject.videos
    ]
    _insert(tables, FORGOTTEN, rows)
    # While the rows are there, another try finds the same names, images and models.
    _delete_files(storage, subject, reports_root, result)
    result.records = _rewrite_records(tables, storage, subject.wanted)
    for table in (CHANGES, *deletion.ORDER):
        result.rows[table.name] = tables.delete_matching(table, ids)
    for folder in subject.training_sets:
        result.rows[folder] = tables.delete_matching(TRAINING_SET, ids, folder)
    _rename(tables, subject)
    # Last: while its row is there, another try finds the video and its fakes.
    result.rows[VIDEOS.name] = tables.delete_matching(VIDEOS, ids)
    for place in history.places(tables):
        history.purge(tables, place)
    storage.delete_folder(uris.join(tables.root, "_staging"))
    return result


def _delete_files(storage: Storage, subject: Subject, reports_root: str, result: Forgotten) -> None:
    """Deletes pages and other files of reports that name one of the videos or show a face of one."""
    # The pages of their trainings show faces without naming them.
    training = {uris.join(reports_root, "training", f"{model}.html") for model in subject.models}
    for entry in list(every_file(storage, reports_root)):
        if entry.uri in training or holds(storage, entry.uri, subject.wanted):
            # Of an export as a folder, a part alone would be read as the whole.
            export, _, part = entry.uri.partition(".parquet/")
            if part:
                storage.delete_folder(f"{export}.parquet")
            storage.delete(entry.uri)
            result.files.append(entry.uri)


def _rename(tables: Tables, subject: Subject) -> None:
    """Replaces the ids where rows of other videos name them, so that source groups stay together."""
    aliases = {video_id: forgotten.alias(video_id) for video_id in subject.videos}
    pairs = F.create_map(*[F.lit(text) for pair in aliases.items() for text in pair])
    named = F.col("source_group").isin(list(aliases))
    ids = list(subject.videos)
    videos = tables.read(VIDEOS)
    pattern = subject.wanted.pattern.pattern
    cleaned = F.transform("problems", lambda text: F.regexp_replace(text, pattern, "forgotten"))
    others = videos.where(~F.col("video_id").isin(ids)).where(
        named | F.col("original").isin(ids) | (F.to_json("problems") != F.to_json(cleaned))
    )
    group = F.coalesce(pairs[F.col("source_group")], "source_group")
    original = F.when(~F.col("original").isin(ids), F.col("original"))
    tables.upsert(VIDEOS, others.withColumns({"source_group": group, "original": original, "problems": cleaned}))
    _move_rows(tables, SPLITS, named, group)
    for place in history.places(tables):
        if place.table is TRAINING_SET:
            rows = tables.read(TRAINING_SET, folder=place.folder).where(named & ~F.col("video_id").isin(ids))
            tables.upsert(TRAINING_SET, rows.withColumn("source_group", group), place.folder)
    chunks = tables.read(CHUNKS).where(F.to_json("problems") != F.to_json(cleaned))
    tables.upsert(CHUNKS, chunks.withColumn("problems", cleaned))
    for table, name in ((CHECKS, "detail"), (ALIASES, "reason"), (PUBLICATIONS, "reason"), (FORGOTTEN, "reason")):
        text = F.regexp_replace(name, pattern, "forgotten")
        tables.upsert(table, tables.read(table).where(F.col(name) != text).withColumn(name, text))


def _move_rows(tables: Tables, table: Table, where: Column, key: Column) -> None:
    """Gives rows another source group, which is their key."""
    rows = tables.read(table).where(where)
    with tables.stage(rows, f"rename_{table.name}") as staged:
        tables.insert_new(table, staged.withColumn("source_group", key))
        tables.delete_matching(table, staged.select("source_group"))


def _rewrite_records(tables: Tables, storage: Storage, wanted: Wanted) -> int:
    """Replaces the names in run records by the word forgotten; returns how many had some."""
    number = 0
    for entry in list(storage.list_files(uris.join(tables.root, "runs"))):
        text = storage.read(entry.uri).decode()
        clean = wanted.pattern.sub("forgotten", text)
        if clean != text:
            storage.write(entry.uri, clean.encode())
            number += 1
    return number


def _images(tables: Tables, table: Table, folder: str | None, ids: DataFrame) -> set[tuple[int, str]]:
    """Size and SHA-256 of each image of the videos."""
    rows = tables.read(table, folder=folder).join(ids, "video_id", "left_semi").where("image IS NOT NULL")
    hashed = rows.select(F.length("image").alias("size"), F.sha2("image", 256).alias("sha256")).distinct()
    return {(row["size"], row["sha256"]) for row in hashed.collect()}


def _insert(tables: Tables, table: Table, rows: list[dict[str, object]]) -> None:
    tables.insert_new(table, table.frame(tables.spark, rows))
