"""Folders that are named for the class of the videos in them: ``REAL/`` and ``FAKE/``, in any case, at any depth."""

from dflib.sources.layouts import Clip, Layout, SideFiles
from dflib.sources.names import split_of

_CLASSES = ("REAL", "FAKE")


def describe(path: str, side_files: SideFiles) -> Clip | None:
    """The label by the folders of a path; None where no folder is named for a class, or folders contradict.

    Identifiers stay those of a folder without a layout, so that videos which were ingested earlier keep theirs.
    """
    classes = {part.upper() for part in path.split("/")[:-1]} & set(_CLASSES)
    return Clip(label=classes.pop(), split=split_of(path)) if len(classes) == 1 else None


PART = Layout(describe, from_chunk=True)
