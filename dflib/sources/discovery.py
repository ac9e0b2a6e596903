"""Finds the chunks and crops folders behind the URIs and globs of the configuration."""

import fnmatch
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from dflib import uris
from dflib.config import SourcesConfig
from dflib.errors import CredentialsError, DeniedError, MissingError, SourceError, StorageError
from dflib.sources import labels_csv, layouts, names
from dflib.sources.chunk import Source
from dflib.storage import UNREADABLE, Entry, Storage

log = logging.getLogger(__name__)


def find_chunks(storage: Storage, sources: SourcesConfig, tables_root: str | None = None) -> list[Source]:
    """The chunks behind ``sources.chunks``, each once, in the order of the URIs and then of names.

    A zip is a chunk, and so is a single video.  In a folder, each zip is a chunk, each folder with a side file of a
    layout such as the Deepfake Detection Challenge's ``metadata.json``, and all other files together.  A URI that
    matches nothing, or a name that cannot be used, gives a source that is refused; the others are found all the same.

    Args:
        storage: where to look.
        sources: the configuration.
        tables_root: folder of the tables, which are no data where they lie below a source.

    Raises:
        SourceError: every source is refused.
        StorageError: no source can be listed, or the labels CSV of the configuration does not exist.
    """
    csv = (storage.stat(sources.labels),) if sources.labels else ()
    return _found("folder", sources.chunks, lambda pattern: _behind(storage, pattern, csv, sources, tables_root))


def find_crops(storage: Storage, sources: SourcesConfig, settings: str) -> list[Source]:
    """The folders of ready-cut crops behind ``sources.crops``; a URI that matches none gives a source that is refused.

    Args:
        storage: where to look.
        sources: the configuration.
        settings: the settings that change the crops' rows; part of each folder's etag.

    Raises:
        SourceError: every source is refused.
        StorageError: no folder can be listed.
    """

    def behind(pattern: str) -> list[Source]:
        folders = {uri: tuple(storage.list_everything(uri)) for uri in storage.glob(pattern)}
        if not any(folders.values()):
            raise SourceError(f"{pattern}: no such folder, or an empty one; correct sources.crops")
        # Faces of crops that are not listed would be removed.
        for closed in (entry for files in folders.values() for entry in files if entry.size == UNREADABLE):
            raise SourceError(f"{pattern}: {closed.uri} cannot be read; permit it, or correct sources.crops")
        return [Source("crops", uri, files, settings=settings) for uri, files in folders.items() if files]

    return _found("crops", sources.crops, behind)


def _found(kind: str, patterns: Iterable[str], behind: Callable[[str], list[Source]]) -> list[Source]:
    """The sources behind all patterns, each once; what raises an error is refused."""
    found: dict[str, Source] = {}
    errors: list[SourceError | StorageError] = []
    for pattern in patterns:
        try:
            matched = behind(pattern)
        except CredentialsError:
            raise
        except (SourceError, StorageError) as error:
            errors.append(error)
            matched = [Source(kind, pattern, (), refused=str(error))]
        for source in matched:
            found.setdefault(source.uri, source)
    checked = _checked(found)
    if all(source.refused for source in checked):
        raise errors[0] if len(errors) == len(checked) == 1 else SourceError("; ".join(_refusals(checked)))
    return checked


def gone(sources: SourcesConfig, ingested: Mapping[str, str], found: Sequence[Source]) -> list[Source]:
    """Ingested chunks that are not there any more, although the configured sources cover their place.

    Chunks elsewhere, such as those of another data set, are not looked at.  Nor are those behind a URI that matches
    nothing at all, which is refused, so an unmounted disk does not look like deleted chunks; nor those in a folder that
    cannot be read; nor a single video that is in another chunk now.

    Args:
        sources: the configuration.
        ingested: kind of each ingested chunk, by URI.
        found: the chunks that are there, and what was refused.
    """
    seen = {source.uri for source in found}
    refused = {source.uri for source in found if source.refused}
    closed = refused | {entry.uri for source in found for entry in source.files if entry.size == UNREADABLE}
    files = {entry.uri for source in found for entry in source.files}
    lost = []
    for uri, kind in ingested.items():
        if (kind == "file" and uri in files) or any(uri.startswith(f"{place}/") for place in closed):
            continue
        patterns = [each for each in (sources.crops if kind == "crops" else sources.chunks) if each not in refused]
        if uri not in seen and any(_covers(pattern, uri) for pattern in patterns):
            log.warning("%s: was ingested and is not there any more", uri)
            lost.append(Source(kind, uri, (), gone=True))
    return lost


def _covers(pattern: str, uri: str) -> bool:
    """Whether a place is what a pattern matches, or below it."""
    wanted, parts = pattern.rstrip("/").split("/"), uri.split("/")
    return len(parts) >= len(wanted) and all(
        part == want or fnmatch.fnmatchcase(part, want) for part, want in zip(parts, wanted, strict=False)
    )


def _checked(found: dict[str, Source]) -> list[Source]:
    """The sources; those with a name that cannot be used are refused."""
    checked = []
    for uri, source in found.items():
        reason = names.unsafe(uri.partition("://")[2].strip("/"))
        checked.append(replace(source, refused=f"{names.shown(uri)}: {reason}; rename it") if reason else source)
    return checked


def _refusals(sources: Iterable[Source]) -> list[str]:
    return [source.refused for source in sources if source.refused]


def _behind(
    storage: Storage, pattern: str, csv: tuple[Entry, ...], sources: SourcesConfig, tables_root: str | None
) -> list[Source]:
    matches = [uri for uri in storage.glob(pattern) if uri != tables_root]
    beside = _Beside(storage, sources)
    found: list[Source] = []
    for uri in matches:
        try:
            found += _at(storage, uri, csv, beside, sources, tables_root, single=matches == [pattern])
        except CredentialsError:
            raise
        except (SourceError, StorageError) as error:
            if len(matches) == 1:
                raise
            found.append(Source("folder", uri, (), refused=str(error)))
    if all(source.kind == "file" and not _may_be_video(names.parent(source.uri), source.files[0]) for source in found):
        raise SourceError(
            f"{pattern}: {'contains neither a zip nor a folder nor a video' if matches else 'matches nothing'}; "
            "set sources.chunks to chunk zips, folders of videos, or videos"
        )
    return found


def _at(
    storage: Storage,
    uri: str,
    csv: tuple[Entry, ...],
    beside: "_Beside",
    sources: SourcesConfig,
    tables_root: str | None,
    single: bool,
) -> list[Source]:
    """The chunks at a URI.

    Args:
        csv: the labels CSV of the configuration.
        beside: finds the labels files beside zips and videos.
        single: whether it is all that a pattern matches.
    """
    if uri.lower().endswith(names.ARCHIVE_ENDING):
        try:
            entry = storage.stat(uri)
        except StorageError as error:
            raise SourceError(f"{error}; check the path in sources.chunks") from error
        tables, problems = beside.find(names.parent(uri), [labels_csv.NAME])
        return [replace(_zip(entry, (*csv, *tables), sources), problems=problems)]
    own = f"{tables_root}/" if tables_root else None
    files = [entry for entry in storage.list_everything(uri) if own is None or not entry.uri.startswith(own)]
    if files:
        return _in_folder(uri, files, csv, sources, single)
    file = _file(storage, uri)
    if file and not single and uris.name(uri).lower() in {labels_csv.NAME, *beside.side_files}:
        return []  # which is read with what it describes
    if file and (not single or _may_be_video(names.parent(uri), file)):
        tables, problems = beside.find(names.parent(uri), [labels_csv.NAME])
        described, more = beside.find(names.parent(uri), beside.side_files)
        tables = (*csv, *(table for table in tables if table not in csv))
        return [Source("file", uri, (file,), tables, False, _settings(sources), described, tuple({*problems, *more}))]
    if single:
        raise SourceError(
            f"{uri}: {'is not a video' if file else 'no such folder, or an empty one'}; set sources.chunks to chunk "
            "zips, folders or videos"
        )
    log.info("%s: neither a zip nor a folder with files; left out", uri)
    return []


class _Beside:
    """Finds labels files beside zips and single videos, each once."""

    def __init__(self, storage: Storage, sources: SourcesConfig) -> None:
        self.side_files = [layout.side_file for layout in layouts.load(sources.layout) if layout.side_file]
        self._storage = storage
        self._known: dict[str, Entry | str | None] = {}

    def find(self, folder: str, wanted: Iterable[str]) -> tuple[tuple[Entry, ...], tuple[str, ...]]:
        """The files of these names in a folder, and problems of those that may not be read."""
        found = [self._at(uris.join(folder, name)) for name in wanted]
        entries = tuple(each for each in found if isinstance(each, Entry))
        return entries, tuple(each for each in found if isinstance(each, str))

    def _at(self, uri: str) -> Entry | str | None:
        if uri not in self._known:
            try:
                self._known[uri] = self._storage.stat(uri)
            except MissingError:
                self._known[uri] = None
            except DeniedError as error:  # S3's answer for what does not exist, too, where folders may not be listed
                self._known[uri] = f"NOT_READABLE: {error}. It was taken as not there"
        return self._known[uri]


def _file(storage: Storage, uri: str) -> Entry | None:
    """A single file; None when there is none, or an empty folder."""
    try:
        entry = storage.stat(uri)
        if entry.size:
            storage.read_range(uri, 0, 1)
    except CredentialsError:
        raise
    except StorageError:
        return None
    return entry


def _zip(entry: Entry, csv: tuple[Entry, ...], sources: SourcesConfig) -> Source:
    settings = "" if sources.layout == layouts.AUTO else sources.layout
    return Source("zip", entry.uri, (entry,), csv, settings=settings)


def _settings(sources: SourcesConfig) -> str:
    return sources.dataset if sources.layout == layouts.AUTO else f"{sources.dataset} {sources.layout}"


def _may_be_video(folder: str, entry: Entry) -> bool:
    """Whether a file may be a video; where its name does not tell, its first bytes will."""
    name = entry.uri.removeprefix(f"{folder}/")
    ending = names.ending(name)
    return not names.is_hidden(name) and ending not in names.OTHER_ENDINGS and ending != names.ARCHIVE_ENDING


def _in_folder(
    uri: str, files: list[Entry], csv: tuple[Entry, ...], sources: SourcesConfig, single: bool
) -> list[Source]:
    markers = {layout.side_file for layout in layouts.load(sources.layout) if layout.own_chunk}
    visible = {entry.uri for entry in files if not names.is_hidden(entry.uri.removeprefix(f"{uri}/"))}
    zips, parts, rest = [], dict[str, list[Entry]](), []
    own: dict[str, Entry] = {}
    for entry in files:
        name = uris.name(entry.uri).lower() if entry.uri in visible else ""
        if name.endswith(names.ARCHIVE_ENDING) and entry.size != UNREADABLE:
            zips.append(entry)
            continue
        rest.append(entry)
        if name in markers:
            parts[names.parent(entry.uri)] = []
        if name == labels_csv.NAME:
            own.setdefault(names.parent(entry.uri), entry)
    plain: list[Entry] = []
    for entry in rest:
        folder = names.parent(entry.uri)
        while folder not in parts and len(folder) > len(uri):
            folder = names.parent(folder)
        parts.get(folder, plain).append(entry)

    def above(folder: str, top: str) -> tuple[Entry, ...]:
        """The labels CSVs in a folder and above it, as far as ``top``."""
        found = []
        while len(folder) >= len(top):
            found += [own[folder]] if folder in own else []
            folder = names.parent(folder)
        return tuple(found)

    settings = _settings(sources)
    found = [_zip(entry, (*csv, *above(names.parent(entry.uri), uri)), sources) for entry in zips]
    found += [
        Source("folder", folder, tuple(held), (*csv, *above(names.parent(folder), uri)), settings=settings)
        for folder, held in parts.items()
    ]
    if not found and single and not any(_may_be_video(uri, entry) for entry in plain):
        raise SourceError(f"{uri}: {len(files)} files, but no zip and no video; check the path in sources.chunks")
    # A CSV beside chunks was read with them; other files beside them must be accounted for, if they are no videos.
    if not found or not set(plain) <= set(own.values()):
        found.append(Source("folder", uri, tuple(plain), csv, shares_labels=bool(found), settings=settings))
    return sorted(found, key=lambda source: source.uri)
