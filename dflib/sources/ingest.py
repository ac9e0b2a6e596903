"""Ingest: what there is, nothing decoded. New chunks become rows; known ones are not read again."""

import dataclasses
import logging
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from dflib.config import SourcesConfig
from dflib.errors import ConfigError, CountError, SourceError, StorageError
from dflib.runtime.progress import Progress
from dflib.sources import crop_writer as crop_rows
from dflib.sources import discovery, readers
from dflib.sources.crop_names import CropPattern
from dflib.sources.crops import Crop, extractor_of, read_listing
from dflib.sources.model import Chunk, Source, Video, code
from dflib.sources.reconcile import Laid, crops_folder, lay
from dflib.storage import Storage
from dflib.tables.schemas import CHUNKS, VIDEOS, Table
from dflib.tables.store import Tables

log = logging.getLogger(__name__)

THREADS = 8
"""Chunks read at a time: each is two to four small requests, mostly waiting."""


@dataclass(frozen=True)
class IngestResult:
    """What an ingest did, or in a dry run would do.

    Attributes:
        videos_new, videos_changed, videos_moved: rows of ``videos`` added, replaced, and (among the replaced)
            pointed to another place.
        real, fake, unlabelled: of the rows added or replaced.
        problems: number by code, in those rows and in the new chunks.
        faces_new: rows of ``faces`` added from ready-cut crops.
        crops_named: crops that the names of new folders give.
        originals_nowhere: originals named in ``videos`` that are no row there (a later chunk may bring them).
        chunk_bytes: size of the new chunks.
        requests, bytes_read: of storage, all of it.
        retries: of storage, by tasks.
    """

    chunks_seen: int
    chunks_new: int
    chunk_bytes: int
    videos_new: int
    videos_changed: int
    videos_moved: int
    real: int
    fake: int
    unlabelled: int
    crops_named: int
    faces_new: int
    problems: dict[str, int]
    originals_nowhere: int
    requests: int
    bytes_read: int
    retries: int

    def line(self) -> str:
        """The result in one line."""
        problems = ", ".join(f"{name} {count}" for name, count in sorted(self.problems.items())) or "none"
        parts = [
            f"{self.chunks_seen} chunks seen, {self.chunks_new} new ({self.chunk_bytes / 1e6:,.1f} MB): "
            f"{self.videos_new} videos new, {self.videos_changed} changed "
            f"({self.real} REAL, {self.fake} FAKE, {self.unlabelled} unlabelled)",
            f"problems: {problems}",
            f"originals nowhere: {self.originals_nowhere}",
            f"{self.requests} requests, {self.bytes_read / 1e6:,.1f} MB read",
        ]
        if self.crops_named:
            parts.insert(1, f"{self.crops_named} crops named, {self.faces_new} faces new")
        return "; ".join(parts)


@dataclass
class _Gathered:
    """The new chunks as they were read, and why others could not be."""

    chunks: list[Chunk] = field(default_factory=list)
    crops: list[tuple[Chunk, list[Crop]]] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)


def check(sources: SourcesConfig) -> None:
    """Whether there is anything to ingest and the crop names can be read.

    Raises:
        ConfigError: they can't.
    """
    if not sources.chunks and not sources.crops:
        raise ConfigError("nothing to ingest: set sources.chunks=URI (chunk zips, folders) or sources.crops=URI")
    CropPattern(sources.crop_pattern)
    both = {word.lower() for word in sources.crop_real} & {word.lower() for word in sources.crop_fake}
    if both or not sources.crop_real or not sources.crop_fake:
        raise ConfigError(
            f"sources.crop_real {list(sources.crop_real)} and sources.crop_fake {list(sources.crop_fake)}: "
            "each must name a folder, and none may stand in both"
        )


def ingest(
    tables: Tables, storage: Storage, sources: SourcesConfig, run_id: str, progress: Progress, dry_run: bool
) -> IngestResult:
    """Brings ``chunks``, ``videos`` and, from ready-cut crops, ``faces`` up to what the sources hold.

    Written in this order: faces, frames and ledger of crops, videos, and the chunks last, since a row there
    means done.  A second run with nothing new writes nothing.

    Raises:
        ConfigError: see :func:`check`; or a chunk is known under another ``sources.dataset``.
        SourceError: a place holds nothing, a labels file can't be used, or (after all else was ingested)
            a chunk could not be read from storage.
        StorageError: a place can't be listed.
    """
    check(sources)
    counted = storage.counting()
    found = discovery.find_chunks(counted, sources) if sources.chunks else []
    if sources.crops:
        found += discovery.find_crops(counted, sources, f"{sources.dataset} {extractor_of(sources)}")
    _check_dataset(tables, found, sources.dataset)
    ingested = _ingested(tables)
    new = [source for source in found if ingested.get(source.uri, [])[-1:] != [source.etag]]
    gathered = _gather(storage, new, sources, progress)
    for chunk in gathered.chunks:
        if chunk.source.etag in ingested.get(chunk.source.uri, []):
            # The time makes the row differ from the one there, so that it is the newest of its URI again.
            chunk.problems.append(f"CAME_BACK: was replaced, and is here again since {datetime.now(UTC).isoformat()}")
    known = _known_videos(tables, gathered.chunks)
    laid = lay(known, gathered.chunks, {source.uri for source in found})
    faces_new = 0
    if not dry_run:
        final = known | {row.video_id: row for row in laid.rows}
        for chunk, crops in gathered.crops:
            own = _own_crops(chunk, crops, final)
            gone = [row.video_id for row in known.values() if _lost_its_crops(row, final[row.video_id], chunk)]
            written = crop_rows.write(tables, storage, chunk, own, gone, extractor_of(sources), run_id, progress)
            faces_new += written.faces
            if written.failed:
                gathered.failed.append(written.failed)
                gathered.chunks.remove(chunk)
        _write(tables, laid, gathered.chunks)
    result = _result(tables, found, gathered, laid, faces_new, dry_run, counted)
    if gathered.failed:
        raise SourceError(
            f"{len(gathered.failed)} of {len(new)} new chunks could not be read and will be tried by the next run: "
            f"{'; '.join(gathered.failed[:5])}. All else was ingested: {result.line()}"
        )
    return result


def _check_dataset(tables: Tables, found: list[Source], dataset: str) -> None:
    """Refuses chunks whose videos are known under another data set.

    Known archives would not be read again, and the others would give every video a second id: its two rows, and a
    fake and its original, could then fall into different splits.
    """
    of_chunk = F.when(F.col("packing") == "file", F.expr("left(uri, length(uri) - length(member) - 1)"))
    known = (
        tables.read(VIDEOS)
        .where((F.col("dataset") != dataset) & F.col("uri").isNotNull())
        .select(F.coalesce(of_chunk, "uri").alias("uri"), "dataset")
        .distinct()
        .collect()
    )
    named = {row["uri"]: row["dataset"] for row in known}
    clashing = [source.uri for source in found if source.uri in named]
    if clashing:
        before = named[clashing[0]]
        raise ConfigError(
            f"sources.dataset={dataset}: {len(clashing)} of {len(found)} chunks were ingested as data set {before}, "
            f"the first is {clashing[0]}; ids of videos begin with the data set and are never changed: set "
            f"sources.dataset={before}, or another tables.root to begin anew. Nothing was written"
        )


def _ingested(tables: Tables) -> dict[str, list[str]]:
    """The etags that each URI has been ingested with, the newest last."""
    etags: dict[str, list[str]] = {}
    for row in tables.read(CHUNKS).select("uri", "etag", "ingested_at").orderBy("ingested_at").collect():
        etags.setdefault(row["uri"], []).append(row["etag"])
    return etags


def _own_crops(chunk: Chunk, crops: list[Crop], final: dict[str, Video]) -> list[Crop]:
    """The crops of videos whose crops are taken from this folder; other videos are a problem of the chunk."""
    own = [crop for crop in crops if crops_folder(final[crop.video_id]) == chunk.source.uri]
    left = {crop.video_id for crop in crops} - {crop.video_id for crop in own}
    if left:
        chunk.problems.append(f"DUPLICATE: crops of {len(left)} videos come from another folder, first {min(left)}")
    return own


def _lost_its_crops(before: Video, after: Video, chunk: Chunk) -> bool:
    return crops_folder(before) == chunk.source.uri and after.packing is None


def _gather(storage: Storage, new: list[Source], sources: SourcesConfig, progress: Progress) -> _Gathered:
    """Reads the new chunks, several at a time; the order is that of ``new``."""
    gathered = _Gathered()

    def read(source: Source) -> tuple[Chunk, list[Crop]] | str:
        own = storage.counting()
        crops: list[Crop] = []
        try:
            if source.kind == "zip":
                chunk = readers.read_zip(own, source, sources.dataset)
            elif source.kind == "folder":
                chunk = readers.read_folder(own, source, sources.dataset)
            else:
                chunk, crops = read_listing(source, sources)
        except StorageError as error:
            log.warning("%s", error)
            return str(error)
        chunk.requests, chunk.bytes_read = own.counters.requests, own.counters.bytes_read
        return chunk, crops

    progress.start("chunks", len(new))
    with ThreadPoolExecutor(THREADS) as pool:
        for done, answer in enumerate(pool.map(read, new), 1):
            progress.set(done)
            if isinstance(answer, str):
                gathered.failed.append(answer)
                continue
            gathered.chunks.append(answer[0])
            if answer[0].source.kind == "crops":
                gathered.crops.append(answer)
    progress.finish()
    return gathered


def _known_videos(tables: Tables, chunks: list[Chunk]) -> dict[str, Video]:
    """The rows of ``videos`` that the chunks may touch: with one of their ids, or of a chunk of their name."""
    if not chunks or not tables.exists(VIDEOS):
        return {}
    ids = sorted({video.video_id for chunk in chunks for video in chunk.videos})
    names = sorted({chunk.source.name for chunk in chunks})
    table = tables.read(VIDEOS)
    wanted = tables.spark.createDataFrame(pa.table({"video_id": pa.array(ids, pa.string())}))
    columns = [field.name for field in dataclasses.fields(Video)]
    rows = table.join(wanted, "video_id", "left_semi").select(columns).collect()
    rows += table.where(F.col("chunk").isin(names)).select(columns).collect()
    return {row["video_id"]: Video(**(row.asDict() | {"problems": tuple(row["problems"])})) for row in rows}


def _write(tables: Tables, laid: Laid, chunks: list[Chunk]) -> None:
    now = datetime.now(UTC)
    if laid.rows:
        rows = [dataclasses.asdict(row) | {"problems": list(row.problems), "ingested_at": now} for row in laid.rows]
        written = tables.upsert(VIDEOS, _frame(tables, VIDEOS, rows))
        if written != len(rows):
            raise CountError(f"{tables.uri(VIDEOS)}: {written} rows were written where {len(rows)} differ")
    if chunks:
        tables.upsert(CHUNKS, _frame(tables, CHUNKS, [_chunk_row(chunk, now) for chunk in chunks]))


def _chunk_row(chunk: Chunk, now: datetime) -> dict[str, Any]:
    return {
        "uri": chunk.source.uri,
        "etag": chunk.source.etag,
        "name": chunk.source.name,
        "kind": chunk.source.kind,
        "bytes": chunk.source.size,
        "members": chunk.members,
        "videos": len(chunk.videos),
        "problems": chunk.listed_problems(),
        "requests": chunk.requests,
        "bytes_read": chunk.bytes_read,
        "ingested_at": now,
    }


def _frame(tables: Tables, table: Table, rows: Iterable[dict[str, Any]]) -> DataFrame:
    return tables.spark.createDataFrame(pa.Table.from_pylist(list(rows), table.schema), table.spark_schema())


def _result(
    tables: Tables,
    found: list[Source],
    gathered: _Gathered,
    laid: Laid,
    faces_new: int,
    dry_run: bool,
    counted: Storage,
) -> IngestResult:
    problems = Counter(code(problem) for row in laid.rows for problem in row.problems)
    problems.update(code(problem) for chunk in gathered.chunks for problem in chunk.problems)
    labels = Counter(row.label for row in laid.rows)
    return IngestResult(
        chunks_seen=len(found),
        chunks_new=len(gathered.chunks),
        chunk_bytes=sum(chunk.source.size for chunk in gathered.chunks),
        videos_new=laid.new,
        videos_changed=laid.changed,
        videos_moved=laid.moved,
        real=labels["REAL"],
        fake=labels["FAKE"],
        unlabelled=labels[None],
        crops_named=sum(len(crops) for _, crops in gathered.crops),
        faces_new=faces_new,
        problems=dict(problems),
        originals_nowhere=_originals_nowhere(tables, laid if dry_run else Laid()),
        requests=counted.counters.requests + sum(chunk.requests for chunk in gathered.chunks),
        bytes_read=counted.counters.bytes_read + sum(chunk.bytes_read for chunk in gathered.chunks),
        retries=sum(chunk.task_retries for chunk in gathered.chunks),
    )


def _originals_nowhere(tables: Tables, pending: Laid) -> int:
    """Originals named in ``videos`` (and in rows not yet written) that are no row there. Normal in part data."""
    rows = tables.read(VIDEOS).select("video_id", "original")
    if pending.rows:
        more = pa.table(
            {
                "video_id": pa.array([row.video_id for row in pending.rows], pa.string()),
                "original": pa.array([row.original for row in pending.rows], pa.string()),
            }
        )
        rows = rows.unionByName(tables.spark.createDataFrame(more))
    named = rows.where("original IS NOT NULL").select(F.col("original").alias("video_id")).distinct()
    return named.join(rows, "video_id", "left_anti").count()
