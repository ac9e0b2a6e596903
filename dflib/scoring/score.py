"""Faces to p_fake: each face that has no prediction by the model yet is scored once."""

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
from dflib.errors import CountError, ImageError, ModelError
from dflib.models import registry
from dflib.runtime import gpus
from dflib.runtime.progress import Progress
from dflib.runtime.session import task_cores
from dflib.runtime.task_log import Origin, TaskLog
from dflib.runtime.watch import watched
from dflib.storage import Storage
from dflib.tables import current, quality
from dflib.tables.schemas import EXTRACTIONS, FACES, PREDICTIONS, TASKS, VIDEOS
from dflib.tables.store import Tables

TASKS_PER_CORE = 3
"""So that one slow task does not leave the other cores idle for long."""

FEW_FACES_PER_CORE = 4000
"""Below this, faces are dealt out anew: a small table is one file of few row groups, hence few tasks, and what
has to be moved is at most 116 MB a core (29 KB a face).  Above it, the files hold several row groups of 16 MB a core,
so Spark splits them by itself.  Reckoned from the sizes of crops, not measured."""

_BOX = ("box_x", "box_y", "box_w", "box_h")
_CARRIED = ("face_id", "video_id", "extractor", "frame_index", "track")
_READ = (*_CARRIED, *_BOX, "landmarks", "crop_x", "crop_y", "crop_scale", "image")

# What a task hands back: rows of predictions, or the problem that left a face without one; last the row of the task.
_SCORED = pa.schema(
    [
        *(field.with_nullable(True) for field in PREDICTIONS.schema),
        pa.field("problem", pa.string()),
        pa.field("task", pa.struct([field.with_nullable(True) for field in TASKS.schema])),
    ]
)


@dataclass(frozen=True)
class ScoreResult:
    """What a run of score did.

    Attributes:
        model_id: the model.
        present: faces that count (:mod:`dflib.tables.current`) and that the model can see.
        not_current: faces left out because their video's file has changed or its extraction was cut short.
        without_landmarks: faces left out because the model's view needs landmarks.
        pending: faces without a prediction by it when the run began.
        videos: videos of those.
        written: rows added to predictions.
        tasks: tasks that scored them.
        workers: Python workers that those ran in.
        loads: times that a worker loaded the model.
        retries: of storage, by the tasks.
        mean: mean p_fake of the rows added; None when there are none.
        seconds: wall clock of the scoring.
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
    settings: config.ScoreConfig,
    cluster: config.ClusterConfig,
    run_id: str,
    progress: Progress,
    dry_run: bool = False,
) -> ScoreResult:
    """Scores the faces that count, of all extractors, and have no prediction by the model yet.

    Faces that were scored are written even when others can't be; those are then named by the error.

    Args:
        tables: where ``faces``, ``extractions``, ``videos``, ``models`` and ``predictions`` are.
        storage: how executors reach the model.
        settings: which model, and how many faces go through it at once.
        cluster: what its tasks run on.
        run_id: of this run.
        progress: told what is done.
        dry_run: pending faces are counted, nothing is scored.

    Raises:
        ModelError: there is no such model, its files are not those registered, or it gave no probability.
        CountError: a face could not be scored, or rows were lost between faces and predictions.
    """
    model = registry.find(tables, settings.model)
    ledger_version = tables.version(EXTRACTIONS)
    every = tables.read(FACES)
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
    # Here too, so that files that are not the model's fail in clear words before any task starts.
    registry.fetch(storage, model.uri, model.sha256)
    started = time.monotonic()
    rows = _spread(_only_pending(faces, done, pending, before), before.pending, settings.batch_size)
    ask, profile = gpus.ask(tables.spark, cluster)
    scorer = _scorer(storage, model, settings.batch_size, task_cores(tables.spark), Origin(run_id, "score"), ask)
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
            f"{tables.uri(FACES)}: {before.pending} faces were to be scored by {model.model_id}, {written} were, "
            f"{before.pending - written} can't be: {named}{'; …' if len(problems) > 5 else ''}. "
            "Mend that (pictures that are damaged: extract or ingest their videos again), then score again"
        )
    if written != before.pending:
        raise CountError(
            f"{tables.uri(PREDICTIONS)}: {before.pending} faces were to be scored by {model.model_id}, {written} rows "
            "were added; another run wrote at the same time, or faces changed: score again"
        )
    return result


def _of_same_bytes(tables: Tables, scored: DataFrame, version: int | None) -> DataFrame:
    """Without faces of videos that were extracted anew since: other faces have their ids by now.

    Args:
        version: of the ledger, before faces were read.
    """
    if version is None or tables.version(EXTRACTIONS) == version:
        return scored
    names = ["video_id", "extractor", "fingerprint"]
    before, now = tables.read(EXTRACTIONS, version).select(*names), tables.read(EXTRACTIONS).select(*names)
    # EXCEPT takes two missing fingerprints for the same.
    gone = before.exceptAll(now).select("video_id", "extractor")
    return scored.join(F.broadcast(gone), ["video_id", "extractor"], "left_anti").select(*scored.columns)


def _only_pending(faces: DataFrame, done: DataFrame, pending: DataFrame, before: ScoreResult) -> DataFrame:
    """The pending faces with their pictures; the shorter list of ids goes to the pictures, never they to it."""
    rows = faces.select(*_READ)
    if before.pending == before.present:
        return rows
    if before.pending <= before.present / 2:
        return rows.join(F.broadcast(pending.select("face_id")), "face_id", "left_semi")
    return rows.join(F.broadcast(done), "face_id", "left_anti")


def _spread(rows: DataFrame, count: int, batch: int) -> DataFrame:
    """Deals a small number of faces out over all cores."""
    cores = rows.sparkSession.sparkContext.defaultParallelism
    if count > FEW_FACES_PER_CORE * cores:
        return rows
    # A task with less than a batch would compute padding.
    return rows.repartition(min(TASKS_PER_CORE * cores, -(-count // batch)), "face_id")


def _scorer(
    storage: Storage, model: registry.Model, batch: int, threads: int, origin: Origin, ask: gpus.Ask
) -> Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """What a task does; goes over the wire, so it holds only plain values."""
    model_id, uri, sha256, view = model.model_id, model.uri, model.sha256, model.view

    def run(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
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
    """Scores the faces of one task, in batches of one size, and says at the end what it took.

    The model gets ``batch`` pictures each time, the last ones padded: a score depends on the size of its batch
    in the last bits.  A face that can't be decoded or cut gives a row with a problem instead of a score.
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
            row |= {"model_id": model_id, "p_fake": None, "problem": None}
            videos.add(face["video_id"])
            try:
                box, landmarks = in_crop(face)
                images[filled] = cut_row(face["image"], box, landmarks, view)
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


def in_crop(face: dict[str, Any]) -> tuple[list[float] | None, list[float] | None]:
    """Box x, y, w, h and ten landmark numbers of a row of ``faces``, from frame into crop pixels.

    A ready-cut crop has no box; landmarks may be missing.

    Raises:
        ImageError: there is a box, but not where it lies in the crop.
    """
    if face["box_x"] is None:
        return None, None
    numbers = [face[name] for name in (*_BOX, "crop_x", "crop_y", "crop_scale")]
    if None in numbers:
        raise ImageError("the box, crop_x, crop_y or crop_scale is missing, so its place in the crop is not known")
    x, y, w, h, left, top, scale = numbers
    box = [(x - left) * scale, (y - top) * scale, w * scale, h * scale]
    if face["landmarks"] is None:
        return box, None
    origin = (left, top)
    return box, [(value - origin[number % 2]) * scale for number, value in enumerate(face["landmarks"])]


def _check(staged: DataFrame, before: ScoreResult, seconds: float) -> tuple[ScoreResult, list[str]]:
    """Counts what came out, and gives the problems as ``face_id: reason``."""
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
            f"{before.pending} faces went into {before.model_id} and {found['rows']} came out; nothing was written: "
            "score again, and report this if it stays"
        )
    if found["foreign"]:
        raise CountError(
            f"{found['foreign']} of {found['rows']} rows that came out are not of {before.model_id}; nothing was "
            "written: another process wrote into this one's staging folder; score again, and report this if it stays"
        )
    if found["bad"]:
        raise ModelError(
            f"{before.model_id}: {found['bad']} of {found['rows']} scores are no probability (the first of face "
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
