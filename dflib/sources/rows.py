"""Rows of ``videos``: the files of a chunk combined with what layouts and labels say of them."""

from dataclasses import dataclass, field

from dflib.sources import names
from dflib.sources.chunk import Chunk, Video
from dflib.sources.labels import UNLISTED, Claim, Labels
from dflib.sources.layouts import Clip, Layout, SideFiles, listed


@dataclass(frozen=True)
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
        """The path that layouts see: the URI of a file, the name of a zip's member."""
        return self.uri if self.packing == "file" and self.uri else self.name


@dataclass
class Descriptions:
    """What describes the videos of a chunk.

    Attributes:
        layouts: the layouts that may apply, in their order, each with its side files in the chunk.
        required: name of the layout that each video must follow; None: a video may follow any or none.
        labels: the labels CSV, its claims by the videos' names in the chunk; None: there is none.
        labels_complete: whether a line of the CSV without a video means that the video is missing, not that it is
            stored elsewhere.
    """

    layouts: list[tuple[Layout, SideFiles]] = field(default_factory=list)
    required: str | None = None
    labels: Labels | None = None
    labels_complete: bool = True


def add_videos(chunk: Chunk, dataset: str, files: list[VideoFile], descriptions: Descriptions) -> None:
    """Adds to ``chunk`` a row for each file and for each video that is listed but missing.

    The first layout that describes a video gives its identifier, source group, manipulation and compression; label,
    original and split come from the first that lists them in a file, else from the same layout.  Without a layout
    the identifier is the path in the chunk, below the top folder that all files of an archive share.  Of two files
    with one identifier the first by name is kept, and the other becomes a problem of the chunk.
    """
    top = names.common_top([file.name for file in files]) if chunk.source.kind == "zip" else ""
    csv = descriptions.labels
    rows: dict[str, Video] = {}
    for file in sorted(files, key=lambda file: file.name):
        clips = [
            clip
            for layout, side_files in descriptions.layouts
            if (clip := layout.describe(file.path, side_files)) is not None
        ]
        problems = list(file.problems)
        if file.size == 0:
            problems.append("EMPTY_FILE: contains no bytes")
        if descriptions.required and not clips:
            problems.append(f"NOT_IN_LAYOUT: its path does not follow the layout {descriptions.required}")
        clips = clips or [Clip(names.stem(names.below(file.name, top)))]
        if csv:
            claim = csv.claims.get(file.name)
            clips.append(listed(file.name, claim) if claim else listed(file.name, Claim(None), UNLISTED))
        _keep(chunk, rows, _row(chunk, dataset, file, clips, problems))
    paths, members = {file.path for file in files}, {file.name for file in files}
    missing = [clip for layout, side_files in descriptions.layouts for clip in layout.missing(side_files, paths)]
    unused = sorted((name, claim) for name, claim in csv.claims.items() if name not in members) if csv else []
    if descriptions.labels_complete:
        problem = "MISSING_FILE: {} is listed in the labels file but does not exist"
        missing += [listed(name, claim, problem.format(name)) for name, claim in unused]
    elif unused:
        chunk.problems.append(
            f"UNUSED_LABELS: {len(unused)} lines of the labels file match no video here; the first is {unused[0][0]}"
        )
    for clip in missing:
        _keep(chunk, rows, _row(chunk, dataset, None, [clip], []))
    if not rows and not chunk.problems:
        chunk.problems.append("NO_VIDEOS: contains no file with a video's ending")
    chunk.videos = list(rows.values())


def _row(chunk: Chunk, dataset: str, file: VideoFile | None, clips: list[Clip], problems: list[str]) -> Video:
    clip = clips[0]
    labelled = next((clip for clip in clips if clip.listed), clip)
    video_id = f"{dataset}/{clip.path}"
    original = f"{dataset}/{labelled.original}" if labelled.original else None
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
        label=labelled.label,
        original=original,
        source_group=f"{dataset}/{clip.group}" if clip.group else original or video_id,
        given_split=labelled.split,
        manipulation=clip.manipulation,
        compression=clip.compression,
        problems=(*problems, *(problem for clip in clips for problem in clip.problems)),
    )


def _keep(chunk: Chunk, rows: dict[str, Video], row: Video) -> None:
    kept = rows.setdefault(row.video_id, row)
    if kept is not row:
        duplicate = row.member or "an entry of the labels file"
        chunk.problems.append(
            f"DUPLICATE: {duplicate} has the id {row.video_id}, as {kept.member} does; it is left out"
        )
