"""A training set: which faces, with which label, split and weight; written once, shuffled, and pinned."""

import logging
from collections import Counter, defaultdict
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame, Row, Window
from pyspark.sql import functions as F

from dflib import uris
from dflib.config import TrainConfig, digest
from dflib.datasets.splits import of_clips
from dflib.errors import CountError, TrainingError
from dflib.storage import from_jvm
from dflib.tables import current, quality
from dflib.tables.schemas import EXTRACTIONS, FACES, TRAINING_SET
from dflib.tables.store import Tables

log = logging.getLogger(__name__)

FACES_PER_FILE = 8192
"""At the 8 to 29 KB of a face crop, some 150 MB a file in row groups of parquet.block.size."""

NARROW = ("face_id", "video_id", "source_group", "split", "label", "weight")


@dataclass(frozen=True)
class Count:
    """Faces, videos and source groups of one split and label (1 fake, 0 real)."""

    split: str
    label: int
    faces: int
    videos: int


@dataclass(frozen=True)
class Selection:
    """The faces selected for a training set, not yet written.

    Attributes:
        set_id: hash of all that decides its rows; the same input gives the same one.
        extractor: whose faces.
        rows: the rows without their pictures: face_id, video_id, source_group, split, label, weight.
        counts: by split and label.
        groups: source groups by split.
        joiners: labelled videos left out because they would join two groups of different splits.
        not_current: faces left out because their video's file has changed or its extraction was cut short.
    """

    set_id: str
    extractor: str
    rows: DataFrame
    counts: tuple[Count, ...]
    groups: dict[str, int]
    joiners: int
    not_current: int = 0

    def faces(self, split: str) -> int:
        """Faces of a split, both labels."""
        return sum(count.faces for count in self.counts if count.split == split)


@dataclass(frozen=True)
class TrainingSet:
    """A written set, pinned: its version, and the rows of each split's files by URI."""

    set_id: str
    uri: str
    version: int
    files: dict[str, dict[str, int]]


def whose(tables: Tables, wanted: str | None, configured: str) -> str:
    """The extractor whose faces are used: the one asked for, the only one there, or the configured one.

    Raises:
        TrainingError: it has no faces, or there are several and none of them is meant.
    """
    rows = tables.read(EXTRACTIONS).where("faces > 0").select("extractor").distinct().collect()
    there = sorted(str(row["extractor"]) for row in rows)
    if not there:
        raise TrainingError(f"{tables.uri(EXTRACTIONS)}: there are no faces to train on; run extract first")
    if wanted is not None:
        if wanted not in there:
            raise TrainingError(f"train.extractor={wanted}: it has no faces here; those that have: {', '.join(there)}")
        return wanted
    if len(there) == 1:
        return there[0]
    if configured in there:
        return configured
    raise TrainingError(
        f"several extractors have faces and the configured one, {configured}, has not: "
        f"set train.extractor to one of {', '.join(there)}"
    )


def choose(tables: Tables, videos: DataFrame, splits: DataFrame, extractor: str, train: TrainConfig) -> Selection:
    """Chooses the faces of a training set. Nothing is written.

    Only ``train`` is balanced: validation and test stay as the data are.  ``consecutive`` keeps the first n fakes
    in name order (S4: whole videos survive), ``random`` a random n (S3), n being the number of real faces;
    ``weights`` keeps all and weighs each class by n / (2 n_class), so that the mean weight is 1.
    ``shuffle_labels`` is a control: within each split the labels of the videos are permuted, so a model that still
    learns something about unseen groups has a leak.

    Args:
        tables: where ``faces`` and ``extractions`` lie; only faces that count (:mod:`dflib.tables.current`) are chosen.
        videos: rows of ``videos``.
        splits: rows of ``splits``.
        extractor: whose faces.
        train: ``view`` (faces that it can't be cut of are left out), ``quality``, ``balance``,
            ``max_faces_per_video``, ``shuffle_labels``, ``seed``.

    Raises:
        TrainingError: a source group lies in two splits, ``train`` lacks a class, or there is no validation.
    """
    labelled = _labelled(videos, splits)
    joiners = labelled.where("joins").count()
    labelled = labelled.where("NOT joins").drop("joins")
    if train.shuffle_labels:
        labelled = _permuted(labelled, train.seed)
    moving = tables.read(FACES).where(F.col("extractor") == extractor)
    moving = moving.where(quality.moving() & quality.usable(train.quality) & quality.seen_by(train.view))
    faces = current.faces(moving, tables.read(EXTRACTIONS), videos)
    rows = faces.select(
        "face_id", "video_id", "frame_index", "face_index",
        F.xxhash64("box_x", "box_y", "box_w", "box_h", "confidence", "crop_w", "crop_h", "sharpness", "brightness").alias(
            "content"
        ),
    ).join(labelled, "video_id")  # fmt: skip
    by_hash = [_random("face_id", train.seed, "choose"), F.col("face_id")]
    if train.max_faces_per_video:
        number = F.row_number().over(Window.partitionBy("video_id").orderBy(*by_hash))
        rows = rows.withColumn("number", number).where(F.col("number") <= train.max_faces_per_video).drop("number")
    rows = _balanced(rows, train.balance, by_hash)
    overview = _overview(rows, [*NARROW, "content", "fingerprint"])
    _check(overview)
    counts, groups = _count(overview)
    return Selection(
        set_id=digest([extractor, train.seed, FACES_PER_FILE, str(sum(row["sum"] for row in overview))]),
        extractor=extractor,
        rows=rows.select(*NARROW),
        counts=counts,
        groups=groups,
        joiners=joiners,
        not_current=moving.count() - faces.count(),
    )


def write(tables: Tables, chosen: Selection, seed: int) -> TrainingSet:
    """Writes a chosen set with its pictures unless it is there, checks what stands there, and pins it.

    Each file holds one split, its rows in random order; box and landmarks are in pixels of the crop.

    Raises:
        TrainingError, CountError: what was written is not what was chosen.
    """
    folder = uris.join("training_sets", chosen.set_id)
    files = {name: -(-chosen.faces(name) // FACES_PER_FILE) for name in sorted(chosen.groups)}
    faces = tables.read(FACES).where(F.col("extractor") == chosen.extractor)
    rows = chosen.rows.join(_pictures(faces), "face_id")
    order = _random("face_id", seed, "shuffle")
    version = tables.write_once(TRAINING_SET, _spread(rows, files, order), folder)
    written = tables.read(TRAINING_SET, version, folder)
    overview = _overview(written, ["face_id"])
    counts, groups = _count(overview)
    if (counts, groups) != (chosen.counts, chosen.groups):
        raise CountError(
            f"{tables.uri(TRAINING_SET, folder)}: holds {counts} where {chosen.counts} was chosen; "
            "a face is missing from faces or the folder was touched: delete the folder and train again"
        )
    _check(overview)
    listed = {from_jvm(file) for file in written.inputFiles()}
    found: dict[str, dict[str, int]] = defaultdict(dict)
    for row in written.groupBy("split", F.input_file_name().alias("file")).count().collect():
        found[row["split"]][from_jvm(row["file"])] = row["count"]
    of_one_split = [file for files_of_split in found.values() for file in files_of_split]
    if sorted(of_one_split) != sorted(set(of_one_split)) or not set(of_one_split) <= listed:
        raise TrainingError(f"{tables.uri(TRAINING_SET, folder)}: a file of it holds more than one split")
    return TrainingSet(
        set_id=chosen.set_id,
        uri=tables.uri(TRAINING_SET, folder),
        version=version,
        files=dict(found),
    )


def _labelled(videos: DataFrame, splits: DataFrame) -> DataFrame:
    """Labelled videos with their split; ``joins`` marks those that belong to groups of different splits."""
    clips = of_clips(videos.where(F.col("label").isin("REAL", "FAKE")), splits).where(F.col("split").isNotNull())
    label = F.when(F.col("label") == "FAKE", 1).otherwise(0)
    return clips.select("video_id", "source_group", "split", label.cast("int").alias("label"), "fingerprint", "joins")


def _permuted(labelled: DataFrame, seed: int) -> DataFrame:
    """Labels dealt out anew among the videos of each split."""
    place = F.row_number().over(Window.partitionBy("split").orderBy("video_id"))
    dealt = F.row_number().over(Window.partitionBy("split").orderBy(_random("video_id", seed, "labels"), "video_id"))
    labels = labelled.select("split", "label", dealt.alias("place"))
    return labelled.drop("label").withColumn("place", place).join(labels, ["split", "place"]).drop("place")


def _balanced(rows: DataFrame, balance: str, by_hash: list[Column]) -> DataFrame:
    """``rows`` with the column ``weight``, the fakes of ``train`` cut or weighed as asked."""
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
    """A number that orders rows at random. Each use has its own, or one choice would show in the next."""
    return F.xxhash64(column, F.lit(seed), F.lit(use))


def _overview(rows: DataFrame, hashed: list[str]) -> list[Row]:
    """One row a split, source group and label: faces, videos, and a sum over ``hashed`` in which order is nothing."""
    of_row = F.xxhash64(*hashed).cast("decimal(38,0)")
    return (
        rows.groupBy("split", "source_group", "label")
        .agg(F.count(F.lit(1)).alias("faces"), F.countDistinct("video_id").alias("videos"), F.sum(of_row).alias("sum"))
        .collect()
    )


def _count(overview: list[Row]) -> tuple[tuple[Count, ...], dict[str, int]]:
    """Counts by split and label, and source groups by split."""
    faces, videos = Counter[tuple[str, int]](), Counter[tuple[str, int]]()
    groups = defaultdict(set)
    for row in overview:
        faces[row["split"], row["label"]] += row["faces"]
        videos[row["split"], row["label"]] += row["videos"]
        groups[row["split"]].add(row["source_group"])
    counts = tuple(Count(split, label, faces[split, label], videos[split, label]) for split, label in sorted(faces))
    return counts, {split: len(groups[split]) for split in sorted(groups)}


def _check(overview: list[Row]) -> None:
    """The assertions that every set must pass, before it is written and as it stands there."""
    splits_of = defaultdict(set)
    for row in overview:
        splits_of[row["source_group"]].add(row["split"])
    crossing = sorted(group for group, of_group in splits_of.items() if len(of_group) > 1)
    if crossing:
        raise TrainingError(
            f"source group {crossing[0]} lies in {' and '.join(sorted(splits_of[crossing[0]]))} "
            f"({len(crossing)} such groups): scores would be too good; mend the table splits"
        )
    labels = {row["label"] for row in overview if row["split"] == "train"}
    if labels != {0, 1}:
        lack = "no faces at all" if not labels else f"no {'REAL' if labels == {1} else 'FAKE'} face"
        raise TrainingError(f"the train split holds {lack}: extract more labelled videos, or ask for larger shares")
    if not any(row["split"] == "validation" for row in overview):
        raise TrainingError(
            "the validation split holds no faces, so there is nothing to stop early on: raise splits.validation for "
            "groups still to come, set splits.by to original when the source calls everything train, or extract more"
        )


def _pictures(faces: DataFrame) -> DataFrame:
    """face_id and picture, with box and landmarks in pixels of the crop, NaN where there are none."""

    def x(column: Column) -> Column:
        return (column - F.col("crop_x")) * F.col("crop_scale")

    def y(column: Column) -> Column:
        return (column - F.col("crop_y")) * F.col("crop_scale")

    nan = F.lit(float("nan"))
    w, h = F.col("box_w") * F.col("crop_scale"), F.col("box_h") * F.col("crop_scale")
    box = F.array(*[F.coalesce(v, nan) for v in (x(F.col("box_x")), y(F.col("box_y")), w, h)])
    points = [
        F.coalesce((x if number % 2 == 0 else y)(F.try_element_at("landmarks", F.lit(number + 1))), nan)
        for number in range(10)
    ]
    return faces.select("face_id", "image", box.alias("box"), F.array(*points).alias("landmarks"))


def _spread(rows: DataFrame, files: dict[str, int], order: Column) -> DataFrame:
    """One partition a file to be, each of one split, rows in the given order.

    ``repartition(n, column)`` sends a row to the partition of its value's hash: so the column is given, for
    each partition, a value that is known to be sent there.
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
