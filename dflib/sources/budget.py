"""The limits of what the metadata and labels files of one chunk may cost together."""

from dataclasses import dataclass

from dflib.errors import SourceError


@dataclass
class Budget:
    """What may be read of a chunk's metadata and labels files, and what was.

    Attributes:
        max_bytes, max_entries: the limits, ``sources.max_metadata_bytes`` and ``sources.max_metadata_entries``.
        read_bytes, entries: so far.
    """

    max_bytes: int
    max_entries: int
    read_bytes: int = 0
    entries: int = 0

    def add_bytes(self, place: str, size: int) -> None:
        """Counts a file that is about to be read; one that is too large by itself is refused by its reader.

        Raises:
            SourceError: it is too large together with those before it.
        """
        if size <= self.max_bytes < self.read_bytes + size:
            raise SourceError(
                f"{place}: {size} bytes, after {self.read_bytes} of other metadata and labels files of its chunk; the "
                f"limit for all is sources.max_metadata_bytes={self.max_bytes}"
            )
        self.read_bytes += size

    def add_entries(self, place: str, number: int) -> None:
        """Counts the entries of a file.

        Raises:
            SourceError: they are too many together with those before them.
        """
        if self.entries + number > self.max_entries:
            raise SourceError(
                f"{place}: {number} entries, after {self.entries} of other metadata and labels files of its chunk; the "
                f"limit for all is sources.max_metadata_entries={self.max_entries}"
            )
        self.entries += number
