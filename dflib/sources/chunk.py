"""A chunk (zip, folder of videos, folder of crops): where it was found, and the rows and problems read from it."""

from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property

from dflib import uris
from dflib.config import digest
from dflib.storage import Entry

GONE = "gone"
"""Etag of a chunk that is not there any more."""

MAX_LISTED = 100
"""Largest number of problems of one code that a row of ``chunks`` lists one by one."""


@dataclass(frozen=True)
class Source:
    """A chunk that was found.

    Attributes:
        kind: zip, folder or crops.
        uri: URI of the archive or the folder.
        files: the archive alone, or all files of the folder that belong to this chunk.
        labels: the labels CSV of a plain folder.
        labels_own: whether that CSV lies in the folder, so that each of its lines must be a video there.
        settings: settings that change the rows; part of the etag.
        gone: whether an ingested chunk is not there any more.
    """

    kind: str
    uri: str
    files: tuple[Entry, ...]
    labels: Entry | None = None
    labels_own: bool = False
    settings: str = ""
    gone: bool = False

    @cached_property
    def etag(self) -> str:
        """Changes with the content: an archive's own etag, or a hash of a folder's listing; and with the settings."""
        if self.gone:
            return GONE
        if self.kind == "zip":
            return self.files[0].etag + (f"-{digest(self.settings)}" if self.settings else "")
        listing = sorted((entry.uri.removeprefix(self.uri), entry.size, entry.etag) for entry in self.files)
        return digest([listing, [self.labels.uri, self.labels.etag] if self.labels else None, self.settings])

    @property
    def name(self) -> str:
        """Name of the chunk, as in ``videos.chunk``."""
        name = uris.name(self.uri)
        return name[: -len(".zip")] if self.kind == "zip" and name.lower().endswith(".zip") else name

    @property
    def size(self) -> int:
        """Size of all files in bytes."""
        return sum(entry.size for entry in self.files)


@dataclass(frozen=True)
class Video:
    """A row of ``videos``; the fields are its columns."""

    video_id: str
    dataset: str
    chunk: str
    uri: str | None
    member: str | None
    offset: int | None
    length: int | None
    packing: str | None
    crc32: int | None
    size: int | None
    fingerprint: str | None
    label: str | None
    original: str | None
    source_group: str
    given_split: str | None
    manipulation: str | None
    compression: str | None
    problems: tuple[str, ...]


@dataclass
class Chunk:
    """What was read from a source.

    Attributes:
        source: the source.
        members: number of files in it.
        videos: rows of ``videos``, in the order of file names.
        problems: ``CODE: text`` for what gave no row.
        requests, bytes_read: of storage.
        task_retries: retries of storage by the tasks that read its crops.
    """

    source: Source
    members: int
    videos: list[Video] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    requests: int = 0
    bytes_read: int = 0
    task_retries: int = 0

    def listed_problems(self) -> list[str]:
        """The problems for ``chunks``: at most :data:`MAX_LISTED` of one code, then the number of the others."""
        counts: Counter[str] = Counter()
        listed = []
        for problem in self.problems:
            counts[code(problem)] += 1
            if counts[code(problem)] <= MAX_LISTED:
                listed.append(problem)
        return listed + [
            f"{name}: and {count - MAX_LISTED} more" for name, count in counts.items() if count > MAX_LISTED
        ]


def code(problem: str) -> str:
    """The code of a ``CODE: text`` problem."""
    return problem.partition(":")[0]
