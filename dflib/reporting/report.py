"""The report: verdicts, metrics, text and a page from the predictions of each requested model on each extractor.

Pooling runs in Spark; the driver gets one small row per video, never one per face.
"""

import logging
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from dflib import config, uris
from dflib.config import digest
from dflib.datasets.video_splits import split_of_videos
from dflib.errors import DflibError, TableError
from dflib.models import aliases, registry
from dflib.models.registry import Model
from dflib.reporting import history, page, slices, text, thumbnails, verdict_table, worst
from dflib.reporting.findings import SCORE_BINS, Findings
from dflib.reporting.history import Made
from dflib.runtime.progress import Progress
from dflib.scoring import publish, verdicts
from dflib.scoring.publish import Role
from dflib.storage import Storage
from dflib.tables import current
from dflib.tables.schemas import (
    EXTRACTIONS,
    FACES,
    MODELS,
    PREDICTIONS,
    PUBLICATIONS,
    SPLITS,
    TRAINING_SET,
    VIDEOS,
    Table,
)
from dflib.tables.store import Tables

log = logging.getLogger(__name__)


@dataclass
class ReportResult:
    """The outcome of a report.

    Attributes:
        pages: URIs of the newest pages, one per model and extractor.
        pages_written: number of those that this run changed.
        verdicts: rows of ``verdicts`` that were added or changed.
        metrics: rows of ``metrics`` that were added or changed.
        videos: videos judged, summed over models and extractors, those with held verdicts included.
        undetermined: number of those without a verdict.
        not_extracted: videos that have no row in the extraction ledger yet.
        held: models whose verdicts are held, with the numbers that decided it.
        changes: videos whose current verdict, label or score changed, by cause.
        text: for the terminal.
    """

    pages: list[str] = field(default_factory=list)
    pages_written: int = 0
    verdicts: int = 0
    metrics: int = 0
    videos: int = 0
    undetermined: int = 0
    not_extracted: int = 0
    held: list[str] = field(default_factory=list)
    changes: Counter[str] = field(default_factory=Counter)
    text: str = ""


@dataclass(frozen=True)
class _Snapshot:
    """The tables at the versions they had when the report began."""

    tables: Tables
    versions: dict[str, int]

    def read(self, table: Table) -> DataFrame:
        return self.tables.read(table, self.versions.get(table.name))


def report(
    tables: Tables,
    storage: Storage,
    settings: config.ReportConfig,
    gate: config.NightlyConfig,
    reports_root: str,
    progress: Progress,
    made: Made,
    dry_run: bool = False,
    extractors: Sequence[str] = (),
    failed_checks: Sequence[str] = (),
) -> ReportResult:
    """Judges all videos of the ledger and measures how far the verdicts can be trusted.

    A model whose verdicts are held (:mod:`dflib.scoring.publish`) gets neither metrics nor a page.

    Args:
        tables: reads predictions, faces (images only of those shown), videos, extractions, models, splits and the
            model's training set; writes verdicts, changes, publications and metrics.
        storage: writes one page per model and extractor (:mod:`dflib.reporting.history`).
        settings: ``report`` of the configuration.
        gate: ``nightly`` of the configuration.
        reports_root: URI of the folder for the pages.
        progress: counts models and extractors.
        made: this run, as pages state it.
        dry_run: only lists what would be reported; writes nothing.
        extractors: the configured ones, of videos and of ready-cut crops; they lead where the champion has predictions.
        failed_checks: data checks whose failure holds verdicts.

    Raises:
        ModelError: no such model.
        TableError: there are no predictions; or, after all others were reported, a model's training set is missing.
        CountError: after all others were reported: ledger and faces disagree, or a score is outside 0 to 1.
    """
    present = tables.versions()
    read = (VIDEOS, EXTRACTIONS, FACES, PREDICTIONS, MODELS, SPLITS)
    snapshot = _Snapshot(tables, {table.name: present[table.name] for table in read if table.name in present})
    pairs = choose(tables, snapshot.read(PREDICTIONS), settings.model, settings.extractor)
    result = ReportResult()
    if dry_run:
        result.text = "\n".join(f"would report model {model.model_id} on extractor {name}" for model, name in pairs)
        return result
    named = aliases.current(tables)
    champion = named[aliases.CHAMPION].model_id if aliases.CHAMPION in named else None
    leading = _leading(snapshot, champion, extractors)
    parts = []
    progress.start("reports", len(pairs))
    held_kinds: set[str] = set()
    # The leading extractors first: what the others may become depends on them.
    pairs.sort(key=lambda pair: pair[0].model_id == champion and pair[1] not in leading)
    failed: list[DflibError] = []
    for done, (model, extractor) in enumerate(pairs, 1):
        kind = current.kind(extractor)
        role = Role.OTHER
        if model.model_id == champion and (extractor in leading or kind not in held_kinds):
            role = Role.LEADING if extractor in leading else Role.FOLLOWING
        number, is_published = len(result.held), False
        try:
            parts.append(
                _report_one(
                    *(snapshot, storage, settings, gate, reports_root, model, extractor, made, result),
                    *(role, failed_checks),
                )
            )
            is_published = len(result.held) == number
        except DflibError as error:
            # Said at the end: other models are reported all the same.
            log.warning("no report of %s on %s: %s", model.model_id, extractor, error)
            failed.append(error)
        if role is Role.LEADING and not is_published:
            held_kinds.add(kind)
        progress.set(done)
    progress.finish()
    if failed:
        raise failed[0]
    result.text = "\n\n".join(parts)
    return result


def choose(
    tables: Tables, predictions: DataFrame, wanted: str, extractor: str | None = None
) -> list[tuple[Model, str]]:
    """The requested models, each with the extractors on whose faces it has predictions.

    Args:
        tables: where ``models`` is.
        predictions: as in PREDICTIONS.
        wanted: a model_id, an alias, ``aliased`` (every model with an alias) or ``all`` (every model with predictions).
        extractor: only on faces of this extractor; None: of all.

    Raises:
        ModelError: no such model.
        TableError: no predictions, or none by the requested model.
    """
    pairs = predictions.select("model_id", "extractor").distinct().orderBy("model_id", "extractor").collect()
    known = sorted({row["extractor"] for row in pairs})
    if extractor is not None and pairs and extractor not in known:
        raise TableError(
            f"{tables.uri(PREDICTIONS)}: report.extractor={extractor}: no predictions on its faces; there are some of: "
            f"{', '.join(known)}"
        )
    pairs = [row for row in pairs if extractor in (None, row["extractor"])]
    if not pairs:
        raise TableError(f"{tables.uri(PREDICTIONS)}: there are no predictions, so nothing to report; run score first")
    scored = list(dict.fromkeys(row["model_id"] for row in pairs))
    models = [registry.find(tables, name) for name in scored] if wanted == "all" else registry.find_all(tables, wanted)
    found = [(model, row["extractor"]) for model in models for row in pairs if row["model_id"] == model.model_id]
    if not found:
        names = ", ".join(model.model_id for model in models)
        raise TableError(
            f"{tables.uri(PREDICTIONS)}: report.model={wanted}: no predictions of {names}; run score with "
            f"score.model={wanted}, or set report.model to a model that has some: {', '.join(scored)}"
        )
    return found


def _leading(snapshot: _Snapshot, champion: str | None, extractors: Sequence[str]) -> set[str]:
    """The extractor of each kind that leads: the configured one, or the one that leads already, or the newest.

    Args:
        snapshot: reads ``predictions``, ``publications`` and ``extractions``.
        champion: only extractors on whose faces it has predictions may lead.
        extractors: the configured ones.
    """
    rows = (
        snapshot.read(PREDICTIONS).where(F.col("model_id") == F.lit(champion)).select("extractor").distinct().collect()
    )
    scored = {row["extractor"] for row in rows}
    publications = snapshot.tables.read(PUBLICATIONS).collect()
    found = set()
    for kind in sorted({current.kind(extractor) for extractor in scored}):
        names = {extractor for extractor in scored if current.kind(extractor) == kind}
        leader = publish.leader(publications, kind)
        chosen = next((name for name in (*extractors, leader) if name in names), None)
        if chosen is None:
            ledger = snapshot.read(EXTRACTIONS).where(F.col("extractor").isin(sorted(names)))
            newest = (
                ledger.groupBy("extractor").agg(F.max("extracted_at").alias("at")).orderBy("at", "extractor").collect()
            )
            chosen = newest[-1]["extractor"] if newest else min(names)
        found.add(chosen)
    return found


def page_name(model_id: str, extractor: str) -> str:
    """File name of a page without ``.html``; characters that are unsafe in file names are replaced.

    It always ends in a hash, because both names may hold dashes: ``a-b`` on ``c`` must differ from ``a`` on ``b-c``.
    """
    safe = re.sub(r"[^A-Za-z0-9._-]+", "_", f"{model_id}-{extractor}").lstrip(".")[:120]
    return f"{safe}-{digest([model_id, extractor])}"


def _report_one(
    snapshot: _Snapshot,
    storage: Storage,
    settings: config.ReportConfig,
    gate: config.NightlyConfig,
    reports_root: str,
    model: Model,
    extractor: str,
    made: Made,
    result: ReportResult,
    role: Role,
    failed_checks: Sequence[str],
) -> str:
    """Reports a model on an extractor; adds to the result and returns the text."""
    tables = snapshot.tables
    of_extractor = F.col("extractor") == extractor
    faces = snapshot.read(FACES).where(of_extractor)
    predictions = snapshot.read(PREDICTIONS).where(of_extractor & (F.col("model_id") == model.model_id))
    ledger = snapshot.read(EXTRACTIONS).where(of_extractor)
    videos = snapshot.read(VIDEOS)
    splits = split_of_videos(videos, snapshot.read(SPLITS), _trained_on(snapshot, model))
    total = videos.count()
    judging = verdicts.judge(tables, predictions, faces, videos, ledger, splits, settings, model.model_id, extractor)
    with judging as judged:
        frame = judged.videos
        result.videos += len(frame)
        result.undetermined += int((judged.of_rule(judged.rule)["verdict"] == "UNDETERMINED").sum())
        not_extracted = total - len(frame)
        result.not_extracted = max(result.not_extracted, not_extracted)
        published = publish.publish(tables, judged, gate, made.run_id, failed_checks, role)
        result.verdicts += published.written
        result.changes.update(dict(published.causes))
        if published.held:
            line = text.held(model.model_id, extractor, published, gate, failed_checks)
            result.held.append(line)
            return line
        face_bins = _face_bins(judged.pooled)
    metric_rows = slices.metric_rows(frame, settings)
    version = snapshot.versions[PREDICTIONS.name]
    result.metrics += slices.write(tables, metric_rows, model.model_id, extractor, version)
    findings = Findings(
        *(model, extractor, settings, frame, metric_rows, face_bins, snapshot.versions),
        not_extracted=not_extracted,
    )
    shown = worst.most_wrong(findings)
    crops = worst.faces_of(faces, predictions, shown, settings)
    ordered = verdict_table.in_order(findings)
    beside = thumbnails.extremes(
        faces, predictions, verdict_table.with_faces(ordered), settings, verdict_table.THUMBNAIL_SIDE
    )
    render = page.renderer(findings, verdict_table.rows(findings, ordered, beside), shown, crops)
    name = page_name(model.model_id, extractor)
    result.pages_written += history.publish(storage, reports_root, name, made, render)
    uri = uris.join(reports_root, f"{name}.html")
    result.pages.append(uri)
    return text.render(findings, uri)


def _trained_on(snapshot: _Snapshot, model: Model) -> DataFrame | None:
    """The model's training set, as in TRAINING_SET; None when it was not trained here."""
    if model.training_set is None:
        return None
    folder = f"training_sets/{model.training_set}"
    if not snapshot.tables.exists(TRAINING_SET, folder):
        raise TableError(
            f"{snapshot.tables.uri(TRAINING_SET, folder)}: the training set of model {model.model_id} is missing, so "
            "the videos that it was trained on are unknown; restore the folder"
        )
    return snapshot.tables.read(TRAINING_SET, folder=folder)


def _face_bins(pooled: DataFrame) -> dict[str, npt.NDArray[np.int64]]:
    """Usable faces by label and bin of p_fake."""
    scores = F.flatten(F.transform("frames", lambda frame: frame["scores"]))
    one = pooled.select(F.coalesce("label", F.lit("unlabelled")).alias("label"), F.explode(scores).alias("score"))
    # A score of 1 belongs to the last bin.
    number = F.least(F.floor(F.col("score") * SCORE_BINS), F.lit(SCORE_BINS - 1)).cast("int")
    bins = {label: np.zeros(SCORE_BINS, np.int64) for label in ("REAL", "FAKE", "unlabelled")}
    for row in one.groupBy("label", number.alias("bin")).count().collect():
        bins[row["label"]][row["bin"]] = row["count"]
    return bins
