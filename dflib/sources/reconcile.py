"""Reconciles new chunks with the rows of ``videos``: duplicates, contradictions, changed and missing files.

The findings are kept in a row's problems, so that a contradiction is also found when the second chunk comes in a
later run.  What other chunks say of a video is stored there as JSON (``DUPLICATE``: the same bytes,
``DUPLICATE_DIFFERS``: other bytes, ``ALSO``: ready-cut crops, or listed without a file).
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import accumulate

from dflib.errors import StorageError
from dflib.sources.chunk import Chunk, Same, Source, Video, code

RELATIONS = ("DUPLICATE", "DUPLICATE_DIFFERS", "ALSO")
CONFLICT = "LABEL_CONFLICT"
CHANGED = "CHANGED"


@dataclass(frozen=True)
class OtherChunk:
    """A chunk that also has a video whose row comes from another chunk.  The field names are stored in problems."""

    chunk: str
    uri: str
    label: str | None
    crc32: int | None
    size: int | None
    rank: int


@dataclass
class Reconciled:
    """Rows to write (new ones and those that differ from the table), and how many are of which kind.

    Attributes:
        rows: the rows.
        new, changed: number of them without and with a row in the table.
        moved: number of the changed ones that come from another place.
        missing: number of the changed ones that had a file and have none.
    """

    rows: list[Video] = field(default_factory=list)
    new: int = 0
    changed: int = 0
    moved: int = 0
    missing: int = 0


def reconcile(
    known: Mapping[str, Video], chunks: Sequence[Chunk], seen: set[str], same: Same | None = None
) -> Reconciled:
    """Reconciles the chunks, in their order, with the known rows.

    A video stays with the first chunk that has its bytes.  The same chunk with other content updates its rows.  A
    chunk of the same name at another place, with the same bytes and labels, takes the rows over unless the previous
    place is also part of this run, so that chunks may move.  Any chunk that has a video of one that is gone, or whose
    file is, does, too.

    Args:
        known: rows of the table, at least those with an id or a chunk name of ``chunks``.
        chunks: the new and changed chunks, and those that are gone; none of them :func:`clashing`.
        seen: URIs of all chunks of this run, known ones included.
        same: as for :func:`clashing`.
    """
    return _reconcile(known, chunks, seen, same)[0]


def keep_ids(known: Mapping[str, Video], chunks: Sequence[Chunk]) -> None:
    """Gives the videos of chunks that are read again the ids of their rows, in case other rules now make other ids.

    A row is recognised by the place of the bytes.  Names of originals and groups in the chunks change with the ids.

    Args:
        known: as for :func:`reconcile`.
        chunks: the chunks, whose videos are changed.
    """
    ids = {_place(row): row.video_id for row in known.values() if _rank(row) == 2}
    renamed: dict[str, str] = {}
    for chunk in chunks:
        present = {row.video_id for row in chunk.videos}
        for row in chunk.videos:
            before = ids.get(_place(row), row.video_id) if _rank(row) == 2 else row.video_id
            if before not in present:
                renamed[row.video_id] = before
    for chunk in chunks if renamed else ():
        if chunk.source.kind == "crops":  # whose crops are named by the ids
            continue
        chunk.videos[:] = [
            replace(
                row,
                video_id=renamed.get(row.video_id, row.video_id),
                original=renamed.get(row.original or "", row.original),
                source_group=renamed.get(row.source_group, row.source_group),
            )
            for row in chunk.videos
        ]


def clashing(
    known: Mapping[str, Video],
    chunks: Sequence[Chunk],
    seen: set[str],
    same: Same | None = None,
) -> dict[str, str]:
    """The chunks with a video that has the id of a different video of another chunk, and what to do about it.

    Only one of the two could be kept, so nothing of such a chunk is ingested; nor of one that cannot be compared.

    Args:
        known, chunks, seen: as for :func:`reconcile`.
        same: compares two videos of one size, and raises StorageError; None: they are equal.

    Returns:
        The reasons, by the chunk's URI.
    """
    reasons: dict[str, str] = {}
    while True:
        # A chunk that is left out must not clash with others in turn, nor free ids that it had until now.
        rest = [chunk for chunk in chunks if chunk.source.uri not in reasons]
        clashes = _reconcile(known, rest, seen, same)[1]
        if not clashes:
            return reasons
        reasons |= clashes


def _reconcile(
    known: Mapping[str, Video],
    chunks: Sequence[Chunk],
    seen: set[str],
    same: Same | None,
) -> tuple[Reconciled, dict[str, str]]:
    state = dict(known)
    result = Reconciled()
    clashes: dict[str, str] = {}
    before_loss: dict[str, Video] = {}
    for chunk in chunks:
        if chunk.source.gone or chunk.members:
            before_loss |= _mark_missing(state, chunk)
    for chunk in chunks:
        source = chunk.source
        try:
            clash = [
                row for row in chunk.videos if row.video_id in state and _clash(source, state[row.video_id], row, same)
            ]
        except StorageError as error:
            clashes[source.uri] = (
                f"{source.uri}: nothing was ingested of it: it has a video with the id and the size of another "
                f"one, and they cannot be compared: {error}"
            )
            continue
        if clash:
            clashes[source.uri] = _clash_reason(source, clash, state[clash[0].video_id])
            continue
        for row in chunk.videos:
            old = state.get(row.video_id)
            if old is None:
                state[row.video_id] = row
            elif row.video_id in before_loss and _rank(row):
                state[row.video_id] = _updated(before_loss.pop(row.video_id), row, source)
                result.moved += 1
            elif _owns(source, old) or (_rank(row) == 2 and _place(row) == _place(old)):
                if _rank(row) or not _is_left_out(chunk, old):
                    state[row.video_id] = _updated(old, row)
            elif _has_moved(old, row, seen):
                state[row.video_id] = _updated(old, row)
                result.moved += 1
            elif _is_lost(old, row, same):
                state[row.video_id] = _updated(old, row, source)
                result.moved += 1
            else:
                state[row.video_id] = _shared(old, row, source)
    for video_id, row in state.items():
        before = known.get(video_id)
        if row != before:
            result.rows.append(row)
            result.new += before is None
            result.changed += before is not None
            result.missing += before is not None and before.uri is not None and row.uri is None
    return result, clashes


def _clash(source: Source, old: Video, row: Video, same: Same | None) -> bool:
    """Whether another chunk has another video under this id."""
    if not _rank(old) == _rank(row) == 2 or _owns(source, old) or _place(old) == _place(row):
        return False
    if not _same_bytes(old, row):
        return True
    return same is not None and same(old, row) is False


def _is_lost(old: Video, row: Video, same: Same | None) -> bool:
    """Whether the file of a video that another chunk has, too, is not there any more."""
    return same is not None and _rank(old) == _rank(row) == 2 and same(old, row) is None


def _clash_reason(source: Source, rows: Sequence[Video], old: Video) -> str:
    row = rows[0]
    return (
        f"{source.uri}: nothing was ingested of it: {len(rows)} of its videos have the id of a different video of "
        f"another chunk; the first is {row.video_id}: {row.member or 'the file'} of {row.size} bytes, which has "
        f"{old.size} bytes in {_chunk_uri(old)}. Ingest it under another sources.dataset, or rename its videos. If it "
        "replaces the other chunk, delete that one and name both places in sources.chunks"
    )


def other_places(known: Mapping[str, Video], chunks: Sequence[Chunk]) -> set[str]:
    """URIs of other chunks that have a video which its own chunk, one of ``chunks``, has no more."""
    state, lost = dict(known), dict[str, Video]()
    for chunk in chunks:
        if chunk.source.gone or chunk.members:
            lost |= _mark_missing(state, chunk)
    return {other.uri for row in lost.values() for other in _others(row) if other.rank and other.uri}


def _owns(source: Source, row: Video) -> bool:
    return row.chunk == source.name and (row.uri is None or _chunk_uri(row) == source.uri)


def _chunk_uri(row: Video) -> str:
    if row.uri is None:
        return ""
    return row.uri.removesuffix(f"/{row.member}") if row.packing == "file" else row.uri


def _place(row: Video) -> tuple[str | None, str | None]:
    """Where the bytes are.  A file is the same whether it is a chunk or lies in one."""
    return row.uri, None if row.packing == "file" else row.member


def _has_moved(old: Video, row: Video, seen: set[str]) -> bool:
    return (
        old.chunk == row.chunk
        and _chunk_uri(old) not in seen
        and _rank(old) == _rank(row)
        and _same_bytes(old, row)
        and _own_label(old) == row.label
    )


def _updated(old: Video, row: Video, source: Source | None = None) -> Video:
    """The row as its own chunk has it now, with what other chunks say.

    Args:
        source: the chunk, where it was one of the others until now.
    """
    changes = []
    if old.fingerprint and row.fingerprint and old.fingerprint != row.fingerprint:
        changes.append(f"{CHANGED}: was {old.fingerprint}, is {row.fingerprint}")
    if _own_label(old) != row.label:
        changes.append(f"{CHANGED}: label was {_own_label(old)}, is {row.label}")
    changes = changes or [problem for problem in old.problems if code(problem) == CHANGED]
    others = [other for other in _others(old) if source is None or other.uri != source.uri]
    return _with_relations(replace(row, problems=(*row.problems, *changes)), others)


def _shared(old: Video, row: Video, source: Source) -> Video:
    """A video in two chunks: the row comes from the one that has its bytes; if both have them, from the first."""
    # A video that is listed without a file has no URI: its chunk is identified by name.
    others = [other for other in _others(old) if other.uri != source.uri and (other.uri or other.chunk != source.name)]
    if _rank(row) > _rank(old):
        previous = OtherChunk(old.chunk, _chunk_uri(old), _own_label(old), old.crc32, old.size, _rank(old))
        return _with_relations(row, [*others, previous])
    second = OtherChunk(row.chunk, source.uri, row.label, row.crc32, row.size, _rank(row))
    own = tuple(problem for problem in old.problems if code(problem) not in RELATIONS and not _contradicts(problem))
    return _with_relations(replace(old, label=_own_label(old), problems=own), [*others, second])


def _with_relations(row: Video, others: list[OtherChunk]) -> Video:
    """The row with its relations as problems; without a label when the chunks contradict each other."""
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


def _mark_missing(state: dict[str, Video], chunk: Chunk) -> dict[str, Video]:
    """Videos that the chunk no longer has: their rows lose the bytes and get the problem ``MISSING_FILE``.

    Those that it has, but that are left out now, stay as they are.

    Returns:
        The rows as they were.
    """
    present = {row.video_id for row in chunk.videos}
    lost = {}
    for video_id, row in state.items():
        lacks = video_id not in present and row.uri is not None and _owns(chunk.source, row)
        if lacks and not _is_left_out(chunk, row):
            lost[video_id] = row
            text = f"MISSING_FILE: {row.member} is no longer in {row.chunk}"
            if chunk.source.gone:
                text = f"MISSING_FILE: {row.chunk} is gone"
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
    return lost


def _is_left_out(chunk: Chunk, row: Video) -> bool:
    """Whether a video that was ingested is still in its chunk, but left out, or in a folder that cannot be read now."""
    reasons = chunk.account.reasons
    if row.member is None or row.uri is None:
        return False
    if row.member in reasons:
        return reasons[row.member] != "NOT_A_FILE"
    places = accumulate(row.member.split("/")[:-1], lambda folder, part: f"{folder}/{part}")
    return any(reasons.get(place) == "NOT_READABLE" for place in places)


def _others(row: Video) -> list[OtherChunk]:
    return [
        OtherChunk(**json.loads(problem.partition(": ")[2])) for problem in row.problems if code(problem) in RELATIONS
    ]


def _own_label(row: Video) -> str | None:
    """The label that the row's own chunk gives; a contradiction removes it from the column."""
    for problem in row.problems:
        if _contradicts(problem):
            label = json.loads(problem.partition(": ")[2])[0][1]
            return str(label) if label else None
    return row.label


def _contradicts(problem: str) -> bool:
    """Whether a problem lists contradicting labels of chunks; that of one crops folder is plain text instead."""
    return problem.startswith(f"{CONFLICT}: [")


def crops_folder(row: Video) -> str | None:
    """The folder that a video's ready-cut crops are taken from: the row's own, or the first other one that has some."""
    if row.packing == "crops":
        return row.uri
    return next((other.uri for other in _others(row) if other.rank == 1), None)


def _rank(row: Video) -> int:
    """2: the bytes of the video exist, 1: ready-cut crops of it, 0: it is only listed."""
    if row.uri is None:
        return 0
    return 1 if row.packing == "crops" else 2


def _same_bytes(one: Video, two: Video | OtherChunk) -> bool:
    """By CRC and size where both have them, else by size: etags of files at two places are not comparable."""
    if one.crc32 is not None and two.crc32 is not None and one.crc32 != two.crc32:
        return False
    return one.size == two.size
