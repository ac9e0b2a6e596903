"""Reads a chunk: a zip through its central directory, a folder through its listing.  No video is read."""

import functools
from collections.abc import Callable, Mapping

from dflib.errors import SourceError, VideoError
from dflib.sources import labels, layouts, names
from dflib.sources.archive import Member, read_directory
from dflib.sources.chunk import Chunk, Source
from dflib.sources.labels import Labels
from dflib.sources.layouts import Layout, SideFiles
from dflib.sources.members import read_member
from dflib.sources.rows import Descriptions, VideoFile, add_videos
from dflib.storage import Entry, Storage

MAX_SIDE_FILES = 100
"""Largest number of side files that are read of one chunk, for each layout."""

Read = Callable[[], bytes]


def read_zip(storage: Storage, source: Source, dataset: str, layout: str = layouts.AUTO) -> Chunk:
    """The videos of a zip with their byte ranges and labels.

    A file that is not a zip gives a chunk without videos and with the problem ``NOT_A_ZIP``.

    Args:
        storage: where the zip is.
        source: the zip.
        dataset: first part of each ``video_id``.
        layout: a layout's name, or ``auto``.

    Raises:
        StorageError: the zip cannot be read.
    """
    try:
        members = read_directory(storage, source.files[0])
    except SourceError as error:
        return Chunk(source, 0, problems=[f"NOT_A_ZIP: {error}"])
    chunk = Chunk(source, len(members))
    safe: dict[str, Member] = {}
    for member in members:
        reason = names.unsafe(member.name)
        if reason:
            chunk.problems.append(f"UNSAFE_NAME: {names.shown(member.name)} {reason}")
        elif member.name in safe:
            chunk.problems.append(f"DUPLICATE: {names.shown(member.name)} occurs twice in the archive")
        else:
            safe[member.name] = member
    files = {
        name: functools.partial(_read_member, storage, source.uri, member)
        for name, member in safe.items()
        if "__MACOSX/" not in name
    }
    described = _describe(chunk, layout, files, f"{source.uri}:")
    videos = [_of_member(source.uri, member) for name, member in safe.items() if names.is_video(name)]
    add_videos(chunk, dataset, videos, described)
    return chunk


def read_folder(storage: Storage, source: Source, dataset: str, layout: str = layouts.AUTO) -> Chunk:
    """The videos of a folder with their labels, from its layout or a labels CSV.

    Args: as :func:`read_zip`.

    Raises:
        SourceError: the labels CSV cannot be used.
        StorageError: a side file or the labels CSV cannot be read.
    """
    chunk = Chunk(source, len(source.files))
    safe: dict[str, Entry] = {}
    for entry in source.files:
        name = entry.uri.removeprefix(source.uri + "/")
        reason = names.unsafe(name)
        if reason:
            chunk.problems.append(f"UNSAFE_NAME: {names.shown(name)} {reason}")
        else:
            safe[name] = entry
    videos = [_of_file(name, entry) for name, entry in safe.items() if names.is_video(name)]
    files = {entry.uri: functools.partial(_read_file, storage, entry) for entry in safe.values()}
    described = _describe(chunk, layout, files, "")
    if source.labels:
        csv = labels.parse_csv(_read_file(storage, source.labels), source.labels.uri)
        described.labels = labels.by_path(csv, [video.name for video in videos])
        described.labels_complete = source.labels_own
    add_videos(chunk, dataset, videos, described)
    return chunk


def _describe(chunk: Chunk, layout: str, files: Mapping[str, Read], prefix: str) -> Descriptions:
    """The layouts that may apply to the files, with their side files read; ``prefix`` completes a path to a place."""
    found = [(part, _side_files(chunk, part, files, prefix)) for part in layouts.load(layout)]
    return Descriptions(found, None if layout == layouts.AUTO else layout)


def _side_files(chunk: Chunk, layout: Layout, files: Mapping[str, Read], prefix: str) -> SideFiles:
    if layout.side_file is None or layout.parse is None:
        return SideFiles()
    paths = [path for path in files if path.rpartition("/")[2] == layout.side_file]
    if len(paths) > MAX_SIDE_FILES:
        chunk.problems.append(
            f"BAD_METADATA: {len(paths)} files {layout.side_file}; the first {MAX_SIDE_FILES} were read"
        )
    found: dict[str, Labels | None] = {}
    for path in paths[:MAX_SIDE_FILES]:
        try:
            found[names.parent(path)] = read = layout.parse(files[path](), prefix + path)
            chunk.problems.extend(read.problems)
        except (SourceError, VideoError) as error:
            chunk.problems.append(f"BAD_METADATA: {error}")
            found[names.parent(path)] = None
    return SideFiles(found)


def _read_member(storage: Storage, uri: str, member: Member) -> bytes:
    if member.problem or member.packing is None:
        raise SourceError(f"{uri}:{member.name}: {member.problem}")
    return read_member(
        storage, uri, member.offset, member.length, member.packing, member.crc32, member.size, labels.MAX_BYTES
    )


def _read_file(storage: Storage, entry: Entry) -> bytes:
    if entry.size > labels.MAX_BYTES:
        raise SourceError(f"{entry.uri}: {entry.size} bytes; a labels file has at most {labels.MAX_BYTES}")
    return storage.read_range(entry.uri, 0, entry.size)


def _of_member(uri: str, member: Member) -> VideoFile:
    fingerprint = f"{member.crc32:08x}-{member.size}"
    if member.problem:
        # Without a range, so that extract never reads one that is known to be wrong.
        return VideoFile(member.name, None, None, None, None, None, member.size, fingerprint, (member.problem,))
    return VideoFile(
        member.name, uri, member.offset, member.length, member.packing, member.crc32, member.size, fingerprint
    )


def _of_file(name: str, entry: Entry) -> VideoFile:
    return VideoFile(name, entry.uri, None, None, "file", None, entry.size, entry.etag)
