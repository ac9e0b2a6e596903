"""The boxes of an mp4 or mov (ISO/IEC 14496-12), as far as they matter before FFmpeg opens the file."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dflib.errors import VideoError

_TABLE_HEADER = 8
"""Version, flags and number of entries of a table."""


@dataclass(frozen=True)
class Box:
    """One box.

    Attributes:
        kind: its four characters.
        start, end: of its content in the file; ``end`` may lie beyond the end of the file.
    """

    kind: bytes
    start: int
    end: int


def boxes(content: bytes, start: int = 0, end: int | None = None) -> Iterator[Box]:
    """The boxes that follow each other in a range; ends at bytes that are none."""
    stop = len(content) if end is None else min(end, len(content))
    while start + 8 <= stop:
        size, head = int.from_bytes(content[start : start + 4], "big"), 8
        kind = bytes(content[start + 4 : start + 8])
        if size == 1:
            size, head = int.from_bytes(content[start + 8 : start + 16], "big"), 16
        elif size == 0:  # up to the end
            size = stop - start
        if size < head:
            return
        yield Box(kind, start + head, start + size)
        start += size


def check_index(content: bytes, max_entries: int) -> None:
    """Checks how many samples the tables declare.

    A table may declare millions of samples in a few bytes, and FFmpeg allocates an entry for each when it opens the
    file.  Sound of one tick a sample (PCM) is not counted, because FFmpeg keeps that in pieces.

    Args:
        content: the file.
        max_entries: for all tracks together, as ``extract.max_index_entries``.

    Raises:
        VideoError: TOO_LARGE.
    """
    fragments = _children(content, _children(content, [Box(b"", 0, len(content))], b"moof"), b"traf")
    declared = sum(_samples(content, media) for media in _tracks(content))
    declared += sum(_number(content, box.start + 4) for box in _children(content, fragments, b"trun"))
    if declared > max_entries:
        raise VideoError(
            "TOO_LARGE", f"its index declares {declared} samples, which exceed extract.max_index_entries={max_entries}"
        )


def stated_sizes(content: bytes) -> list[tuple[int, int]]:
    """Width and height in pixels that the sample descriptions of video tracks state; none for other containers."""
    sizes = []
    for media in _tracks(content):
        if _children(content, [media], b"vmhd"):
            for description in _children(content, _children(content, [media], b"stbl"), b"stsd"):
                # The first entry: 8 bytes of a table, 8 of a box, and 24 of fields before the size.
                place = description.start + _TABLE_HEADER + 32
                sizes.append((_number(content, place) >> 16, _number(content, place) & 0xFFFF))
    return sizes


def _tracks(content: bytes) -> list[Box]:
    """The boxes ``minf`` of all tracks."""
    moovs = _children(content, [Box(b"", 0, len(content))], b"moov")
    return _children(content, _children(content, _children(content, moovs, b"trak"), b"mdia"), b"minf")


def _samples(content: bytes, media: Box) -> int:
    """The number of samples that the tables of a track declare: the largest of those that they state."""
    tables = _children(content, [media], b"stbl")
    counts = [_number(content, box.start + 8) for box in _children(content, tables, b"stsz", b"stz2")]
    times = _children(content, tables, b"stts")
    runs = [_runs(content, box) for box in times + _children(content, tables, b"ctts")]
    is_pcm = len(times) == 1 and len(runs[0]) == 1 and int(runs[0][0, 1]) == 1
    if is_pcm and _children(content, [media], b"smhd"):
        return 0
    return max([0, *counts, *(int(table[:, 0].sum(dtype=np.uint64)) for table in runs)])


def _children(content: bytes, parents: list[Box], *kinds: bytes) -> list[Box]:
    return [box for parent in parents for box in boxes(content, parent.start, parent.end) if box.kind in kinds]


def _runs(content: bytes, box: Box) -> NDArray[np.uint32]:
    """A table of runs (``stts``, ``ctts``): number of samples and value of each, shape (n, 2)."""
    place = box.start + _TABLE_HEADER
    count = min(_number(content, box.start + 4), max(0, min(box.end, len(content)) - place) // 8)
    return np.frombuffer(content, ">u4", 2 * count, place).reshape(-1, 2) if count else np.zeros((0, 2), np.uint32)


def _number(content: bytes, place: int) -> int:
    return int.from_bytes(content[place : place + 4], "big")
