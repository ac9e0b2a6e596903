"""Data set layouts: description of videos by their paths and by the files beside them.

A layout is a module of this package that defines ``PART``, a :class:`Layout`, and one line in
:data:`dflib.parts.catalog.LAYOUTS`.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from dflib.parts import catalog
from dflib.sources import names
from dflib.sources.labels import Claim, Labels

AUTO = "auto"
"""Value of ``sources.layout`` that tries all layouts."""


@dataclass(frozen=True)
class Clip:
    """The description of one video by a layout.  All paths are below the data set and without the video's ending.

    Attributes:
        path: identifies the video: ``video_id`` is the data set and this; None: its path in the chunk.
        label: REAL, FAKE, or None when unknown.
        original: path of the clip that a fake was made from.
        group: the source group; None: the original, or the video itself.
        split: train, validation or test, where the data set defines it.
        manipulation: the method of a fake, such as ``Deepfakes``.
        compression: the compression level, such as ``c23``.
        listed: label, original and split come from a file that lists them.  They take precedence over those that
            another layout derives from names.
        problems: ``CODE: text``, one for each statement that cannot be used.
    """

    path: str | None = None
    label: str | None = None
    original: str | None = None
    group: str | None = None
    split: str | None = None
    manipulation: str | None = None
    compression: str | None = None
    listed: bool = False
    problems: tuple[str, ...] = ()


@dataclass(frozen=True)
class SideFiles:
    """A layout's side files in a chunk, by the path of their folder; None for a file that cannot be read."""

    by_folder: Mapping[str, Labels | None] = field(default_factory=dict)

    def nearest(self, path: str) -> str | None:
        """The innermost folder above ``path`` that holds a side file; None when there is none."""
        folder = names.parent(path)
        while folder not in self.by_folder:
            if not folder:
                return None
            folder = names.parent(folder)
        return folder


def listed(path: str, claim: Claim, *problems: str) -> Clip:
    """The description of a video from its entry in a list; ``path`` is below the data set."""
    return Clip(
        names.stem(path),
        claim.label,
        claim.original,
        split=claim.split,
        listed=True,
        problems=(*problems, *claim.problems),
    )


def absent(name: str, where: str, reason: str | None) -> str:
    """The problem of a video that a file lists and that has no bytes.

    Args:
        name: as listed.
        where: the file that lists it.
        reason: code of the reason why the file of that name was left out; None: there is no such file.
    """
    if reason:
        return f"{reason}: {name} is listed in {where} and exists, but was left out"
    return f"MISSING_FILE: {name} is listed in {where} but does not exist"


def _no_clips(side_files: SideFiles, videos: Collection[str], left_out: Mapping[str, str]) -> list[Clip]:
    return []


def _all_clips(path: str) -> str | None:
    return None


@dataclass(frozen=True)
class Layout:
    """A data set layout.

    Attributes:
        describe: from a video's path and the side files of its chunk to its description; None when the path does
            not follow the layout.  The path is the URI of a file, or the name of a zip's member, so it may
            start above the data set or, in a zip, below it.  Paths are in Unicode's composed form.
        side_file: name of a file, compared without case, that is read wherever it lies in a chunk; None: paths alone
            are enough.
        parse: from the content of a side file, its URI or path for messages, and the largest number of entries, to its
            entries.  Raises :class:`~dflib.errors.SourceError` for a file that cannot be used.
        own_chunk: whether a folder with a side file is one chunk, whatever folder it was found through.
        missing: from the side files, the paths of a chunk's videos, and the codes of the reasons why its other files
            are no videos, by path, to the videos that the side files name and the chunk lacks (:func:`absent`).
            Each becomes a row without bytes.
        not_a_clip: from a video's path to what it is where it is no clip of the data set; None where it may be one.
        from_chunk: whether ``describe`` gets a path that starts with the chunk's name, not above it, so that folders
            above the data set mean nothing.
    """

    describe: Callable[[str, SideFiles], Clip | None]
    side_file: str | None = None
    parse: Callable[[bytes, str, int], Labels] | None = None
    own_chunk: bool = False
    missing: Callable[[SideFiles, Collection[str], Mapping[str, str]], list[Clip]] = _no_clips
    not_a_clip: Callable[[str], str | None] = _all_clips
    from_chunk: bool = False


def load(setting: str) -> list[Layout]:
    """The layouts that ``sources.layout`` selects: the named one, or for ``auto`` all, in the order of the catalog."""
    selected = catalog.LAYOUTS.names if setting == AUTO else (setting,)
    return [catalog.LAYOUTS.load(name) for name in selected]
