"""Chunks read: a zip through its central directory, a folder through its listing. No video is read."""

import functools
from collections.abc import Callable

from dflib.errors import SourceError, VideoError
from dflib.sources import labels, layouts
from dflib.sources.archive import Member, read_directory
from dflib.sources.labels import Labels
from dflib.sources.members import read_member
from dflib.sources.model import Chunk, Source
from dflib.sources.rows import Claims, Found, add_videos
from dflib.storage import Entry, Storage

MAX_METADATA_FILES = 100
"""Most metadata.json files of one zip that are read."""


def read_zip(storage: Storage, source: Source, dataset: str) -> Chunk:
    """A zip's videos with their byte ranges and labels. What is no zip gives a chunk that says so.

    Raises:
        StorageError: it can't be read.
    """
    try:
        members = read_directory(storage, source.files[0])
    except SourceError as error:
        return Chunk(source, 0, problems=[f"NOT_A_ZIP: {error}"])
    chunk = Chunk(source, len(members))
    safe: dict[str, Member] = {}
    for member in members:
        reason = layouts.unsafe(member.name)
        if reason:
            chunk.problems.append(f"UNSAFE_NAME: {layouts.shown(member.name)} {reason}")
        elif member.name in safe:
            chunk.problems.append(f"DUPLICATE: {layouts.shown(member.name)} stands in the archive twice")
        else:
            safe[member.name] = member
    claims = Claims()
    found = [name for name in safe if name.rpartition("/")[2] == labels.METADATA_NAME and "__MACOSX/" not in name]
    for number, name in enumerate(found):
        if number == MAX_METADATA_FILES:
            chunk.problems.append(f"BAD_METADATA: {len(found)} metadata files; {MAX_METADATA_FILES} were read")
            break
        claims.roots[layouts.parent(name)] = _metadata(
            chunk, f"{source.uri}:{name}", functools.partial(_inflated, storage, source.uri, safe[name])
        )
    videos = [_of_member(source.uri, member) for name, member in safe.items() if layouts.is_video(name)]
    add_videos(chunk, dataset, videos, claims)
    return chunk


def read_folder(storage: Storage, source: Source, dataset: str) -> Chunk:
    """A folder's videos with their labels from ``metadata.json``, a CSV, or FaceForensics++ folder names.

    Raises:
        SourceError: the labels CSV can't be used.
        StorageError: a labels file can't be read.
    """
    chunk = Chunk(source, len(source.files))
    files: dict[str, Entry] = {}
    for entry in source.files:
        name = entry.uri.removeprefix(source.uri + "/")
        reason = layouts.unsafe(name)
        if reason:
            chunk.problems.append(f"UNSAFE_NAME: {layouts.shown(name)} {reason}")
        else:
            files[name] = entry
    videos = [_of_file(name, entry) for name, entry in files.items() if layouts.is_video(name)]
    claims = Claims()
    metadata = files.get(labels.METADATA_NAME)
    if metadata:
        claims.roots[""] = _metadata(chunk, metadata.uri, functools.partial(_whole, storage, metadata))
    elif source.labels:
        given = labels.parse_csv(_whole(storage, source.labels), source.labels.uri)
        claims = Claims({"": _by_path(given, [video.name for video in videos])}, source.labels_own)
    add_videos(chunk, dataset, videos, claims)
    return chunk


def _metadata(chunk: Chunk, where: str, read: Callable[[], bytes]) -> Labels | None:
    try:
        found = labels.parse_metadata(read(), where)
    except (SourceError, VideoError) as error:
        chunk.problems.append(f"BAD_METADATA: {error}")
        return None
    chunk.problems.extend(found.problems)
    return found


def _inflated(storage: Storage, uri: str, member: Member) -> bytes:
    if member.problem or member.packing is None:
        raise SourceError(f"{uri}:{member.name}: {member.problem}")
    return read_member(
        storage, uri, member.offset, member.length, member.packing, member.crc32, member.size, labels.MAX_BYTES
    )


def _whole(storage: Storage, entry: Entry) -> bytes:
    if entry.size > labels.MAX_BYTES:
        raise SourceError(f"{entry.uri}: {entry.size} bytes; a labels file has at most {labels.MAX_BYTES}")
    return storage.read_range(entry.uri, 0, entry.size)


def _of_member(uri: str, member: Member) -> Found:
    fingerprint = f"{member.crc32:08x}-{member.size}"
    if member.problem:
        # No range, so that nobody reads one that is known to be wrong.
        return Found(member.name, None, None, None, None, None, member.size, fingerprint, (member.problem,))
    return Found(member.name, uri, member.offset, member.length, member.packing, member.crc32, member.size, fingerprint)


def _of_file(name: str, entry: Entry) -> Found:
    return Found(name, entry.uri, None, None, "file", None, entry.size, entry.etag)


def _by_path(given: Labels, paths: list[str]) -> Labels:
    """A CSV's claims under the paths of the files that they mean: the path or the file name, ending or not.

    A bare file name that several folders hold means none of them.
    """
    named: dict[str, list[str]] = {}
    for path in paths:
        for name in {path, layouts.stem(path), path.rpartition("/")[2], layouts.stem(path.rpartition("/")[2])}:
            named.setdefault(name, []).append(path)
    claims = dict(given.claims)
    for name, claim in given.claims.items():
        meant = named.get(name, [])
        exact = [path for path in meant if name in (path, layouts.stem(path))]
        if len(exact or meant) == 1:
            del claims[name]
            claims[(exact or meant)[0]] = claim
    return Labels(claims, given.problems)
