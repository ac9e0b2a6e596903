"""Which chunks lie behind the URIs and globs of the configuration."""

import logging

from dflib import uris
from dflib.config import SourcesConfig
from dflib.errors import SourceError, StorageError
from dflib.sources import labels, layouts
from dflib.sources.model import Source
from dflib.storage import Entry, Storage

log = logging.getLogger(__name__)


def find_chunks(storage: Storage, sources: SourcesConfig) -> list[Source]:
    """The chunks behind ``sources.chunks``, each once, in the order of the URIs and then of names.

    A zip is a chunk.  In a folder, each zip, each folder with a ``metadata.json`` and all other videos together
    are one each.

    Raises:
        SourceError: a URI or glob matches nothing, an empty folder, or nothing that holds videos.
        StorageError: a place can't be listed.
    """
    csv = storage.stat(sources.labels) if sources.labels else None
    found: dict[str, Source] = {}
    for pattern in sources.chunks:
        matches = storage.glob(pattern)
        here = [
            source for uri in matches for source in _at(storage, uri, csv, sources.dataset, single=matches == [pattern])
        ]
        if not here:
            raise SourceError(
                f"{pattern}: {'no zip and no folder' if matches else 'matches nothing'}; "
                "give chunk zips or folders of videos (sources.chunks)"
            )
        for source in here:
            found.setdefault(source.uri, source)
    return _presentable(found)


def find_crops(storage: Storage, sources: SourcesConfig, settings: str) -> list[Source]:
    """The folders of ready-cut crops behind ``sources.crops``; ``settings`` is what else decides their rows.

    Raises:
        SourceError: a URI or glob matches nothing or an empty folder.
        StorageError: a place can't be listed.
    """
    found: dict[str, Source] = {}
    for pattern in sources.crops:
        folders = {uri: tuple(storage.list_files(uri)) for uri in storage.glob(pattern)}
        if not any(folders.values()):
            raise SourceError(f"{pattern}: no such folder, or an empty one (sources.crops)")
        found |= {uri: Source("crops", uri, files, settings=settings) for uri, files in folders.items() if files}
    return _presentable(found)


def _presentable(found: dict[str, Source]) -> list[Source]:
    for uri in found:
        if layouts.unsafe(uri.partition("://")[2].strip("/")):
            raise SourceError(f"{layouts.shown(uri)}: {layouts.unsafe(uri.partition('://')[2].strip('/'))}; rename it")
    return list(found.values())


def _at(storage: Storage, uri: str, csv: Entry | None, dataset: str, single: bool) -> list[Source]:
    if uri.lower().endswith(".zip"):
        try:
            return [Source("zip", uri, (storage.stat(uri),))]
        except StorageError as error:
            raise SourceError(f"{error}; is the path right? (sources.chunks)") from error
    files = list(storage.list_files(uri))
    if not files and single:
        raise SourceError(f"{uri}: no such folder, or an empty one; give chunk zips or folders (sources.chunks)")
    if not files:
        log.info("%s: neither a zip nor a folder with files; left out", uri)
        return []
    return _in_folder(uri, files, csv, dataset)


def _in_folder(uri: str, files: list[Entry], csv: Entry | None, dataset: str) -> list[Source]:
    zips = [Source("zip", entry.uri, (entry,)) for entry in files if entry.uri.lower().endswith(".zip")]
    rest = [entry for entry in files if not entry.uri.lower().endswith(".zip")]
    parts: dict[str, list[Entry]] = {
        layouts.parent(entry.uri): [] for entry in rest if uris.name(entry.uri) == labels.METADATA_NAME
    }
    plain: list[Entry] = []
    for entry in rest:
        folder = layouts.parent(entry.uri)
        while folder not in parts and len(folder) > len(uri):
            folder = layouts.parent(folder)
        parts.get(folder, plain).append(entry)
    found = zips + [Source("folder", folder, tuple(held), settings=dataset) for folder, held in parts.items()]
    if any(layouts.is_video(entry.uri) for entry in plain):
        own = next((entry for entry in plain if entry.uri == uris.join(uri, labels.LABELS_NAME)), None)
        found.append(Source("folder", uri, tuple(plain), csv or own, csv is None and own is not None, dataset))
    if not found:
        raise SourceError(f"{uri}: holds {len(files)} files but no zip and no video; is the path right?")
    return sorted(found, key=lambda source: source.uri)
