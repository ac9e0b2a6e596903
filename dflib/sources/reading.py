"""Reads new chunks concurrently.  Whatever a chunk sets off is its own failure, and the others are read."""

import dataclasses
import functools
import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pyarrow as pa

from dflib.config import SourcesConfig
from dflib.errors import DflibError, SourceError, StorageError
from dflib.runtime.progress import Progress
from dflib.sources import readers
from dflib.sources.chunk import Chunk, Source
from dflib.sources.crops import CropFile, read_listing
from dflib.storage import Storage
from dflib.tables.schemas import VIDEOS

log = logging.getLogger(__name__)

THREADS = 8
"""Chunks that are read concurrently: each takes two to four small requests, mostly waiting."""


@dataclass
class Incoming:
    """What was read.

    Attributes:
        chunks: the new chunks.
        crops: those of ready-cut crops, with the crops to read.
        failed: why others could not be ingested.
        again: URIs of chunks that were read again without being new.
    """

    chunks: list[Chunk] = field(default_factory=list)
    crops: list[tuple[Chunk, list[CropFile]]] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    again: set[str] = field(default_factory=set)


def read_new(
    storage: Storage,
    new: Sequence[Source],
    sources: SourcesConfig,
    progress: Progress,
    shared: readers.SharedLabels | None = None,
) -> Incoming:
    """Reads the new chunks; the result has the order of ``new``.

    Args:
        storage: where they are.
        new: the chunks.
        sources: data set, layout and limits.
        progress: counts chunks.
        shared: reads a labels CSV outside of the chunks; None: :func:`dflib.sources.readers.shared_labels`.

    Raises:
        SourceError: the labels CSV of the configuration cannot be used.
        StorageError: it cannot be read.
    """
    incoming = Incoming()
    shared = functools.cache(shared or functools.partial(readers.shared_labels, storage, sources))
    for entry in {entry for source in new for entry in source.labels if entry.uri == sources.labels}:
        shared(entry)

    def read(source: Source) -> tuple[Chunk, list[CropFile]] | str:
        if source.refused:
            return source.refused
        try:
            return _read(storage.counting(), source, sources, shared)
        except (SourceError, StorageError) as error:
            log.warning("%s", error)
            return str(error)
        except DflibError as error:
            log.exception("%s", source.uri)
            return str(error)
        except Exception as error:
            # Whatever hostile bytes cause in a library; the type is a hint at where.
            log.exception("%s", source.uri)
            return f"{source.uri}: cannot be read: {type(error).__name__}: {str(error)[:200]}"

    progress.start("chunks", len(new))
    with ThreadPoolExecutor(THREADS) as pool:
        for done, outcome in enumerate(pool.map(read, new), 1):
            progress.set(done)
            if isinstance(outcome, str):
                incoming.failed.append(outcome)
                continue
            incoming.chunks.append(outcome[0])
            if outcome[0].source.kind == "crops":
                incoming.crops.append(outcome)
    progress.finish()
    return incoming


def _read(
    storage: Storage, source: Source, sources: SourcesConfig, shared: readers.SharedLabels
) -> tuple[Chunk, list[CropFile]]:
    crops: list[CropFile] = []
    if source.kind == "zip":
        chunk = readers.read_zip(storage, source, sources, shared)
    elif source.kind == "crops":
        chunk, crops = read_listing(source, sources)
    else:
        chunk = readers.read_folder(storage, source, sources, shared)
    _check_rows(chunk)
    chunk.requests, chunk.bytes_read = storage.counters.requests, storage.counters.bytes_read
    return chunk, crops


def _check_rows(chunk: Chunk) -> None:
    """Raises what the table would raise of a value that does not fit, for the rows of all chunks together."""
    names = [each.name for each in dataclasses.fields(chunk.videos[0])] if chunk.videos else []
    for name in names:
        kind = VIDEOS.schema.field(name).type
        try:
            pa.array([getattr(video, name) for video in chunk.videos], kind)
        except (pa.ArrowException, OverflowError, UnicodeError) as error:
            raise SourceError(
                f"{chunk.source.uri}: nothing was ingested of it: videos.{name} cannot hold its values: {error}"
            ) from None
