"""Finds the chunks and crops folders behind the URIs and globs of the configuration."""

import fnmatch
import logging
from collections.abc import Mapping, Set

from dflib import uris
from dflib.config import SourcesConfig
from dflib.errors import SourceError, StorageError
from dflib.sources import labels, layouts, names
from dflib.sources.chunk import Source
from dflib.storage import Entry, Storage

log = logging.getLogger(__name__)


def find_chunks(storage: Storage, sources: SourcesConfig) -> list[Source]:
    """The chunks behind ``sources.chunks``, each once, in the order of the URIs and then of names.

    A zip is a chunk.  In a folder, each zip is a chunk, each folder with a side file of a layout such as the
    Deepfake Detection Challenge's ``metadata.json``, and all other videos together.

    Raises:
        SourceError: a URI or glob matches nothing, an empty folder, or nothing that contains videos.
        StorageError: a folder cannot be listed.
    """
    csv = storage.stat(sources.labels) if sources.labels else None
    found: dict[str, Source] = {}
    for pattern in sources.chunks:
        matches = storage.glob(pattern)
        matched = [source for uri in matches for source in _at(storage, uri, csv, sources, single=matches == [pattern])]
        if not matched:
            raise SourceError(
                f"{pattern}: {'contains neither a zip nor a folder' if matches else 'matches nothing'}; "
                "set sources.chunks to chunk zips or folders of videos"
            )
        for source in matched:
            found.setdefault(source.uri, source)
    return _checked(found)


def find_crops(storage: Storage, sources: SourcesConfig, settings: str) -> list[Source]:
    """The folders of ready-cut crops behind ``sources.crops``.

    Args:
        storage: where to look.
        sources: the configuration.
        settings: the settings that change the crops' rows; part of each folder's etag.

    Raises:
        SourceError: a URI or glob matches nothing or an empty folder.
        StorageError: a folder cannot be listed.
    """
    found: dict[str, Source] = {}
    for pattern in sources.crops:
        folders = {uri: tuple(storage.list_files(uri)) for uri in storage.glob(pattern)}
        if not any(folders.values()):
            raise SourceError(f"{pattern}: no such folder, or an empty one; correct sources.crops")
        found |= {uri: Source("crops", uri, files, settings=settings) for uri, files in folders.items() if files}
    return _checked(found)


def gone(sources: SourcesConfig, ingested: Mapping[str, str], found: Set[str]) -> list[Source]:
    """Ingested chunks that are not there any more, although the configured sources cover their place.

    Chunks elsewhere, such as those of another data set, are not looked at.  A source that matches nothing at all is an
    error of :func:`find_chunks`, so an unmounted disk does not look like deleted chunks.

    Args:
        sources: the configuration.
        ingested: kind of each ingested chunk, by URI.
        found: URIs of the chunks that are there.
    """
    lost = []
    for uri, kind in ingested.items():
        patterns = sources.crops if kind == "crops" else sources.chunks
        if uri not in found and any(_covers(pattern, uri) for pattern in patterns):
            log.warning("%s: was ingested and is not there any more", uri)
            lost.append(Source(kind, uri, (), gone=True))
    return lost


def _covers(pattern: str, uri: str) -> bool:
    """Whether a place is what a pattern matches, or below it."""
    wanted, parts = pattern.rstrip("/").split("/"), uri.split("/")
    return len(parts) >= len(wanted) and all(map(fnmatch.fnmatchcase, parts, wanted))


def _checked(found: dict[str, Source]) -> list[Source]:
    for uri in found:
        reason = names.unsafe(uri.partition("://")[2].strip("/"))
        if reason:
            raise SourceError(f"{names.shown(uri)}: {reason}; rename it")
    return list(found.values())


def _at(storage: Storage, uri: str, csv: Entry | None, sources: SourcesConfig, single: bool) -> list[Source]:
    if uri.lower().endswith(".zip"):
        try:
            return [_zip(storage.stat(uri), sources)]
        except StorageError as error:
            raise SourceError(f"{error}; check the path in sources.chunks") from error
    files = list(storage.list_files(uri))
    if not files and single:
        raise SourceError(f"{uri}: no such folder, or an empty one; set sources.chunks to chunk zips or folders")
    if not files:
        log.info("%s: neither a zip nor a folder with files; left out", uri)
        return []
    return _in_folder(uri, files, csv, sources)


def _zip(entry: Entry, sources: SourcesConfig) -> Source:
    return Source("zip", entry.uri, (entry,), settings="" if sources.layout == layouts.AUTO else sources.layout)


def _in_folder(uri: str, files: list[Entry], csv: Entry | None, sources: SourcesConfig) -> list[Source]:
    settings = sources.dataset if sources.layout == layouts.AUTO else f"{sources.dataset} {sources.layout}"
    markers = {layout.side_file for layout in layouts.load(sources.layout) if layout.own_chunk}
    zips = [_zip(entry, sources) for entry in files if entry.uri.lower().endswith(".zip")]
    rest = [entry for entry in files if not entry.uri.lower().endswith(".zip")]
    parts: dict[str, list[Entry]] = {names.parent(entry.uri): [] for entry in rest if uris.name(entry.uri) in markers}
    plain: list[Entry] = []
    for entry in rest:
        folder = names.parent(entry.uri)
        while folder not in parts and len(folder) > len(uri):
            folder = names.parent(folder)
        parts.get(folder, plain).append(entry)
    found = zips + [Source("folder", folder, tuple(held), settings=settings) for folder, held in parts.items()]
    if any(names.is_video(entry.uri) for entry in plain):
        own = next((entry for entry in plain if entry.uri == uris.join(uri, labels.CSV_NAME)), None)
        found.append(Source("folder", uri, tuple(plain), csv or own, csv is None and own is not None, settings))
    if not found:
        raise SourceError(f"{uri}: {len(files)} files, but no zip and no video; check the path in sources.chunks")
    return sorted(found, key=lambda source: source.uri)
