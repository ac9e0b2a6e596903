"""Files and claims brought together: one row a video, nothing guessed."""

from dataclasses import dataclass, field

from dflib.sources import layouts
from dflib.sources.labels import Claim, Labels
from dflib.sources.model import Chunk, Video


@dataclass(frozen=True)
class Found:
    """A video file of a chunk: its name in the chunk and where its bytes are."""

    name: str
    uri: str | None
    offset: int | None
    length: int | None
    packing: str | None
    crc32: int | None
    size: int
    fingerprint: str | None
    problems: tuple[str, ...] = ()


@dataclass
class Claims:
    """The labels files of a chunk.

    Attributes:
        roots: by folder, what its labels file says; None when it can't be read.
        complete: whether a claim without a file is a video that is missing, not one that lies elsewhere.
    """

    roots: dict[str, Labels | None] = field(default_factory=dict)
    complete: bool = True


def add_videos(chunk: Chunk, dataset: str, files: list[Found], claims: Claims) -> None:
    """Gives ``chunk`` a row for each file and for each claimed file that is missing.

    A ``video_id`` is the data set and the path below the nearest folder with a labels file; without any, below
    the one top folder of an archive.  Of two files with one id the first by name is kept, and says so.
    """
    top = layouts.common_top([file.name for file in files]) if chunk.source.kind == "zip" else ""
    unused = {root: dict(labels.claims) for root, labels in claims.roots.items() if labels}
    rows: dict[str, Video] = {}
    for file in sorted(files, key=lambda file: file.name):
        root = _root(file.name, claims)
        path = layouts.below(file.name, top if root is None else root)
        labels = claims.roots.get(root) if root is not None else None
        claim = labels.claims.get(path) if labels else None
        problems = list(file.problems)
        if claim:
            unused[root or ""].pop(path, None)
        elif labels:
            problems.append("NO_METADATA_ENTRY: the labels file of its folder does not name it")
        if file.size == 0:
            problems.append("EMPTY_FILE: holds no bytes")
        layout = layouts.ffpp(file.uri if file.packing == "file" and file.uri else file.name)
        _keep(chunk, rows, _row(chunk, dataset, path, file, claim, layout, labels is not None, problems))
    for root, left in unused.items():
        if claims.complete:
            for path, claim in sorted(left.items()):
                text = f"MISSING_FILE: {path} is named by the labels file of {root or 'the chunk'} but is not there"
                _keep(chunk, rows, _row(chunk, dataset, path, None, claim, None, True, [text]))
        elif left:
            chunk.problems.append(
                f"UNUSED_LABELS: {len(left)} lines of the labels file name no video here, first {min(left)}"
            )
    if not rows and not chunk.problems:
        chunk.problems.append("NO_VIDEOS: holds no file that ends like a video")
    chunk.videos = list(rows.values())


def _root(name: str, claims: Claims) -> str | None:
    folder = layouts.parent(name)
    while folder not in claims.roots:
        if not folder:
            return None
        folder = layouts.parent(folder)
    return folder


def _row(
    chunk: Chunk,
    dataset: str,
    path: str,
    file: Found | None,
    claim: Claim | None,
    layout: layouts.Layout | None,
    labelled: bool,
    problems: list[str],
) -> Video:
    video_id = f"{dataset}/{layout.path if layout else layouts.stem(path)}"
    label = original = None
    if claim:
        label, original = claim.label, claim.original and f"{dataset}/{claim.original}"
        problems = [*problems, *claim.problems]
    elif layout and not labelled:
        label, original = layout.label, layout.original and f"{dataset}/{layout.original}"
    return Video(
        video_id=video_id,
        dataset=dataset,
        chunk=chunk.source.name,
        uri=file.uri if file else None,
        member=file.name if file else None,
        offset=file.offset if file else None,
        length=file.length if file else None,
        packing=file.packing if file else None,
        crc32=file.crc32 if file else None,
        size=file.size if file else None,
        fingerprint=file.fingerprint if file else None,
        label=label,
        original=original,
        source_group=f"{dataset}/{layout.group}" if layout else original or video_id,
        given_split=claim.split if claim else None,
        manipulation=layout.manipulation if layout else None,
        compression=layout.compression if layout else None,
        problems=tuple(problems),
    )


def _keep(chunk: Chunk, rows: dict[str, Video], row: Video) -> None:
    kept = rows.setdefault(row.video_id, row)
    if kept is not row:
        other = row.member or "an entry of the labels file"
        chunk.problems.append(f"DUPLICATE: {other} gives the id {row.video_id}, as {kept.member} does; it is left out")
