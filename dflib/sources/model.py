"""A chunk (zip or folder) as it is found, and what is read of it: rows of ``videos`` and problems."""

from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property

from dflib import uris
from dflib.config import digest
from dflib.storage import Entry

MAX_LISTED = 100
"""Problems of one code that a row of ``chunks`` lists one by one."""


@dataclass(frozen=True)
class Source:
    """A chunk that was found.

    Attributes:
        kind: zip, folder or crops.
        uri: the archive, or the folder.
        files: the archive alone, or all files of the folder that belong to this chunk.
        labels: for a folder without metadata.json, the CSV that labels it.
        labels_own: whether that CSV lies in the folder, so that every line of it must be a video there.
        settings: what else decides the rows; goes into the etag of a folder.
    """

    kind: str
    uri: str
    files: tuple[Entry, ...]
    labels: Entry | None = None
    labels_own: bool = False
    settings: str = ""

    @cached_property
    def etag(self) -> str:
        """Changes when the content does: the archive's own, or a hash over the folder's listing."""
        if self.kind == "zip":
            return self.files[0].etag
        listing = sorted((entry.uri.removeprefix(self.uri), entry.size, entry.etag) for entry in self.files)
        return digest([listing, [self.labels.uri, self.labels.etag] if self.labels else None, self.settings])

    @property
    def name(self) -> str:
        """Chunk name, as in ``videos.chunk``."""
        name = uris.name(self.uri)
        return name[: -len(".zip")] if self.kind == "zip" and name.lower().endswith(".zip") else name

    @property
    def size(self) -> int:
        """Bytes of all its files."""
        return sum(entry.size for entry in self.files)


@dataclass(frozen=True)
class Video:
    """A row of ``videos`` before it is written; the fields are its columns."""

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
    """What was read of a source: rows in the order of file names, and ``CODE: text`` of what gave none.

    ``task_retries``: of storage, by the tasks that read its crops.
    """

    source: Source
    members: int
    videos: list[Video] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    requests: int = 0
    bytes_read: int = 0
    task_retries: int = 0

    def listed_problems(self) -> list[str]:
        """The problems for the table: at most :data:`MAX_LISTED` of one code, then how many more there are."""
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
