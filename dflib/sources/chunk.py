"""A chunk (zip, folder of videos, folder of crops): where it was found, and the rows and problems read from it."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

from dflib import uris
from dflib.config import digest
from dflib.sources.accounting import Account
from dflib.storage import Entry

GONE = "gone"
"""Etag of a chunk that is not there any more."""

MAX_LISTED = 100
"""Largest number of problems of one code that a row of ``chunks`` lists one by one."""


@dataclass(frozen=True)
class Source:
    """A chunk that was found.

    Attributes:
        kind: zip, folder, file (a single video) or crops.
        uri: URI of the archive, the folder or the file.
        files: the archive or file alone, or all files of the folder that belong to this chunk.
        labels: labels CSVs that lie outside of the chunk: that of the configuration, and those beside it and above.
        shares_labels: whether other chunks lie below the folder: its labels CSVs may list their videos, too, and it
            needs none of its own.
        settings: settings that change the rows; part of the etag.
        described_by: of a single video, the layouts' side files beside it, which list others, too.
        problems: ``CODE: text``, what was found of it without reading it.
        gone: whether an ingested chunk is not there any more.
        refused: why it cannot be read; None: it can.
    """

    kind: str
    uri: str
    files: tuple[Entry, ...]
    labels: tuple[Entry, ...] = ()
    shares_labels: bool = False
    settings: str = ""
    described_by: tuple[Entry, ...] = ()
    problems: tuple[str, ...] = ()
    gone: bool = False
    refused: str | None = None

    @cached_property
    def etag(self) -> str:
        """Changes with the content: an archive's own etag, or a hash of a folder's listing; and with the settings."""
        if self.gone:
            return GONE
        own = [file for file in self.files if file.uri == uris.join(self.uri, "labels.csv")]
        tables = [[csv.uri, csv.etag] for csv in (self.labels or own)]
        # Etags of chunks that were ingested by earlier versions, with one labels CSV at most, stay as they were.
        labels = tables[0] if len(tables) == 1 else tables or None
        if self.kind == "zip":
            settings: object = [self.settings, labels] if labels else self.settings
            return self.files[0].etag + (f"-{digest(settings)}" if settings else "")
        listing = sorted((entry.uri.removeprefix(self.uri), entry.size, entry.etag) for entry in self.files)
        beside = [[[entry.uri, entry.etag] for entry in self.described_by]] if self.described_by else []
        return digest([listing, labels, self.settings, *beside])

    @cached_property
    def name(self) -> str:
        """Name of the chunk, as in ``videos.chunk``; that of a single file is its folder's."""
        name = uris.name(self.uri.rpartition("/")[0] if self.kind == "file" else self.uri)
        return name[: -len(".zip")] if self.kind == "zip" and name.lower().endswith(".zip") else name

    @property
    def size(self) -> int:
        """Size of all files in bytes."""
        return sum(max(0, entry.size) for entry in self.files)


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


Same = Callable[[Video, Video], bool | None]
"""Whether a kept and a new video are equal; None: the kept one is not there any more."""


@dataclass
class Chunk:
    """What was read from a source.

    Attributes:
        source: the source.
        members: number of files in it.
        videos: rows of ``videos``, in the order of file names.
        problems: ``CODE: text`` for what gave no row, apart from files that were left out.
        account: where its files went.
        requests, bytes_read: of storage.
        task_retries: retries of storage by the tasks that read its crops.
    """

    source: Source
    members: int
    videos: list[Video] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    account: Account = field(default_factory=Account)
    requests: int = 0
    bytes_read: int = 0
    task_retries: int = 0

    def listed_problems(self) -> list[str]:
        """The problems for ``chunks``: at most :data:`MAX_LISTED` of one code, then the number of the others; and the
        files that were left out, by reason."""
        counts: Counter[str] = Counter()
        listed = []
        for problem in self.problems:
            counts[code(problem)] += 1
            if counts[code(problem)] <= MAX_LISTED:
                listed.append(problem)
        more = [f"{name}: and {count - MAX_LISTED} more" for name, count in counts.items() if count > MAX_LISTED]
        return [*listed, *more, *self.account.problems()]


def code(problem: str) -> str:
    """The code of a ``CODE: text`` problem."""
    return problem.partition(":")[0]
