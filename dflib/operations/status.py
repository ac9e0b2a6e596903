"""Progress of the tables and of running jobs, for a terminal."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from pyspark.sql import functions as F

from dflib import uris
from dflib.config import Config
from dflib.config.identity import extractor_id
from dflib.extraction import schedule as plan
from dflib.storage import Storage
from dflib.tables import current
from dflib.tables.schemas import CHUNKS, EXTRACTIONS, FACES, MODELS, PREDICTIONS, VIDEOS
from dflib.tables.store import Tables

LAST = 5
"""Ended runs that are listed."""
SILENT = timedelta(minutes=5)
"""Age of the last heartbeat after which a run counts as killed: twenty are missing by then, and the retries of one
request may take minutes."""


@dataclass(frozen=True)
class Extracting:
    """Videos by one extractor: all, done, failed by reason, and pending."""

    extractor: str
    total: int
    done: int
    failed: dict[str, int]
    to_do: int


@dataclass(frozen=True)
class Scoring:
    """Faces by one model: all current ones, and those with a prediction."""

    model_id: str
    faces: int
    scored: int


def text(tables: Tables, storage: Storage, config: Config, now: datetime | None = None) -> str:
    """The report, as lines for a terminal."""
    now = now or datetime.now(UTC)
    found = extracting(tables, config)
    records = runs(storage, config.tables.root)
    failed = ", ".join(f"{reason} {count}" for reason, count in sorted(found.failed.items()))
    lines = [
        f"videos     {found.total:,}",
        f"extracted  {found.done:,} by {found.extractor}, {sum(found.failed.values()):,} failed"
        f"{f' ({failed})' if failed else ''}, {found.to_do:,} to do",
    ]
    lines += [f"scored     {one.scored:,} of {one.faces:,} faces by {one.model_id}" for one in scoring(tables)]
    for record in records:
        if record["outcome"] == "RUNNING":
            lines.append(f"running    {record['run_id']}: {text_of_run(record, now)}")
    ended = [record for record in records if record["outcome"] != "RUNNING"]
    for record in ended[-LAST:]:
        error = f": {record['error'].splitlines()[0]}" if record.get("error") else ""
        lines.append(f"ended      {record['run_id']}: {record['outcome']} after {record['seconds']:.0f} s{error}")
    return "\n".join(lines)


def extracting(tables: Tables, config: Config) -> Extracting:
    """The videos by their state in the ledger, for the configured extractor."""
    extractor = extractor_id(config)
    videos, ledger = tables.read(VIDEOS), tables.read(EXTRACTIONS)
    to_do = plan.pending(videos, ledger, tables.read(CHUNKS), extractor, config.extract.max_attempts).count()
    own = ledger.where(F.col("extractor") == extractor).groupBy("outcome", "reason").count().collect()
    return Extracting(
        extractor,
        videos.where(current.is_video()).count(),
        sum(row["count"] for row in own if row["outcome"] == "DONE"),
        {row["reason"]: row["count"] for row in own if row["outcome"] == "FAILED"},
        to_do,
    )


def scoring(tables: Tables) -> list[Scoring]:
    """The number of faces that each model has scored."""
    counting = current.faces(tables.read(FACES), tables.read(EXTRACTIONS), tables.read(VIDEOS)).select("face_id")
    done = tables.read(PREDICTIONS).select("face_id", "model_id").join(counting, "face_id", "left_semi")
    scored = {row["model_id"]: row["count"] for row in done.groupBy("model_id").count().collect()}
    names = [row["model_id"] for row in tables.read(MODELS).select("model_id").orderBy("model_id").collect()]
    faces = counting.count() if names else 0
    return [Scoring(name, faces, scored.get(name, 0)) for name in names]


def runs(storage: Storage, root: str) -> list[dict[str, Any]]:
    """The records of all runs, oldest first."""
    entries = [entry.uri for entry in storage.list_files(uris.join(root, "runs")) if entry.uri.endswith(".json")]
    return [json.loads(storage.read(uri)) for uri in sorted(entries)]


def running(storage: Storage, root: str, now: datetime | None = None) -> list[dict[str, Any]]:
    """The records of runs that have not ended and had a heartbeat lately, oldest first."""
    now = now or datetime.now(UTC)
    return [
        record
        for record in runs(storage, root)
        if record["outcome"] == "RUNNING"
        and now - datetime.fromisoformat(record.get("seen_at") or record["started_at"]) <= SILENT
    ]


def text_of_run(record: dict[str, Any], now: datetime) -> str:
    """Start, progress and estimated end of a run that has not ended."""
    started = datetime.fromisoformat(record["started_at"])
    seen = datetime.fromisoformat(record.get("seen_at") or record["started_at"])
    parts, end = [f"since {started:%Y-%m-%d %H:%M:%S} UTC"], None
    if progress := record.get("progress"):
        rate = progress["rate"]
        parts.append(f"{progress['done']:,.0f} of {progress['total']:,} {progress['what']}")
        # A finished phase has no end to estimate, and one that has not begun has no rate.
        if rate and progress["done"] < progress["total"]:
            parts[-1] += f", {_figure(rate)} a second"
            end = seen + timedelta(seconds=(progress["total"] - progress["done"]) / rate)
    if now - seen > SILENT:
        parts.append(f"no heartbeat since {seen:%Y-%m-%d %H:%M:%S} UTC, probably killed")
    elif end is not None:
        parts.append(f"estimated end {end:%Y-%m-%d %H:%M} UTC")
    return "; ".join(parts)


def _figure(rate: float) -> str:
    """A rate with about two significant digits, without decimals from 10 on."""
    return f"{rate:,.0f}" if rate >= 10 else f"{rate:.2g}"
