"""Reads a chunk: a zip through its central directory, a folder through its listing.  No video is read.

Every file of a chunk becomes a row, is read for labels, or is left out for a reason that is counted
(:mod:`dflib.sources.accounting`).
"""

import functools
from collections.abc import Callable, Mapping

from dflib import uris
from dflib.config import SourcesConfig
from dflib.errors import SourceError, VideoError
from dflib.sources import labels_csv, layouts, names, twins
from dflib.sources.archive import Member, read_directory
from dflib.sources.budget import Budget
from dflib.sources.chunk import Chunk, Source
from dflib.sources.contents import FolderContents, ZipContents, read_small
from dflib.sources.labels import Labels
from dflib.sources.layouts import Layout, SideFiles
from dflib.sources.listing import LabelsCsv
from dflib.sources.rows import Descriptions, add_videos
from dflib.sources.signatures import container_of
from dflib.storage import UNREADABLE, Entry, Storage

MAX_SIDE_FILES = 100
"""Largest number of metadata files, and of labels CSVs, that are read of one chunk."""

Contents = ZipContents | FolderContents
SharedLabels = Callable[[Entry], Labels]


def shared_labels(storage: Storage, sources: SourcesConfig, entry: Entry) -> Labels:
    """A labels CSV, or a layout's side file, that describes the videos of several chunks.

    Raises:
        SourceError: it cannot be used.
        StorageError: it cannot be read.
    """
    content = read_small(storage, entry, sources.max_metadata_bytes)
    for part in layouts.load(sources.layout):
        if part.parse and part.side_file == uris.name(entry.uri):
            return part.parse(content, entry.uri, sources.max_metadata_entries)
    return labels_csv.parse(content, entry.uri, sources.max_metadata_entries)


def read_zip(storage: Storage, source: Source, sources: SourcesConfig, shared: SharedLabels | None = None) -> Chunk:
    """The videos of a zip with their byte ranges and labels.

    A file that is not a zip gives a chunk without videos and with the problem ``NOT_A_ZIP``.

    Args:
        storage: where the zip is.
        source: the zip.
        sources: data set, layout and limits.
        shared: reads the CSV ``source.labels``; None: :func:`shared_labels`.

    Raises:
        SourceError: there are too many files, two files with one name or identifier differ, or the CSV
            ``source.labels`` cannot be used.
        StorageError: the zip cannot be read.
    """
    try:
        members = read_directory(storage, source.files[0])
    except SourceError as error:
        return Chunk(source, 0, problems=[f"NOT_A_ZIP: {error}"])
    _check_number(source, len(members), sources)
    chunk = Chunk(source, len(members), problems=list(source.problems))
    files: dict[str, Member] = {}
    for member in members:
        kept = files.get(member.name)
        if kept is None or names.ending(member.name) in names.OTHER_ENDINGS:
            files[member.name] = member  # as every reader of zips, which takes the last
        if kept is None:
            continue
        kind = "replaced by a later one of the same name" if _differ(kept, member) else "with the name of another one"
        if files[member.name] is kept and _differ(kept, member):
            raise SourceError(
                f"{source.uri}: nothing was ingested of it: it has two different files {names.shown(member.name)}; "
                "make the archive anew"
            )
        chunk.account.leave_out("DUPLICATE", kind, member.name)
    _read(chunk, ZipContents(storage, source.uri, files), sources, shared)
    return chunk


def read_folder(storage: Storage, source: Source, sources: SourcesConfig, shared: SharedLabels | None = None) -> Chunk:
    """The videos of a folder, or a single video, with their labels, from their layout or labels CSVs.

    Args: as :func:`read_zip`.

    Raises:
        SourceError: there are too many files, a labels CSV cannot be used, or two files with one identifier differ.
        StorageError: a metadata file or a labels CSV cannot be read.
    """
    _check_number(source, len(source.files), sources)
    chunk = Chunk(source, len(source.files), problems=list(source.problems))
    top = names.parent(source.uri) if source.kind == "file" else source.uri
    files = {entry.uri.removeprefix(f"{top}/"): entry for entry in source.files}
    _read(chunk, FolderContents(storage, files), sources, shared)
    return chunk


def _check_number(source: Source, number: int, sources: SourcesConfig) -> None:
    if number > sources.max_members:
        raise SourceError(
            f"{source.uri}: nothing was ingested of it: {number} files; the limit is "
            f"sources.max_members={sources.max_members}"
        )


def _differ(one: Member, two: Member) -> bool:
    return (one.crc32, one.size) != (two.crc32, two.size)


def _read(chunk: Chunk, contents: Contents, sources: SourcesConfig, shared: SharedLabels | None) -> None:
    parts = layouts.load(sources.layout)
    side_names = {labels_csv.NAME, *(part.side_file for part in parts if part.side_file)}
    videos, side_files = _sort(chunk, contents, sources, parts, side_names)
    described = Descriptions(required=None if sources.layout == layouts.AUTO else sources.layout)
    budget = Budget(sources.max_metadata_bytes, sources.max_metadata_entries)
    for part in parts:
        paths = _take(chunk, side_files, part.side_file) if part.side_file else []
        found: dict[str, Labels | None] = {}
        for path in paths:
            found[names.parent(contents.path(path))] = _metadata(chunk, contents, part, path, budget)
        for entry in chunk.source.described_by:
            if part.side_file == uris.name(entry.uri):
                found[names.normal(names.parent(entry.uri))] = _outer(chunk, contents, entry, sources, shared)
        described.layouts.append((part, SideFiles(found)))
    for path in _take(chunk, side_files, labels_csv.NAME):
        if table := _own_csv(chunk, contents, path, budget):
            described.tables.append(table)
    for entry in chunk.source.labels:
        if labels := _outer(chunk, contents, entry, sources, shared):
            described.tables.append(_outer_csv(chunk, labels, entry, sources))
    top = names.common_top(contents.files, videos) if chunk.source.kind == "zip" else ""
    same = functools.partial(twins.same_bytes, contents.storage)
    add_videos(chunk, sources.dataset, [contents.video(name) for name in videos], described, same, top)
    chunk.account.check(chunk.source.uri, chunk.members)


def _sort(
    chunk: Chunk, contents: Contents, sources: SourcesConfig, parts: list[Layout], side_names: set[str]
) -> tuple[list[str], list[str]]:
    """The names of the videos and of the side files; all others are left out."""
    account = chunk.account
    files: Mapping[str, Member | Entry] = contents.files
    videos, side_files = [], []
    probes = 0
    for name, file in sorted(files.items()):
        ending = names.ending(name)
        kind = ending or "without an ending"
        if reason := names.unsafe(name):
            account.leave_out("UNSAFE_NAME", f"whose name {reason}", name)
        elif names.is_hidden(name):
            account.leave_out("HIDDEN", "that are hidden", name)
        elif file.size == UNREADABLE:
            account.leave_out("NOT_READABLE", "that are folders which cannot be read", name)
        elif file.size < 0:
            account.leave_out("NOT_A_FILE", "that are broken links or devices", name)
        elif name.rpartition("/")[2].lower() in side_names:
            side_files.append(name)
        elif ending == names.ARCHIVE_ENDING:
            account.leave_out("NESTED_ZIP", "in a zip; put them beside it", name)
        elif ending in names.OTHER_ENDINGS:
            account.leave_out("NOT_VIDEO", kind, name)
        elif what := _not_a_clip(contents.path(name), parts):
            account.leave_out("NOT_A_CLIP", what, name)
        elif ending in names.VIDEO_ENDINGS:
            videos.append(name)
        elif probes >= sources.max_probes:
            account.leave_out("NOT_LOOKED_AT", f"{kind}, more than sources.max_probes={probes}", name)
        else:
            probes += 1
            if container_of(contents.head(name)):
                videos.append(name)
            else:
                account.leave_out("NOT_VIDEO", f"{kind}, of no known container", name)
    return videos, side_files


def _not_a_clip(path: str, parts: list[Layout]) -> str | None:
    for part in parts:
        if what := part.not_a_clip(path):
            return what
    return None


def _take(chunk: Chunk, side_files: list[str], wanted: str) -> list[str]:
    """The side files of a name, one a folder and at most :data:`MAX_SIDE_FILES`; further ones are left out."""
    paths = [path for path in side_files if path.rpartition("/")[2].lower() == wanted]
    # A file with exactly this name comes before others that differ in case.
    paths.sort(key=lambda path: (path.rpartition("/")[2] != wanted, path))
    kept: dict[str, str] = {}
    for path in paths:
        folder = names.parent(path)
        if folder in kept:
            chunk.account.leave_out("DUPLICATE", f"{wanted} in another case beside one", path)
        elif len(kept) >= MAX_SIDE_FILES:
            chunk.account.leave_out("BAD_METADATA", f"{wanted}, more than {MAX_SIDE_FILES}", path)
        else:
            kept[folder] = path
    chunk.account.side_files += len(kept)
    return sorted(kept.values())


def _metadata(chunk: Chunk, contents: Contents, part: Layout, path: str, budget: Budget) -> Labels | None:
    """A layout's side file; None when it cannot be used, which is a problem of the chunk."""
    assert part.parse is not None
    try:
        return _parsed(chunk, contents, path, budget, part.parse)
    except (SourceError, VideoError) as error:
        chunk.problems.append(f"BAD_METADATA: {_with_key(error)}")
        return None


def _parsed(
    chunk: Chunk, contents: Contents, path: str, budget: Budget, parse: Callable[[bytes, str, int], Labels]
) -> Labels:
    """A metadata or labels file of the chunk within its budget; names in it that cannot be used are its problems."""
    place = contents.place(path)
    budget.add_bytes(place, contents.files[path].size)
    labels = parse(contents.read(path, budget.max_bytes), place, budget.max_entries)
    budget.add_entries(place, len(labels.claims))
    chunk.problems.extend(labels.problems)
    return labels


def _own_csv(chunk: Chunk, contents: Contents, path: str, budget: Budget) -> LabelsCsv | None:
    """A labels CSV in the chunk.  In a zip, which can't be mended in place, one that is of no use is a problem."""
    try:
        labels = _parsed(chunk, contents, path, budget, labels_csv.parse)
    except (SourceError, VideoError) as error:
        if chunk.source.kind != "zip":
            raise
        chunk.problems.append(f"BAD_METADATA: {_with_key(error)}")
        return None
    return LabelsCsv(labels, names.parent(path), own=not chunk.source.shares_labels)


def _outer(
    chunk: Chunk, contents: Contents, entry: Entry, sources: SourcesConfig, shared: SharedLabels | None
) -> Labels | None:
    """A metadata or labels file outside of the chunk.

    None when it cannot be used, which is a problem of the chunk and not the end of all chunks, but for
    ``sources.labels``.
    """
    try:
        labels = shared(entry) if shared else shared_labels(contents.storage, sources, entry)
    except SourceError as error:
        if entry.uri == sources.labels:
            raise
        chunk.problems.append(f"BAD_METADATA: {error}")
        return None
    chunk.problems.extend(labels.problems)
    return labels


def _outer_csv(chunk: Chunk, labels: Labels, entry: Entry, sources: SourcesConfig) -> LabelsCsv:
    folder = names.parent(entry.uri)
    above = names.below(chunk.source.uri, folder) if chunk.source.kind == "folder" else ""
    above = above if above != chunk.source.uri else ""
    return LabelsCsv(labels, own=False, above=above, first=entry.uri == sources.labels)


def _with_key(error: SourceError | VideoError) -> str:
    if isinstance(error, VideoError) and error.reason == "TOO_LARGE":
        return f"{error} (sources.max_metadata_bytes)"
    return str(error)
