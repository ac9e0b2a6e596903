"""Ingest: new and changed chunks become rows.  Nothing is decoded, and known chunks are not read again."""

import dataclasses
import functools
import logging
import re
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
from pyspark.sql import functions as F

from dflib.config import SourcesConfig
from dflib.errors import ConfigError, CountError, SourceError
from dflib.runtime.progress import Progress
from dflib.sources import crop_writer, discovery, readers
from dflib.sources.chunk import GONE, Chunk, Source, Video, code
from dflib.sources.crop_names import CropPattern
from dflib.sources.crops import CropFile, extractor_of, listing_settings
from dflib.sources.reading import Incoming, read_new
from dflib.sources.reconcile import Reconciled, clashing, crops_folder, keep_ids, other_places, reconcile
from dflib.sources.twins import same_bytes
from dflib.storage import Storage
from dflib.tables import deletion, forgotten
from dflib.tables.clock import later_than
from dflib.tables.schemas import CHUNKS, EXTRACTIONS, VIDEOS
from dflib.tables.store import Tables

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class IngestResult:
    """What an ingest did, or what it would do for a dry run.

    Attributes:
        chunks_seen, chunks_new: all chunks that the sources have, and those that were read.
        chunk_bytes: size of the new chunks.
        videos_new, videos_changed, videos_moved: rows of ``videos`` added, replaced, and (among the replaced) moved
            to another place.
        real, fake, unlabelled: labels of the rows added or replaced.
        crops_named: crops in new folders, by their names.
        faces_new: rows of ``faces`` added from ready-cut crops.
        problems: number of problems by code, in those rows and in the new chunks.
        left_out: files of the new chunks that are no rows and were not read for labels, by the reason's code.
        chunks_gone: chunks that were ingested and are not there any more.
        videos_missing: videos that were there and are not any more, with such a chunk or without it.
        originals_nowhere: originals named in ``videos`` without a row there (a later chunk may add it); None when no
            chunk is new: then it is as before.
        requests, bytes_read: of storage, in all.
        retries: of storage, in tasks.
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
    chunks_gone: int
    videos_missing: int
    problems: dict[str, int]
    left_out: dict[str, int]
    originals_nowhere: int | None
    requests: int
    bytes_read: int
    retries: int

    def line(self) -> str:
        """The result in one line."""
        problems, left_out = (
            ", ".join(f"{name} {count}" for name, count in sorted(counts.items())) or "none"
            for counts in (self.problems, self.left_out)
        )
        parts = [
            f"{self.chunks_seen} chunks seen, {self.chunks_new} new ({self.chunk_bytes / 1e6:,.1f} MB): "
            f"{self.videos_new} videos new, {self.videos_changed} changed "
            f"({self.real} REAL, {self.fake} FAKE, {self.unlabelled} unlabelled)",
            f"problems: {problems}",
            *([f"files left out: {left_out}"] if self.left_out else []),
            f"{self.requests} requests, {self.bytes_read / 1e6:,.1f} MB read",
        ]
        if self.originals_nowhere is not None:
            parts.insert(-1, f"originals nowhere: {self.originals_nowhere}")
        if self.chunks_gone or self.videos_missing:
            parts.insert(1, f"{self.chunks_gone} chunks gone, {self.videos_missing} videos missing")
        if self.crops_named:
            parts.insert(1, f"{self.crops_named} crops named, {self.faces_new} faces new")
        return "; ".join(parts)


def check(sources: SourcesConfig) -> None:
    """Checks the section ``sources`` as far as it can be checked without storage.

    Raises:
        ConfigError: there is nothing to ingest, or the keys about ready-cut crops are not valid.
    """
    if not sources.chunks and not sources.crops:
        raise ConfigError("nothing to ingest: set sources.chunks=URI (chunk zips, folders) or sources.crops=URI")
    CropPattern(sources.crop_pattern)
    both = {word.lower() for word in sources.crop_real} & {word.lower() for word in sources.crop_fake}
    if both or not sources.crop_real or not sources.crop_fake:
        raise ConfigError(
            f"sources.crop_real {list(sources.crop_real)} and sources.crop_fake {list(sources.crop_fake)}: "
            "each must name a folder, and no folder may be in both"
        )


def ingest(
    tables: Tables, storage: Storage, sources: SourcesConfig, run_id: str, progress: Progress, dry_run: bool
) -> IngestResult:
    """Updates ``chunks``, ``videos`` and, from ready-cut crops, ``faces`` to the content of the sources.

    Tables are written in this order: faces, frames and ledger of crops; videos; and chunks last, because a row there
    means that its chunk is done.  A second run with nothing new writes nothing.

    Args:
        tables: the tables to write.
        storage: where the sources are.
        sources: the configuration.
        run_id: current run, for the ledger of crops.
        progress: counts chunks, then crops.
        dry_run: nothing is written.

    Raises:
        ConfigError: see :func:`check`; or a chunk was ingested under another ``sources.dataset``.
        SourceError: all sources are empty, ``sources.labels`` cannot be used, or, after all others were ingested, a
            chunk could not be read, or has a video that clashes with another chunk's.
        StorageError: no source can be listed.
    """
    check(sources)
    counted = storage.counting()
    found = discovery.find_chunks(counted, sources, tables.root) if sources.chunks else []
    if sources.crops:
        found += discovery.find_crops(counted, sources, listing_settings(sources))
    _check_dataset(tables, found, sources.dataset)
    ingested, present = _ingested(tables)
    new = [source for source in found if ingested.get(source.uri, [])[-1:] != [source.etag]]
    shared = functools.partial(readers.shared_labels, counted, sources)
    incoming = read_new(storage, new, sources, progress, shared)
    _leave_out_forgotten(tables, incoming)
    for source in discovery.gone(sources, present, found):
        _add_gone(incoming, source)
    for chunk in incoming.chunks:
        if chunk.source.etag in ingested.get(chunk.source.uri, []) and not chunk.source.gone:
            # The time makes the row differ from the existing one, so that it is the newest of its URI again.
            chunk.problems.append(f"CAME_BACK: was replaced, and is back since {datetime.now(UTC).isoformat()}")
    known = _known_videos(tables, incoming.chunks)
    keep_ids(known, incoming.chunks)
    if _read_also(storage, found, incoming, known, sources, progress):
        _leave_out_forgotten(tables, incoming)
        known = _known_videos(tables, incoming.chunks)
        keep_ids(known, incoming.chunks)
    seen = {source.uri for source in found}
    same = functools.cache(functools.partial(same_bytes, counted))
    _refuse(incoming, clashing(known, incoming.chunks, seen, same))
    reconciled = reconcile(known, incoming.chunks, seen, same)
    faces_new = 0
    if not dry_run:
        final = known | {row.video_id: row for row in reconciled.rows}
        for chunk, crops in incoming.crops:
            own = _own_crops(chunk, crops, final)
            removed = [row.video_id for row in known.values() if _lost_its_crops(row, final[row.video_id], chunk)]
            written = crop_writer.write(tables, storage, chunk, own, removed, extractor_of(sources), run_id, progress)
            faces_new += written.faces
            if written.failed:
                incoming.failed.append(written.failed)
                incoming.chunks.remove(chunk)
        _write(tables, reconciled, incoming.chunks)
    result = _result(tables, found, incoming, reconciled, faces_new, dry_run, counted)
    if incoming.failed:
        raise SourceError(
            f"{len(incoming.failed)} of {len(new)} new chunks were not ingested and will be read by the next run: "
            f"{'; '.join(incoming.failed[:5])}. The others were ingested: {result.line()}"
        )
    return result


def _check_dataset(tables: Tables, found: list[Source], dataset: str) -> None:
    """Rejects chunks that were ingested under another data set.

    Known archives would not be read again, and all others would give each video a second id: its two rows, or a fake
    and its original, could then fall into different splits.
    """
    of_chunk = F.when(F.col("packing") == "file", F.expr("left(uri, length(uri) - length(member) - 1)"))
    others = tables.read(VIDEOS).where((F.col("dataset") != dataset) & F.col("uri").isNotNull())
    places = others.select(F.coalesce(of_chunk, "uri").alias("uri"), "dataset")
    singles = [source.uri for source in found if source.kind == "file"]
    if singles:  # which may have been ingested with their folder
        places = places.union(others.select("uri", "dataset").where(F.col("uri").isin(singles)))
    named = {row["uri"]: row["dataset"] for row in places.distinct().collect()}
    clashing = [source.uri for source in found if source.uri in named]
    if clashing:
        before = named[clashing[0]]
        raise ConfigError(
            f"sources.dataset={dataset}: {len(clashing)} of {len(found)} chunks were ingested as data set {before}, "
            f"the first is {clashing[0]}; ids of videos begin with the data set and are never changed: set "
            f"sources.dataset={before}, or another tables.root to start from empty tables. Nothing was written"
        )


def _ingested(tables: Tables) -> tuple[dict[str, list[str]], dict[str, str]]:
    """The etags under which each URI was ingested, the newest last; and the kinds of those not known to be gone."""
    etags: dict[str, list[str]] = {}
    kinds: dict[str, str] = {}
    rows = tables.read(CHUNKS).select("uri", "etag", "kind", "ingested_at").orderBy("ingested_at")
    for row in rows.collect():
        etags.setdefault(row["uri"], []).append(row["etag"])
        kinds[row["uri"]] = row["kind"]
    return etags, {uri: kind for uri, kind in kinds.items() if etags[uri][-1] != GONE}


def _add_gone(incoming: Incoming, source: Source) -> None:
    chunk = Chunk(source, 0)
    # The time makes the row differ from that of an earlier loss of the same chunk.
    chunk.problems.append(f"GONE: not found since {datetime.now(UTC).isoformat()}")
    incoming.chunks.append(chunk)
    if source.kind == "crops":
        incoming.crops.append((chunk, []))


def _read_also(
    storage: Storage,
    found: list[Source],
    incoming: Incoming,
    known: dict[str, Video],
    sources: SourcesConfig,
    progress: Progress,
) -> bool:
    """Reads chunks that have not changed, but have videos that a changed or deleted one has no more; whether any."""
    wanted = other_places(known, incoming.chunks) - {chunk.source.uri for chunk in incoming.chunks}
    more = [source for source in found if source.uri in wanted]
    if more:
        also = read_new(storage, more, sources, progress)
        incoming.chunks += also.chunks
        incoming.crops += also.crops
        incoming.failed += also.failed
        incoming.again |= wanted
    return bool(more)


def _leave_out_forgotten(tables: Tables, incoming: Incoming) -> None:
    """Removes videos that must not come back, and their names from what other rows say."""
    named = {
        name
        for chunk in incoming.chunks
        for video in chunk.videos
        for name in (video.video_id, video.original, video.source_group)
        if name is not None
    }
    gone = forgotten.known(tables, named)
    if not gone:
        return
    pattern = forgotten.whole_words(forgotten.names(gone))
    for chunk in incoming.chunks:
        kept = [_without_names(video, gone, pattern) for video in chunk.videos if video.video_id not in gone]
        chunk.problems[:] = [pattern.sub("forgotten", problem) for problem in chunk.problems]
        chunk.account.rename(lambda name: pattern.sub("forgotten", name))
        if len(kept) < len(chunk.videos):
            chunk.problems.append(f"FORGOTTEN: {len(chunk.videos) - len(kept)} videos are left out, see forget")
            chunk.videos[:] = kept
    for _, crops in incoming.crops:
        crops[:] = [crop for crop in crops if crop.video_id not in gone]


def _without_names(video: Video, gone: set[str], pattern: re.Pattern[str]) -> Video:
    group = video.source_group
    return dataclasses.replace(
        video,
        original=None if video.original in gone else video.original,
        source_group=forgotten.alias(group) if group in gone else group,
        problems=tuple(pattern.sub("forgotten", problem) for problem in video.problems),
    )


def _refuse(incoming: Incoming, reasons: dict[str, str]) -> None:
    """Leaves out the chunks with these URIs, and keeps the reasons."""
    incoming.failed += reasons.values()
    incoming.chunks[:] = [chunk for chunk in incoming.chunks if chunk.source.uri not in reasons]


def _own_crops(chunk: Chunk, crops: list[CropFile], final: dict[str, Video]) -> list[CropFile]:
    """The crops of videos whose crops are taken from this folder; other videos are a problem of the chunk."""
    own = [crop for crop in crops if crops_folder(final[crop.video_id]) == chunk.source.uri]
    others = {crop.video_id for crop in crops} - {crop.video_id for crop in own}
    if others:
        chunk.problems.append(f"DUPLICATE: crops of {len(others)} videos come from another folder, first {min(others)}")
    return own


def _lost_its_crops(before: Video, after: Video, chunk: Chunk) -> bool:
    return crops_folder(before) == chunk.source.uri and after.packing is None


def _known_videos(tables: Tables, chunks: list[Chunk]) -> dict[str, Video]:
    """The rows of ``videos`` that the chunks may change: those with one of their ids or of a chunk with their name."""
    if not chunks or not tables.exists(VIDEOS):
        return {}
    ids = sorted({video.video_id for chunk in chunks for video in chunk.videos})
    names = sorted({chunk.source.name for chunk in chunks})
    table = tables.read(VIDEOS)
    wanted = deletion.frame_of(tables, ids)
    columns = [field.name for field in dataclasses.fields(Video)]
    rows = table.join(wanted, "video_id", "left_semi").select(columns).collect()
    rows += table.where(F.col("chunk").isin(names)).select(columns).collect()
    return {row["video_id"]: Video(**(row.asDict() | {"problems": tuple(row["problems"])})) for row in rows}


def _write(tables: Tables, reconciled: Reconciled, chunks: list[Chunk]) -> None:
    # Also than what was extracted: extract compares the two (dflib.extraction.schedule).
    times = [(CHUNKS, "ingested_at"), (EXTRACTIONS, "extracted_at")]
    newest = [row["at"] for table, name in times for row in tables.read(table).agg(F.max(name).alias("at")).collect()]
    now = later_than(max((at for at in newest if at is not None), default=None))
    if reconciled.rows:
        rows = [
            dataclasses.asdict(row) | {"problems": list(row.problems), "ingested_at": now} for row in reconciled.rows
        ]
        written = tables.upsert(VIDEOS, VIDEOS.frame(tables.spark, rows))
        if written != len(rows):
            raise CountError(f"{tables.uri(VIDEOS)}: {written} rows were written, but {len(rows)} differ")
    if chunks:
        tables.upsert(CHUNKS, CHUNKS.frame(tables.spark, [_chunk_row(chunk, now) for chunk in chunks]))


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


def _result(
    tables: Tables,
    found: list[Source],
    incoming: Incoming,
    reconciled: Reconciled,
    faces_new: int,
    dry_run: bool,
    counted: Storage,
) -> IngestResult:
    problems = Counter(code(problem) for row in reconciled.rows for problem in row.problems)
    problems.update(code(problem) for chunk in incoming.chunks for problem in chunk.problems)
    labels = Counter(row.label for row in reconciled.rows)
    return IngestResult(
        chunks_seen=sum(not source.refused for source in found),
        chunks_new=sum(not chunk.source.gone and chunk.source.uri not in incoming.again for chunk in incoming.chunks),
        chunk_bytes=sum(chunk.source.size for chunk in incoming.chunks),
        videos_new=reconciled.new,
        videos_changed=reconciled.changed,
        videos_moved=reconciled.moved,
        real=labels["REAL"],
        fake=labels["FAKE"],
        unlabelled=labels[None],
        crops_named=sum(len(crops) for _, crops in incoming.crops),
        faces_new=faces_new,
        chunks_gone=sum(chunk.source.gone for chunk in incoming.chunks),
        videos_missing=reconciled.missing,
        problems=dict(problems),
        left_out=dict(sum((Counter(chunk.account.left_out) for chunk in incoming.chunks), Counter())),
        originals_nowhere=_originals_nowhere(tables, reconciled if dry_run else Reconciled())
        if incoming.chunks
        else None,
        requests=counted.counters.requests + sum(chunk.requests for chunk in incoming.chunks),
        bytes_read=counted.counters.bytes_read + sum(chunk.bytes_read for chunk in incoming.chunks),
        retries=sum(chunk.task_retries for chunk in incoming.chunks),
    )


def _originals_nowhere(tables: Tables, pending: Reconciled) -> int:
    """Originals named in ``videos`` (and in rows not yet written) without a row.  Normal for part of a data set."""
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
