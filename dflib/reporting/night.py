"""What a night found and did, for its page: what changed, what is new, what failed, what it cost, the nights before."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pandas as pd
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from dflib import config, uris
from dflib.pages import html
from dflib.reporting import thumbnails
from dflib.reporting.thumbnails import Thumbnail
from dflib.runtime.runs import job_of
from dflib.storage import Storage
from dflib.tables.schemas import CHANGES, CHECKS, EXTRACTIONS, FACES, PREDICTIONS, TASKS, VIDEOS
from dflib.tables.store import Tables

SHOWN = 60
"""Changed videos that are shown, those whose verdict is another one first, then those whose score moved most."""
NAMES = 20
"""Names that are listed for each reason of a failure."""
THUMBNAIL_SIDE = 80
BEFORE = 14
"""Earlier nights that are listed."""
CAUSES = {
    "MISSING_FILE": "the file is gone",
    "NEW_BYTES": "the file has other bytes",
    "NEW_EXTRACTOR": "the faces are those of another extractor",
    "NEW_MODEL": "another model is the champion",
    "NEW_RULE": "another pooling rule or threshold",
    "NEW_FACES": "the faces were extracted again",
    "NEW_LABEL": "the label is another one",
    "NEW_SCORES": "the same faces have other scores",
}


@dataclass(frozen=True)
class StepOfNight:
    """A step of a night, as :func:`dflib.steps.nightly.conclude` counts it, with what its tasks used."""

    name: str
    outcome: str
    run_id: str | None
    text: str
    cpu_seconds: float | None
    bytes_read: int | None


@dataclass(frozen=True)
class Cause:
    """Changed videos of one cause: all, with another verdict, and held back."""

    name: str
    words: str
    videos: int
    flipped: int
    held: int


@dataclass(frozen=True)
class Failure:
    """Videos that could not be extracted for one reason: new tonight, of before, and names of the new ones, or else of
    the others."""

    reason: str
    new: int
    before: int
    names: list[str]


@dataclass(frozen=True)
class NightBefore:
    """An earlier night, from its run record."""

    run_id: str
    outcome: str
    seconds: float | None
    changed: int | None


@dataclass(frozen=True)
class Night:
    """All that the page shows."""

    run_id: str
    code_version: str
    at: datetime
    outcome: str
    attention: list[str]
    held_videos: int
    steps: list[StepOfNight]
    causes: list[Cause]
    changed: list[dict[str, Any]]
    crops: dict[str, list[Thumbnail]]
    new_videos: dict[str, int]
    failures: list[Failure]
    checks: list[dict[str, Any]]
    seconds: float
    before: list[NightBefore]


def collect(
    tables: Tables,
    storage: Storage,
    settings: config.ReportConfig,
    summary: Mapping[str, Any],
    run_id: str,
    code_version: str,
    started_at: datetime,
) -> Night:
    """Reads what there is to say about a night.

    Args:
        tables: reads changes, checks, extractions, faces (images only of those shown), predictions, tasks and videos.
        storage: reads the run records of earlier nights.
        settings: which faces are usable.
        summary: counts of the night, see :func:`dflib.steps.nightly.conclude`.
        run_id, code_version: of the night.
        started_at: when it began (UTC).
    """
    runs = {name: step["run_id"] for name, step in summary["steps"].items() if step["run_id"]}
    changed = _changes(tables, runs.get("report"))
    shown = changed.sort_values(
        ["flipped", "moved", "video_id"], ascending=[False, False, True], na_position="last", ignore_index=True
    ).head(SHOWN)
    now = datetime.now(UTC)
    return Night(
        run_id=run_id,
        code_version=code_version,
        at=now,
        outcome=summary["outcome"],
        attention=summary["attention"],
        held_videos=summary["held_videos"],
        steps=_steps(tables, summary["steps"]),
        causes=_causes(changed),
        changed=[{str(key): value for key, value in row.items()} for row in shown.to_dict("records")],
        crops=_crops(tables, shown, settings),
        new_videos=_new_videos(tables, started_at),
        failures=_failures(tables, runs.get("extract")),
        checks=_of_run(tables.read(CHECKS), runs.get("checks")),
        seconds=(now - started_at).total_seconds(),
        before=_nights_before(storage, tables.root, run_id),
    )


def started_at(run_id: str) -> datetime:
    """When a run began (UTC), as its id says."""
    return datetime.strptime(run_id.partition("-")[0], "%Y%m%dT%H%M%S%f").replace(tzinfo=UTC)


def render(night: Night) -> str:
    """The page."""
    return html.render("dflib.reporting", "night.html.j2", night=night)


def _steps(tables: Tables, steps: Mapping[str, Mapping[str, Any]]) -> list[StepOfNight]:
    ids = [step["run_id"] for step in steps.values() if step["run_id"]]
    rows = (
        tables.read(TASKS)
        .where(F.col("run_id").isin(ids))
        .groupBy("run_id")
        .agg(F.sum("cpu_seconds").alias("cpu_seconds"), F.sum("bytes_read").alias("bytes_read"))
        .collect()
    )
    used = {row["run_id"]: row for row in rows}
    result = []
    for name, step in steps.items():
        row = used.get(step["run_id"])
        words = step["error"] or step["line"] or "nothing new"
        cpu, read = (None, None) if row is None else (row["cpu_seconds"], row["bytes_read"])
        result.append(StepOfNight(name, step["outcome"], step["run_id"], words, cpu, read))
    return result


def _changes(tables: Tables, run_id: str | None) -> pd.DataFrame:
    """The rows of ``changes`` that a run found or that are held, with ``moved``, the distance of the scores.

    A change that is found again while it is held keeps the run that found it first.
    """
    found = tables.read(CHANGES).where((F.col("run_id") == (run_id or "")) | F.col("held"))
    rows: pd.DataFrame = found.toArrow().to_pandas()
    return rows.assign(moved=(rows["to_p_fake"] - rows["from_p_fake"]).abs())


def _causes(changed: pd.DataFrame) -> list[Cause]:
    groups = changed.groupby("cause")
    return [
        Cause(str(name), CAUSES.get(str(name), ""), len(group), int(group["flipped"].sum()), int(group["held"].sum()))
        for name, group in groups
    ]


def _crops(tables: Tables, shown: pd.DataFrame, settings: config.ReportConfig) -> dict[str, list[Thumbnail]]:
    """The lowest, median and highest face of each shown video, by the model of its new verdict."""
    crops: dict[str, list[Thumbnail]] = {}
    for (extractor, model_id), group in shown.groupby(["extractor", "model_id"]):
        faces = tables.read(FACES).where(F.col("extractor") == str(extractor))
        scores = tables.read(PREDICTIONS).where(
            (F.col("extractor") == str(extractor)) & (F.col("model_id") == str(model_id))
        )
        crops |= thumbnails.extremes(faces, scores, group["video_id"].tolist(), settings, THUMBNAIL_SIDE)
    return crops


def _new_videos(tables: Tables, since: datetime) -> dict[str, int]:
    """Videos that this night added or found changed, by label."""
    rows = tables.read(VIDEOS).where(F.col("ingested_at") >= F.lit(since))
    found = rows.groupBy(F.coalesce("label", F.lit("unlabelled")).alias("label")).count().orderBy("label").collect()
    return {row["label"]: row["count"] for row in found}


def _failures(tables: Tables, run_id: str | None) -> list[Failure]:
    """Failed videos by reason; new are those whose bytes were tried for the first time tonight."""
    failed = tables.read(EXTRACTIONS).where("outcome = 'FAILED'")
    new = (F.col("run_id") == (run_id or "")) & (F.col("attempts") == 1)
    rows = (
        failed.groupBy("reason")
        .agg(
            F.count(F.when(new, 1)).alias("new"),
            F.count(F.when(~new, 1)).alias("before"),
            F.slice(F.sort_array(F.collect_set(F.when(new, F.col("video_id")))), 1, NAMES).alias("new_names"),
            F.slice(F.sort_array(F.collect_set("video_id")), 1, NAMES).alias("names"),
        )
        .orderBy(F.desc("new"), "reason")
        .collect()
    )
    return [
        Failure(str(row["reason"]), row["new"], row["before"], list(row["new_names"] or row["names"])) for row in rows
    ]


def _of_run(rows: DataFrame, run_id: str | None) -> list[dict[str, Any]]:
    found = rows.where(F.col("run_id") == (run_id or "")).orderBy("level", "name").collect()
    return [row.asDict() for row in found]


def _nights_before(storage: Storage, root: str, run_id: str) -> list[NightBefore]:
    names = sorted(uris.name(entry.uri) for entry in storage.list_files(uris.join(root, "runs")))
    names = [name for name in names if job_of(name) == "nightly"]
    earlier = [name for name in names if name < f"{run_id}.json"][-BEFORE:]
    return [found for name in reversed(earlier) if (found := _night_before(storage, root, name))]


def _night_before(storage: Storage, root: str, name: str) -> NightBefore | None:
    """The night of a run record; None when it can't be read."""
    try:
        record = json.loads(storage.read(uris.join(root, "runs", name)))
        counts = record["counts"]
        outcome = counts.get("outcome") or record["outcome"]
        changes = counts["steps"]["report"]["counts"].get("changes") if counts.get("steps") else None
        changed = None if changes is None else sum(changes.values())
        return NightBefore(record["run_id"], outcome, record["seconds"], changed)
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def publish(storage: Storage, reports_root: str, night: Night) -> str:
    """Writes the page of a night, keeps it beside those of others, and returns the URI of the newest."""
    content = render(night).encode()
    folder: Sequence[str] = ("nightly", f"{night.run_id}.html")
    storage.write(uris.join(reports_root, *folder), content)
    newest = uris.join(reports_root, "nightly.html")
    storage.write(newest, content)
    return newest
