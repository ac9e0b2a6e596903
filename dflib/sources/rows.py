"""Rows of ``videos``: the files of a chunk combined with what layouts and labels say of them."""

from dataclasses import dataclass, field, replace

from dflib.errors import SourceError
from dflib.sources import names
from dflib.sources.chunk import Chunk, Same, Video
from dflib.sources.labels import UNLISTED, Claim
from dflib.sources.layouts import Clip, Layout, SideFiles, listed
from dflib.sources.listing import LabelsCsv, match


@dataclass(frozen=True, slots=True)
class VideoFile:
    """A video file of a chunk: its name in the chunk and where its bytes are (None: they cannot be read)."""

    name: str
    uri: str | None
    offset: int | None
    length: int | None
    packing: str | None
    crc32: int | None
    size: int
    fingerprint: str | None
    problems: tuple[str, ...] = ()

    @property
    def path(self) -> str:
        """The path that layouts see: the URI of a file, the name of a zip's member, in Unicode's composed form."""
        return names.normal(self.uri if self.packing == "file" and self.uri else self.name)


@dataclass
class Descriptions:
    """What describes the videos of a chunk.

    Attributes:
        layouts: the layouts that may apply, in their order, each with its side files in the chunk.
        required: name of the layout that each video must follow; None: a video may follow any or none.
        tables: the labels CSVs.
    """

    layouts: list[tuple[Layout, SideFiles]] = field(default_factory=list)
    required: str | None = None
    tables: list[LabelsCsv] = field(default_factory=list)


def add_videos(
    chunk: Chunk, dataset: str, files: list[VideoFile], descriptions: Descriptions, same: Same, top: str = ""
) -> None:
    """Adds to ``chunk`` a row for each file and for each video that is listed but missing.

    The first layout that describes a video gives its identifier, source group, manipulation and compression; label,
    original and split come from the first file that lists them, else from the first layout that gives a label.
    Without a layout the identifier is the path in the chunk, below ``top``.  Of files with one identifier and the same
    bytes, as ``same`` tells, the first by name is kept.

    Raises:
        SourceError: two files with different bytes have one identifier.
        StorageError: two files with one identifier cannot be compared.
    """
    files = sorted(files, key=lambda file: file.name)
    left_out = chunk.account.reasons
    described = {file.name: _described(chunk, file, descriptions) for file in files}
    ids = {
        name: next((clip.path for clip in clips if clip.path is not None), names.stem(names.below(name, top)))
        for name, clips in described.items()
    }
    listing = match(descriptions.tables, ids, left_out)
    rows: dict[str, Video] = {}
    for file in files:
        clips = described[file.name]
        problems = list(file.problems)
        if file.size == 0:
            problems.append("EMPTY_FILE: contains no bytes")
        if descriptions.required and not clips:
            problems.append(f"NOT_IN_LAYOUT: its path does not follow the layout {descriptions.required}")
        listed_as = [listed(file.name, claim) for claim in listing.claims.get(file.name, [])]
        if file.name in listing.covered and not listed_as:
            # A CSV for several chunks takes no label from a video that it does not list.
            owned = file.name in listing.owned
            listed_as.append(replace(listed(file.name, Claim(None), UNLISTED), listed=owned))
        _keep(chunk, rows, _row(chunk, dataset, file, ids[file.name], clips, listed_as, problems), same)
    prefix = "" if chunk.source.kind == "zip" else f"{names.normal(chunk.source.uri)}/"
    paths, others = {file.path for file in files}, {prefix + names.normal(name): why for name, why in left_out.items()}
    for layout, side_files in descriptions.layouts if chunk.source.kind != "file" else ():
        for clip in layout.missing(side_files, paths, others):
            _keep(chunk, rows, _row(chunk, dataset, None, "", [clip], [], []), same)
    for name, claim, problem in listing.missing:
        clip = listed(names.below(name, top), claim, problem)
        own = names.stem(names.below(name, top))
        _keep(chunk, rows, _row(chunk, dataset, None, own, [], [clip], []), same)
    if listing.unused and chunk.source.kind != "file":
        chunk.problems.append(
            f"UNUSED_LABELS: {len(listing.unused)} lines of the labels file match no video here; the first is "
            f"{listing.unused[0]}"
        )
    if not rows and not chunk.problems and not chunk.source.shares_labels:
        chunk.problems.append("NO_VIDEOS: contains no video")
    chunk.videos = list(rows.values())


def _described(chunk: Chunk, file: VideoFile, descriptions: Descriptions) -> list[Clip]:
    """What each layout says of a video."""
    clips = []
    for layout, side_files in descriptions.layouts:
        seen_as = names.normal(f"{chunk.source.name}/{file.name}") if layout.from_chunk else file.path
        if clip := layout.describe(seen_as, side_files):
            clips.append(clip)
    return clips


def _row(
    chunk: Chunk,
    dataset: str,
    file: VideoFile | None,
    own: str,
    described: list[Clip],
    listed_as: list[Clip],
    problems: list[str],
) -> Video:
    """A row.

    Args:
        file: the video; None: it is only listed.
        own: the path that identifies it where no layout does.
        described, listed_as: what layouts and labels CSVs say of it.
        problems: those known so far.
    """
    clips = [*described, *listed_as]
    lists = [clip for clip in clips if clip.listed]
    # Where files list the chunk's videos, names of folders are no labels; but of two lists, one may lack the video.
    candidates = lists or clips or [Clip()]
    labelled = next((clip for clip in candidates if clip.label), candidates[0])
    label = labelled.label
    if len({clip.label for clip in lists if clip.label}) > 1:
        label = None
        problems = [*problems, "LABEL_CONFLICT: metadata and labels files of its chunk say both REAL and FAKE"]
    problems += [text for clip in clips for text in clip.problems if not (label and text == UNLISTED)]
    clip = described[0] if described else Clip()
    path = next((clip.path for clip in described if clip.path is not None), own)
    video_id = names.normal(f"{dataset}/{path}")
    original = names.normal(f"{dataset}/{labelled.original}") if labelled.original else None
    return Video(
        video_id=video_id,
        dataset=dataset,
        chunk=chunk.source.name,
        uri=file.uri if file else None,
        member=file.name if file and chunk.source.kind != "file" else None,
        offset=file.offset if file else None,
        length=file.length if file else None,
        packing=file.packing if file else None,
        crc32=file.crc32 if file else None,
        size=file.size if file else None,
        fingerprint=file.fingerprint if file else None,
        label=label,
        original=original,
        source_group=names.normal(f"{dataset}/{clip.group}" if clip.group else original or video_id),
        given_split=labelled.split,
        manipulation=clip.manipulation,
        compression=clip.compression,
        problems=tuple(problems),
    )


def _keep(chunk: Chunk, rows: dict[str, Video], row: Video, same: Same) -> None:
    has_file = row.size is not None
    kept = rows.setdefault(row.video_id, row)
    if kept is row:
        chunk.account.rows += has_file
    elif not has_file:
        chunk.problems.append(
            f"DUPLICATE: an entry of the labels file has the id {row.video_id}, as "
            f"{kept.member or kept.uri or 'another entry'} does; it is left out"
        )
    elif _is_copy(kept, row, same):
        chunk.account.leave_out("DUPLICATE", "with the id and the bytes of another one", row.member or row.video_id)
    else:
        raise SourceError(
            f"{chunk.source.uri}: nothing was ingested of it: {row.member} and {kept.member} both have the id "
            f"{row.video_id} and differ; rename one of them, or set sources.chunks to the one that counts"
        )


def _is_copy(kept: Video, row: Video, same: Same) -> bool:
    if kept.packing == row.packing == "file":
        return same(kept, row) is True
    return row.fingerprint == kept.fingerprint  # of CRC and size, also of members that cannot be read
