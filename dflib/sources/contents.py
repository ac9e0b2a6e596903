"""The files in a chunk and how they are read: members of a zip by their ranges, files of a folder as they are."""

from dataclasses import dataclass

from dflib.errors import SourceError
from dflib.sources import names
from dflib.sources.archive import Member
from dflib.sources.members import read_head, read_member
from dflib.sources.rows import VideoFile
from dflib.sources.signatures import HEAD_BYTES
from dflib.storage import Entry, Storage


@dataclass(frozen=True)
class ZipContents:
    """The members of a zip, by name."""

    storage: Storage
    uri: str
    files: dict[str, Member]

    def place(self, name: str) -> str:
        """Where a file is, for messages."""
        return f"{self.uri}:{name}"

    def path(self, name: str) -> str:
        """The path of a file as layouts see it."""
        return names.normal(name)

    def read(self, name: str, max_bytes: int) -> bytes:
        """A whole file.

        Raises:
            SourceError, VideoError: it cannot be read, or is larger than ``max_bytes``.
            StorageError: the archive cannot be read.
        """
        member = self.files[name]
        if member.problem or member.packing is None:
            raise SourceError(f"{self.place(name)}: {member.problem}")
        return read_member(
            self.storage, self.uri, member.offset, member.length, member.packing, member.crc32, member.size, max_bytes
        )

    def head(self, name: str) -> bytes:
        """The first bytes of a file; none when they cannot be found."""
        member = self.files[name]
        if member.problem or member.packing is None:
            return b""
        return read_head(self.storage, self.uri, member.offset, member.length, member.packing, HEAD_BYTES)

    def video(self, name: str) -> VideoFile:
        """A file as a video."""
        member = self.files[name]
        fingerprint = f"{member.crc32:08x}-{member.size}"
        if member.problem:
            # Without a range, so that extract never reads one that is known to be wrong.
            return VideoFile(name, None, None, None, None, None, member.size, fingerprint, (member.problem,))
        place = member.offset, member.length, member.packing, member.crc32, member.size
        return VideoFile(name, self.uri, *place, fingerprint)


@dataclass(frozen=True)
class FolderContents:
    """The files of a folder, by their path below it."""

    storage: Storage
    files: dict[str, Entry]

    def place(self, name: str) -> str:
        """Where a file is, for messages."""
        return self.files[name].uri

    def path(self, name: str) -> str:
        """The path of a file as layouts see it."""
        return names.normal(self.files[name].uri)

    def read(self, name: str, max_bytes: int) -> bytes:
        """A whole file; errors as for :meth:`ZipContents.read`."""
        return read_small(self.storage, self.files[name], max_bytes)

    def head(self, name: str) -> bytes:
        """The first bytes of a file."""
        entry = self.files[name]
        return read_head(self.storage, entry.uri, 0, entry.size, "file", HEAD_BYTES)

    def video(self, name: str) -> VideoFile:
        """A file as a video."""
        entry = self.files[name]
        return VideoFile(name, entry.uri, None, None, "file", None, entry.size, entry.etag)


def read_small(storage: Storage, entry: Entry, max_bytes: int) -> bytes:
    """A whole metadata or labels file.

    Raises:
        SourceError: it is larger than ``max_bytes``.
        StorageError: it cannot be read.
    """
    if entry.size > max_bytes:
        raise SourceError(f"{entry.uri}: {entry.size} bytes; the limit is sources.max_metadata_bytes={max_bytes}")
    return storage.read_range(entry.uri, 0, entry.size)
