"""New chunks laid over what ``videos`` holds: duplicates, contradictions, changed and missing files.

All of it is in a row's problems, so that a contradiction is found also when the second chunk comes in a later
run: the claims of other chunks are kept there as JSON (``DUPLICATE``: the same bytes, ``DUPLICATE_DIFFERS``:
others, ``ALSO``: as ready-cut crops, or named without a file).
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace

from dflib.sources.model import Chunk, Source, Video, code

RELATIONS = ("DUPLICATE", "DUPLICATE_DIFFERS", "ALSO")
CONFLICT = "LABEL_CONFLICT"
CHANGED = "CHANGED"


@dataclass(frozen=True)
class Other:
    """What another chunk says of a video that this row is not taken from."""

    chunk: str
    uri: str
    label: str | None
    crc32: int | None
    size: int | None
    rank: int


@dataclass
class Laid:
    """Rows to write (new ones and those that differ from the table), and what they are."""

    rows: list[Video] = field(default_factory=list)
    new: int = 0
    changed: int = 0
    moved: int = 0


def lay(known: Mapping[str, Video], chunks: Iterable[Chunk], seen: set[str]) -> Laid:
    """Lays the chunks over the known rows, in their order.

    A video stays with the first chunk that has its bytes.  The same chunk with other content renews its rows;
    a chunk of the same name elsewhere, with the same bytes and labels, takes them over unless the old place
    was given too (``seen``: URIs of all chunks of this run), so that chunks may move.

    Args:
        known: rows of the table, at least those with an id or a chunk name that ``chunks`` has.
    """
    state = dict(known)
    laid = Laid()
    for chunk in chunks:
        source = chunk.source
        for row in chunk.videos:
            old = state.get(row.video_id)
            if old is None:
                state[row.video_id] = row
            elif _owns(source, old):
                state[row.video_id] = _renewed(old, row)
            elif _has_moved(old, row, seen):
                state[row.video_id] = _renewed(old, row)
                laid.moved += 1
            else:
                state[row.video_id] = _shared(old, row, source)
        if chunk.members:
            _mark_gone(state, chunk)
    for video_id, row in state.items():
        before = known.get(video_id)
        if row != before:
            laid.rows.append(row)
            laid.new += before is None
            laid.changed += before is not None
    return laid


def _owns(source: Source, row: Video) -> bool:
    return row.chunk == source.name and (row.uri is None or _chunk_uri(row) == source.uri)


def _chunk_uri(row: Video) -> str:
    if row.uri is None:
        return ""
    return row.uri.removesuffix(f"/{row.member}") if row.packing == "file" else row.uri


def _has_moved(old: Video, row: Video, seen: set[str]) -> bool:
    return (
        old.chunk == row.chunk
        and _chunk_uri(old) not in seen
        and _rank(old) == _rank(row)
        and _same_bytes(old, row)
        and _own_label(old) == row.label
    )


def _renewed(old: Video, row: Video) -> Video:
    """The row as its own chunk gives it now, with what is known from other chunks."""
    changes = []
    if old.fingerprint and row.fingerprint and old.fingerprint != row.fingerprint:
        changes.append(f"{CHANGED}: was {old.fingerprint}, is {row.fingerprint}")
    if _own_label(old) != row.label:
        changes.append(f"{CHANGED}: label was {_own_label(old)}, is {row.label}")
    changes = changes or [problem for problem in old.problems if code(problem) == CHANGED]
    return _settled(replace(row, problems=(*row.problems, *changes)), _others(old))


def _shared(old: Video, row: Video, source: Source) -> Video:
    """One video from two chunks: the row is of the one with bytes, the first of two such."""
    # A claim without a file has no URI: its chunk is known by name.
    others = [other for other in _others(old) if other.uri != source.uri and (other.uri or other.chunk != source.name)]
    if _rank(row) > _rank(old):
        previous = Other(old.chunk, _chunk_uri(old), _own_label(old), old.crc32, old.size, _rank(old))
        return _settled(row, [*others, previous])
    second = Other(row.chunk, source.uri, row.label, row.crc32, row.size, _rank(row))
    own = tuple(problem for problem in old.problems if code(problem) not in RELATIONS and not _contradicts(problem))
    return _settled(replace(old, label=_own_label(old), problems=own), [*others, second])


def _settled(row: Video, others: list[Other]) -> Video:
    """The row with its relations written down; without a label when the chunks contradict each other."""
    relations = []
    for other in sorted(others, key=lambda other: (other.chunk, other.uri)):
        relation = "ALSO"
        if other.rank == _rank(row) > 0:
            relation = "DUPLICATE" if _same_bytes(row, other) else "DUPLICATE_DIFFERS"
        relations.append(f"{relation}: {json.dumps(asdict(other), sort_keys=True)}")
    claims = [(row.chunk, row.label), *((other.chunk, other.label) for other in others)]
    if len({label for _, label in claims if label}) > 1:
        relations.append(f"{CONFLICT}: {json.dumps(claims)}")
        row = replace(row, label=None)
    return replace(row, problems=(*row.problems, *relations))


def _mark_gone(state: dict[str, Video], chunk: Chunk) -> None:
    """Videos that the chunk had and has no more: no bytes, and a problem that says so."""
    there = {row.video_id for row in chunk.videos}
    for video_id, row in state.items():
        if video_id not in there and row.uri is not None and _owns(chunk.source, row):
            text = f"MISSING_FILE: {row.member} is no longer in {row.chunk}"
            state[video_id] = replace(
                row,
                uri=None,
                member=None,
                offset=None,
                length=None,
                packing=None,
                crc32=None,
                size=None,
                fingerprint=None,
                problems=(*(problem for problem in row.problems if code(problem) != "MISSING_FILE"), text),
            )


def _others(row: Video) -> list[Other]:
    return [Other(**json.loads(problem.partition(": ")[2])) for problem in row.problems if code(problem) in RELATIONS]


def _own_label(row: Video) -> str | None:
    """The label that the row's own chunk gives, which a contradiction has taken out of the column."""
    for problem in row.problems:
        if _contradicts(problem):
            label = json.loads(problem.partition(": ")[2])[0][1]
            return str(label) if label else None
    return row.label


def _contradicts(problem: str) -> bool:
    """Whether it lists the labels that chunks give; a folder of crops may also contradict itself, in words."""
    return problem.startswith(f"{CONFLICT}: [")


def crops_folder(row: Video) -> str | None:
    """The folder that a video's ready-cut crops are taken from: its own, or the first that also has some."""
    if row.packing == "crops":
        return row.uri
    return next((other.uri for other in _others(row) if other.rank == 1), None)


def _rank(row: Video) -> int:
    """2: its bytes are there, 1: ready-cut crops of it, 0: it is only named."""
    if row.uri is None:
        return 0
    return 1 if row.packing == "crops" else 2


def _same_bytes(one: Video, two: Video | Other) -> bool:
    """By CRC and size where both have them, else by size: file etags of two places can't be compared."""
    if one.crc32 is not None and two.crc32 is not None and one.crc32 != two.crc32:
        return False
    return one.size == two.size
