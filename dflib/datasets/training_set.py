"""Training sets: the faces with their label, split and weight; written once, shuffled, and pinned to a version."""

import logging
from collections import Counter, defaultdict
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame, Row, Window
from pyspark.sql import functions as F

from dflib import uris
from dflib.config import TrainConfig, digest
from dflib.datasets import crop_coordinates
from dflib.datasets.splits import with_splits
from dflib.errors import CountError, TrainingError
from dflib.storage import from_jvm
from dflib.tables import current, quality
from dflib.tables.schemas import EXTRACTIONS, FACES, TRAINING_SET
from dflib.tables.store import Tables

log = logging.getLogger(__name__)

FACES_PER_FILE = 8192
"""At 8 to 29 KB for a face crop, about 150 MB in row groups of parquet.block.size."""

NARROW = ("face_id", "video_id", "source_group", "split", "label", "weight")


@dataclass(frozen=True)
class Count:
    """Numbers of faces and videos of one split and label (1 fake, 0 real)."""

    split: str
    label: int
    faces: int
    videos: int


@dataclass(frozen=True)
class Selection:
    """The faces selected for a training set, not yet written.

    Attributes:
        set_id: hash of everything that determines the rows; equal inputs have equal ones.
        extractor: identifier of the extraction that found the faces.
        rows: the rows without images: face_id, video_id, source_group, split, label, weight.
        counts: by split and label.
        groups: number of source groups by split.
        crossing_videos: number of labelled videos left out because they belong to source groups of different splits.
        not_current: number of faces left out because their video's file has changed or its extraction is incomplete.
    """

    set_id: str
    extractor: str
    rows: DataFrame
    counts: tuple[Count, ...]
    groups: dict[str, int]
    crossing_videos: int
    not_current: int = 0

    def faces(self, split: str) -> int:
        """Number of faces of a split, both labels."""
        return sum(count.faces for count in self.counts if count.split == split)


@dataclass(frozen=True)
class TrainingSet:
    """A written set: its pinned version, and for each split the number of rows of each file by URI."""

    set_id: str
    uri: str
    version: int
    files: dict[str, dict[str, int]]


def resolve_extractor(tables: Tables, requested: str | None, configured: str) -> str:
    """The extractor whose faces are used: the requested one, the only one with faces, or the configured one.

    Args:
        tables: holds ``extractions``.
        requested: ``train.extractor``.
        configured: the identifier of the current configuration.

    Raises:
        TrainingError: it has no faces, or several extractors have faces and neither setting names one of them.
    """
    rows = tables.read(EXTRACTIONS).where("faces > 0").select("extractor").distinct().collect()
    present = sorted(str(row["extractor"]) for row in rows)
    if not present:
        raise TrainingError(f"{tables.uri(EXTRACTIONS)}: there are no faces to train on; run extract first")
    if requested is not None:
        if requested not in present:
            raise TrainingError(f"train.extractor={requested}: it has no faces; set it to one of {', '.join(present)}")
        return requested
    if len(present) == 1:
        return present[0]
    if configured in present:
        return configured
    raise TrainingError(
        f"several extractors have faces, but not the configured one, {configured}: "
        f"set train.extractor to one of {', '.join(present)}"
    )


def select(tables: Tables, videos: DataFrame, splits: DataFrame, extractor: str, train: TrainConfig) -> Selection:
    """Selects the faces of a training set. Writes nothing.

    Only ``train`` is balanced; validation and test keep the proportions of the data. ``consecutive`` keeps the first n
    fakes in name order, that is whole videos (S4), and ``random`` a random n (S3), where n is the number of real faces.
    ``weights`` keeps all and weights each class by n / (2 n_class), so that the mean weight is 1. ``shuffle_labels`` is
    a control: it permutes the labels of the videos within each split. A model that still predicts those of unseen
    groups has a leak.

    Args:
        tables: holds ``faces`` and ``extractions``. Only current faces (:mod:`dflib.tables.current`) are selected.
        videos: rows of ``videos``.
        splits: rows of ``splits``.
        extractor: identifier of the extraction whose faces are used.
        train: uses ``view`` (faces without the landmarks that it needs are left out), ``quality``, ``balance``,
            ``max_faces_per_video``, ``shuffle_labels`` and ``seed``.

    Raises:
        TrainingError: a source group is in two splits, ``train`` lacks a class, there is no validation, or a face can't
            be located in its crop.
    """
    labelled = _labelled(videos, splits)
    crossing = labelled.where("crosses_splits").count()
    labelled = labelled.where("NOT crosses_splits").drop("crosses_splits")
    if train.shuffle_labels:
        labelled = _permuted(labelled, train.seed)
    moving = tables.read(FACES).where(F.col("extractor") == extractor)
    moving = moving.where(quality.moving() & quality.usable(train.quality) & quality.seen_by(train.view))
    faces = current.faces(moving, tables.read(EXTRACTIONS), videos)
    content = F.xxhash64(
        "box_x", "box_y", "box_w", "box_h", "confidence", "crop_w", "crop_h", "sharpness", "brightness"
    )  # fmt: skip
    problem = crop_coordinates.problem()
    rows = faces.select(
        "face_id",
        "video_id",
        "frame_index",
        "face_index",
        content.alias("content"),
        F.when(problem.isNotNull(), F.concat("face_id", F.lit(": "), problem)).alias("problem"),
    ).join(labelled, "video_id")
    by_hash = [_random("face_id", train.seed, "choose"), F.col("face_id")]
    if train.max_faces_per_video:
        number = F.row_number().over(Window.partitionBy("video_id").orderBy(*by_hash))
        rows = rows.withColumn("number", number).where(F.col("number") <= train.max_faces_per_video).drop("number")
    rows = _balanced(rows, train.balance, by_hash)
    overview = _overview(rows, [*NARROW, "content", "fingerprint"], F.min("problem"))
    _check(overview)
    counts, groups = _count(overview)
    return Selection(
        set_id=digest([extractor, train.seed, FACES_PER_FILE, str(sum(row["sum"] for row in overview))]),
        extractor=extractor,
        rows=rows.select(*NARROW),
        counts=counts,
        groups=groups,
        crossing_videos=crossing,
        not_current=moving.count() - faces.count(),
    )


def write(tables: Tables, selection: Selection, seed: int) -> TrainingSet:
    """Writes a selection with its images unless it exists, checks the table, and pins its version.

    Each file holds rows of one split in random order. Box and landmarks are in crop pixels.

    Args:
        tables: holds ``faces`` and the training sets.
        selection: the faces.
        seed: of the order of the rows.

    Raises:
        TrainingError, CountError: the table does not hold the selection.
    """
    folder = uris.join("training_sets", selection.set_id)
    files = {name: -(-selection.faces(name) // FACES_PER_FILE) for name in sorted(selection.groups)}
    faces = tables.read(FACES).where(F.col("extractor") == selection.extractor)
    images = faces.select(
        "face_id", "image", crop_coordinates.box().alias("box"), crop_coordinates.landmarks().alias("landmarks")
    )
    rows = selection.rows.join(images, "face_id")
    order = _random("face_id", seed, "shuffle")
    version = tables.write_once(TRAINING_SET, _spread(rows, files, order), folder)
    written = tables.read(TRAINING_SET, version, folder)
    overview = _overview(written, ["face_id"])
    counts, groups = _count(overview)
    if (counts, groups) != (selection.counts, selection.groups):
        raise CountError(
            f"{tables.uri(TRAINING_SET, folder)}: holds {counts}, but {selection.counts} were selected; "
            "a face is missing from faces, or the folder was modified: delete the folder and train again"
        )
    _check(overview)
    listed = {from_jvm(file) for file in written.inputFiles()}
    found: dict[str, dict[str, int]] = defaultdict(dict)
    for row in written.groupBy("split", F.input_file_name().alias("file")).count().collect():
        found[row["split"]][from_jvm(row["file"])] = row["count"]
    of_one_split = [file for files_of_split in found.values() for file in files_of_split]
    if sorted(of_one_split) != sorted(set(of_one_split)) or not set(of_one_split) <= listed:
        raise TrainingError(
            f"{tables.uri(TRAINING_SET, folder)}: a file holds rows of more than one split; delete the folder and "
            "train again"
        )
    return TrainingSet(
        set_id=selection.set_id,
        uri=tables.uri(TRAINING_SET, folder),
        version=version,
        files=dict(found),
    )


def _labelled(videos: DataFrame, splits: DataFrame) -> DataFrame:
    """Labelled videos with their split; ``crosses_splits`` marks those of source groups in different splits."""
    clips = with_splits(videos.where(F.col("label").isin("REAL", "FAKE")), splits).where(F.col("split").isNotNull())
    label = F.when(F.col("label") == "FAKE", 1).otherwise(0)
    return clips.select(
        "video_id", "source_group", "split", label.cast("int").alias("label"), "fingerprint", "crosses_splits"
    )


def _permuted(labelled: DataFrame, seed: int) -> DataFrame:
    """Permutes the labels of the videos within each split."""
    place = F.row_number().over(Window.partitionBy("split").orderBy("video_id"))
    shuffled = F.row_number().over(Window.partitionBy("split").orderBy(_random("video_id", seed, "labels"), "video_id"))
    labels = labelled.select("split", "label", shuffled.alias("place"))
    return labelled.drop("label").withColumn("place", place).join(labels, ["split", "place"]).drop("place")


def _balanced(rows: DataFrame, balance: str, by_hash: list[Column]) -> DataFrame:
    """``rows`` with the column ``weight``, where the fakes of ``train`` are reduced or weighted by ``balance``."""
    train = F.col("split") == "train"
    real = F.col("label") == 0
    sizes = rows.where(train).agg(F.count_if(real).alias("real"), F.count_if(~real).alias("fake")).first()
    assert sizes is not None
    if balance == "weights":
        both = sizes["real"] + sizes["fake"]
        weight = F.when(train & real, both / (2 * max(sizes["real"], 1))).when(
            train, both / (2 * max(sizes["fake"], 1))
        )
        return rows.withColumn("weight", F.coalesce(weight, F.lit(1.0)).cast("float"))
    rows = rows.withColumn("weight", F.lit(1.0).cast("float"))
    if balance == "none" or sizes["fake"] <= sizes["real"]:
        return rows
    order = by_hash if balance == "random" else [F.col("video_id"), F.col("frame_index"), F.col("face_index")]
    kept = rows.where(train & ~real).orderBy(*order).limit(sizes["real"])
    return rows.where(~train | real).unionByName(kept)


def _random(column: str, seed: int, use: str) -> Column:
    """A number that orders rows at random, different for each use: choices must not be correlated."""
    return F.xxhash64(column, F.lit(seed), F.lit(use))


def _overview(rows: DataFrame, hashed: list[str], problem: Column | None = None) -> list[Row]:
    """For each split, source group and label: faces, videos, a sum of hashes that ignores order, and a problem."""
    of_row = F.xxhash64(*hashed).cast("decimal(38,0)")
    return (
        rows.groupBy("split", "source_group", "label")
        .agg(
            F.count(F.lit(1)).alias("faces"),
            F.countDistinct("video_id").alias("videos"),
            F.sum(of_row).alias("sum"),
            (F.lit(None).cast("string") if problem is None else problem).alias("problem"),
        )
        .collect()
    )


def _count(overview: list[Row]) -> tuple[tuple[Count, ...], dict[str, int]]:
    """Counts by split and label, and numbers of source groups by split."""
    faces, videos = Counter[tuple[str, int]](), Counter[tuple[str, int]]()
    groups = defaultdict(set)
    for row in overview:
        faces[row["split"], row["label"]] += row["faces"]
        videos[row["split"], row["label"]] += row["videos"]
        groups[row["split"]].add(row["source_group"])
    counts = tuple(Count(split, label, faces[split, label], videos[split, label]) for split, label in sorted(faces))
    return counts, {split: len(groups[split]) for split in sorted(groups)}


def _check(overview: list[Row]) -> None:
    """Checks that hold for every set, before it is written and afterwards."""
    problem = min((row["problem"] for row in overview if row["problem"]), default=None)
    if problem is not None:
        raise TrainingError(problem)
    splits_of = defaultdict(set)
    for row in overview:
        splits_of[row["source_group"]].add(row["split"])
    crossing = sorted(group for group, of_group in splits_of.items() if len(of_group) > 1)
    if crossing:
        raise TrainingError(
            f"source group {crossing[0]} is in {' and '.join(sorted(splits_of[crossing[0]]))} "
            f"({len(crossing)} such groups), which would inflate scores; correct the table splits"
        )
    labels = {row["label"] for row in overview if row["split"] == "train"}
    if labels != {0, 1}:
        lacking = "faces" if not labels else f"{'REAL' if labels == {1} else 'FAKE'} faces"
        raise TrainingError(
            f"the train split has no {lacking}: extract more labelled videos, or lower splits.validation and "
            "splits.test"
        )
    if not any(row["split"] == "validation" for row in overview):
        raise TrainingError(
            "the validation split has no faces, so early stopping is impossible: raise splits.validation for groups "
            "that are added later, set splits.by to original if the source assigns everything to train, or extract "
            "more labelled videos"
        )


def _spread(rows: DataFrame, files: dict[str, int], order: Column) -> DataFrame:
    """Rows in one partition per file to be written, each of one split, in the order of ``order``.

    ``repartition(n, column)`` sends a row to the partition of its value's hash, so the column holds for each partition
    a value that is known to be sent there.
    """
    total = sum(files.values())
    spark = rows.sparkSession
    numbers = spark.range(64 * total).select("id", F.pmod(F.hash("id"), F.lit(total)).alias("to"))
    sent = {row["to"]: row["id"] for row in numbers.groupBy("to").agg(F.min("id").alias("id")).collect()}
    if len(sent) < total:
        raise TrainingError(f"no key found for {total - len(sent)} of {total} files")
    key, first = F.lit(None).cast("long"), 0
    for split, count in files.items():
        keys = F.array(*[F.lit(sent[first + number]).cast("long") for number in range(count)])
        place = F.element_at(keys, (F.pmod(order, F.lit(count)) + 1).cast("int"))
        key = F.when(F.col("split") == split, place).otherwise(key)
        first += count
    spread = rows.withColumn("_key", key).repartition(total, "_key")
    return spread.withColumn("_order", order).sortWithinPartitions("_order").drop("_key", "_order")
