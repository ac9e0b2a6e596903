"""The account of a chunk: each of its files is a row, a file that was read for labels, or left out."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from dflib.errors import CountError
from dflib.sources.names import shown

MAX_KINDS = 30
"""Largest number of lines for one reason; further kinds share a line."""


@dataclass
class Account:
    """Where the files of a chunk went.

    Attributes:
        rows: files that became rows, of ``videos`` or of ``faces``.
        side_files: metadata and labels files that were read.
        reasons: code of the reason for each file that was left out, by its name in the chunk.  Of two files of one
            name, the first.
    """

    rows: int = 0
    side_files: int = 0
    reasons: dict[str, str] = field(default_factory=dict)
    _groups: dict[tuple[str, str], tuple[int, str]] = field(default_factory=dict)
    _kinds: Counter[str] = field(default_factory=Counter)

    def leave_out(self, code: str, kind: str, name: str) -> None:
        """Counts a file that is left out.

        Args:
            code: why, such as ``NOT_VIDEO``.
            kind: completes "3 files …" in the problem, such as ``.txt``; files of one kind are counted together.
            name: its name in the chunk, untrusted.
        """
        self.reasons.setdefault(name, code)
        if (code, kind) not in self._groups:
            self._kinds[code] += 1
            kind = kind if self._kinds[code] <= MAX_KINDS else "of other kinds"
        count, first = self._groups.get((code, kind), (0, name))
        self._groups[code, kind] = count + 1, first

    @property
    def left_out(self) -> Mapping[str, int]:
        """Number of files left out, by code."""
        counts: Counter[str] = Counter()
        for (code, _), (count, _) in self._groups.items():
            counts[code] += count
        return counts

    def problems(self) -> list[str]:
        """``CODE: 12 files .txt, first 'readme.txt'`` for each kind of file that was left out."""
        return [
            f"{code}: {count} file{'s' if count > 1 else ''} {kind}, first {shown(first)}"
            for (code, kind), (count, first) in self._groups.items()
        ]

    def rename(self, change: Callable[[str], str]) -> None:
        """Changes the names that :meth:`problems` shows."""
        self._groups = {group: (count, change(first)) for group, (count, first) in self._groups.items()}

    def check(self, where: str, members: int) -> None:
        """Asserts that every file is accounted for.

        Raises:
            CountError: the counts do not add up to the number of files in the chunk.
        """
        left_out = sum(self.left_out.values())
        if self.rows + self.side_files + left_out != members:
            raise CountError(
                f"{where}: {members} files, but {self.rows} became rows, {self.side_files} were read for labels and "
                f"{left_out} were left out; this is an error of dflib"
            )
