"""Scores faces with a model: every current face without a prediction gets one."""

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import from_arrow_schema

from dflib import config
from dflib.config import View
from dflib.datasets import crop_coordinates
from dflib.errors import CountError, ImageError, ModelError
from dflib.extraction import isolation
from dflib.models import model_files, registry
from dflib.runtime import gpus
from dflib.runtime.periodic import watched
from dflib.runtime.progress import Progress
from dflib.runtime.session import task_cores
from dflib.runtime.task_log import Origin, TaskLog
from dflib.storage import Storage
from dflib.tables import current, quality
from dflib.tables.schemas import EXTRACTIONS, FACES, PREDICTIONS, TASKS, VIDEOS
from dflib.tables.store import Tables

TASKS_PER_CORE = 3
"""Several tasks per core, so that one slow task does not leave the other cores idle for long."""

FEW_FACES_PER_CORE = 4000
"""Up to this number, faces are repartitioned: a small table is one file of few row groups, hence few tasks, and the
shuffle moves at most 116 MB per core (29 KB per face). Above it, the files hold several row groups of 16 MB per core,
so Spark splits them by itself. Computed from the sizes of crops, not measured."""

_CARRIED = ("face_id", "video_id", "extractor", "frame_index", "track")

# Output of a task: a row for each face, with its score or the problem that prevented one, and finally its row of TASKS.
_SCORED = pa.schema(
    [
        *(field.with_nullable(True) for field in PREDICTIONS.schema),
        pa.field("problem", pa.string()),
        pa.field("task", pa.struct([field.with_nullable(True) for field in TASKS.schema])),
    ]
)


@dataclass(frozen=True)
class ScoreResult:
    """Result of a run of score.

    Attributes:
        model_id: the model.
        present: number of current faces (:mod:`dflib.tables.current`) that the model's view can be cut from.
        pending: number of those without a prediction by the model when the run began.
        videos: number of videos of the pending faces.
        not_current: number of faces left out because their video's file has changed or its extraction is incomplete.
        without_landmarks: number of faces left out because the model's view needs landmarks.
        written: number of rows added to ``predictions``.
        tasks: number of Spark tasks that scored faces.
        workers: number of Python workers that ran them.
        loads: number of times a worker loaded the model.
        retries: number of retries of storage requests in the tasks.
        mean: mean p_fake of the added rows; None when there are none.
        seconds: wall-clock time of the scoring.
    """

    model_id: str
    present: int
    pending: int
    videos: int
    not_current: int = 0
    without_landmarks: int = 0
    written: int = 0
    tasks: int = 0
    workers: int = 0
    loads: int = 0
    retries: int = 0
    mean: float | None = None
    seconds: float = 0.0


def score(
    tables: Tables,
    storage: Storage,
    model: registry.Model,
    settings: config.ScoreConfig,
    cluster: config.ClusterConfig,
    origin: Origin,
    progress: Progress,
    dry_run: bool = False,
) -> ScoreResult:
    """Scores the current faces of all extractors that have no prediction by a model yet.

    Scored faces are written even when others fail; the error then names the others.

    Args:
        tables: holds ``faces``, ``extractions``, ``videos``, ``models`` and ``predictions``.
        storage: reads the model on executors.
        model: the model.
        settings: number of faces that pass through it at once, and which faces.
        cluster: GPU settings of the tasks.
        origin: this run, for ``tasks``; each model of a run has a wave of its own.
        progress: reports the number of scored faces.
        dry_run: counts pending faces, scores nothing.

    Raises:
        ModelError: the model's files differ from the registered ones, or a score is no probability.
        CountError: a face could not be scored, or the numbers of faces and predictions disagree.
    """
    ledger_version = tables.version(EXTRACTIONS)
    every = _wanted(tables, settings)
    batch_size = settings.batch_size
    counting = current.faces(every, tables.read(EXTRACTIONS), tables.read(VIDEOS))
    faces = counting.where(quality.seen_by(model.view))
    done = tables.read(PREDICTIONS).where(F.col("model_id") == model.model_id).select("face_id")
    pending = faces.select("face_id", "video_id").join(done, "face_id", "left_anti")
    current_faces = counting.count()
    present = faces.count() if model.view.needs_landmarks else current_faces
    counted = pending.agg(F.count(F.lit(1)).alias("faces"), F.countDistinct("video_id").alias("videos")).first()
    assert counted is not None
    before = ScoreResult(
        model.model_id,
        present,
        counted["faces"],
        counted["videos"],
        every.count() - current_faces,
        current_faces - present,
    )
    if before.pending == 0 or dry_run:
        return before
    # Also on the driver, so that damaged files of the model fail with a clear error before any task starts.
    with model_files.verified_copy(storage, model.uri, model.sha256):
        pass
    started = time.monotonic()
    rows = _spread(_only_pending(faces, done, pending, before), before.pending, batch_size)
    ask, profile = gpus.ask(tables.spark, cluster)
    scorer = _scorer(storage, model, batch_size, task_cores(tables.spark), origin, ask)
    scored = gpus.map_in_arrow(rows, scorer, from_arrow_schema(_SCORED), ask, profile)
    with contextlib.ExitStack() as stack:
        progress.start("faces", before.pending)
        with watched(tables.spark, progress, before.pending):
            staged = stack.enter_context(tables.stage(scored, "score"))
        progress.finish()
        result, problems = _check(staged, before, time.monotonic() - started)
        good = staged.where("task IS NULL AND problem IS NULL").select(PREDICTIONS.schema.names)
        written = tables.insert_new(PREDICTIONS, _of_same_bytes(tables, good, ledger_version))
        ran = staged.where("task IS NOT NULL").select("task.*")
        tables.insert_new(TASKS, ran)
        if ask.source == "spark":
            gpus.fallen_back(ran)
    if problems:
        named = "; ".join(problems[:5])
        raise CountError(
            f"{tables.uri(FACES)}: of {before.pending} faces to be scored by {model.model_id}, {written} were scored, "
            f"{before.pending - written} cannot be: {named}{'; …' if len(problems) > 5 else ''}. "
            "Fix these (extract or ingest the videos of damaged crops again), then score again"
        )
    if written != before.pending:
        raise CountError(
            f"{tables.uri(PREDICTIONS)}: {before.pending} faces were to be scored by {model.model_id}, but {written} "
            "rows were added; another run wrote at the same time, or faces changed: score again"
        )
    return result


def _wanted(tables: Tables, settings: config.ScoreConfig) -> DataFrame:
    """The faces that the settings ask for."""
    faces = tables.read(FACES)
    if settings.extractor is not None:
        faces = faces.where(F.col("extractor") == settings.extractor)
    if settings.since is not None:
        recent = tables.read(VIDEOS).where(F.col("ingested_at") >= F.lit(settings.since)).select("video_id")
        faces = faces.join(F.broadcast(recent), "video_id", "left_semi")
    return faces


def _of_same_bytes(tables: Tables, scored: DataFrame, version: int | None) -> DataFrame:
    """Drops scores of videos that were extracted again meanwhile: their face ids now belong to other faces.

    Args:
        tables: holds ``extractions``.
        scored: rows of ``predictions``.
        version: version of ``extractions`` before faces were read.
    """
    if version is None or tables.version(EXTRACTIONS) == version:
        return scored
    names = ["video_id", "extractor", "fingerprint"]
    before, now = tables.read(EXTRACTIONS, version).select(*names), tables.read(EXTRACTIONS).select(*names)
    # EXCEPT treats two missing fingerprints as equal.
    gone = before.exceptAll(now).select("video_id", "extractor")
    return scored.join(F.broadcast(gone), ["video_id", "extractor"], "left_anti").select(*scored.columns)


def _only_pending(faces: DataFrame, done: DataFrame, pending: DataFrame, before: ScoreResult) -> DataFrame:
    """The pending faces with their crops. The shorter list of ids is broadcast, so that crops are not shuffled."""
    rows = faces.select(
        *_CARRIED,
        crop_coordinates.box().alias("box"),
        crop_coordinates.landmarks().alias("landmarks"),
        crop_coordinates.problem().alias("problem"),
        "image",
    )
    if before.pending == before.present:
        return rows
    if before.pending <= before.present / 2:
        return rows.join(F.broadcast(pending.select("face_id")), "face_id", "left_semi")
    return rows.join(F.broadcast(done), "face_id", "left_anti")


def _spread(rows: DataFrame, count: int, batch: int) -> DataFrame:
    """Distributes a small number of faces over all cores."""
    cores = rows.sparkSession.sparkContext.defaultParallelism
    if count > FEW_FACES_PER_CORE * cores:
        return rows
    # A task with less than one batch would compute padding.
    return rows.repartition(min(TASKS_PER_CORE * cores, -(-count // batch)), "face_id")


def _scorer(
    storage: Storage, model: registry.Model, batch: int, threads: int, origin: Origin, ask: gpus.Ask
) -> Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """The function of a task. It is serialised to executors, so it holds plain values only."""
    model_id, uri, sha256, view = model.model_id, model.uri, model.sha256, model.view

    def run(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        # Extract may have run in this Python worker before.
        isolation.close()
        task = TaskLog(origin, gpus.take(ask, threads))
        return score_batches(batches, storage, model_id, uri, sha256, view, batch, threads, task)

    return run


def score_batches(
    batches: Iterable[pa.RecordBatch],
    storage: Storage,
    model_id: str,
    uri: str,
    sha256: str,
    view: View,
    batch: int,
    threads: int,
    task: TaskLog,
) -> Iterator[pa.RecordBatch]:
    """Scores the faces of one task in batches of equal size; the last row is that of the task.

    The model gets ``batch`` images each time, padded at the end, because the last bits of a score depend on the batch
    size. A face that can't be located, decoded or cut gives a row with a problem instead of a score.

    Args:
        batches: the columns ``face_id``, ``video_id``, ``extractor``, ``frame_index``, ``track``, ``image`` (encoded
            crop), and ``box``, ``landmarks`` and ``problem`` of :mod:`dflib.datasets.crop_coordinates`.
        storage: reads the model.
        model_id, uri, sha256, view: columns of the model's row.
        batch: number of images per batch.
        threads: CPU threads of TensorFlow.
        task: log of the task.
    """
    import numpy as np

    from dflib.models.view import cut_row

    images = np.zeros((batch, view.size, view.size, 3), np.uint8)
    rows: list[dict[str, Any]] = []
    model: Any = None
    loaded = False
    storage = storage.counting()
    videos: set[str] = set()
    scored = 0

    def flush() -> pa.RecordBatch:
        nonlocal model, loaded, rows, scored
        if model is None:
            model, loaded = registry.open_model(storage, uri, sha256, threads)
        good = [row for row in rows if row["problem"] is None]
        images[len(good) :] = 0
        for row, p_fake in zip(good, model(images) if good else (), strict=False):
            row["p_fake"] = float(p_fake)
        scored += len(good)
        result = pa.RecordBatch.from_pylist(rows, schema=_SCORED)
        rows = []
        return result

    filled = 0
    for faces in batches:
        for face in faces.to_pylist():
            row = {name: face[name] for name in _CARRIED}
            row |= {"model_id": model_id, "p_fake": None, "run_id": task.run_id, "problem": face["problem"]}
            videos.add(face["video_id"])
            if row["problem"] is None:
                try:
                    images[filled] = cut_row(face["image"], face["box"], face["landmarks"], view)
                    filled += 1
                except (ImageError, ModelError) as error:
                    row["problem"] = str(error)
            rows.append(row)
            if filled == batch:
                yield flush()
                filled = 0
    if rows:
        yield flush()
    row = task.row(len(videos), scored, loaded=loaded, retries=storage.counters.retries)
    yield pa.RecordBatch.from_pylist([{"task": row}], schema=_SCORED)


def _check(staged: DataFrame, before: ScoreResult, seconds: float) -> tuple[ScoreResult, list[str]]:
    """Checks and counts the output of the tasks; returns the result and the problems as ``face_id: reason``."""
    ran = staged.where("task IS NOT NULL").select("task.*")
    staged = staged.where("task IS NULL")
    p_fake, fine = F.col("p_fake"), F.col("problem").isNull()
    # In SQL, NaN is greater than all numbers.
    bad = fine & (p_fake.isNull() | (p_fake < 0) | (p_fake > 1))
    found = staged.agg(
        F.count(F.lit(1)).alias("rows"),
        F.count_if(bad).alias("bad"),
        F.min(F.when(bad, F.col("face_id"))).alias("bad_face"),
        F.count_if(~F.col("model_id").eqNullSafe(before.model_id)).alias("foreign"),
        F.avg(p_fake).alias("mean"),
    ).first()
    busy = F.col("faces") > 0
    tasks = ran.agg(
        F.count_if(busy).alias("tasks"),
        F.countDistinct(F.when(busy, F.struct("host", "worker"))).alias("workers"),
        F.count_if(F.col("loaded")).alias("loads"),
        F.coalesce(F.sum("retries"), F.lit(0)).alias("retries"),
    ).first()
    assert found is not None and tasks is not None
    if found["rows"] != before.pending:
        raise CountError(
            f"{before.pending} faces were passed to {before.model_id}, but {found['rows']} rows were returned; nothing "
            "was written: score again, and report this if it persists"
        )
    if found["foreign"]:
        raise CountError(
            f"{found['foreign']} of {found['rows']} returned rows are not of {before.model_id}; nothing was written: "
            "another process wrote into the staging folder of this one; score again, and report this if it persists"
        )
    if found["bad"]:
        raise ModelError(
            f"{before.model_id}: {found['bad']} of {found['rows']} scores are no probability (the first: face "
            f"{found['bad_face']}); nothing was written: the model is unusable, train or import another"
        )
    rows = staged.where(~fine).orderBy("face_id").select("face_id", "problem").limit(20).collect()
    result = replace(
        before,
        written=found["rows"],
        tasks=tasks["tasks"],
        workers=tasks["workers"],
        loads=tasks["loads"],
        retries=tasks["retries"],
        mean=found["mean"],
        seconds=seconds,
    )
    return result, [f"{row['face_id']}: {row['problem']}" for row in rows]
