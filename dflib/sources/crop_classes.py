"""The class of a ready-cut crop, which is the name of a folder, and what to say of folders that name no class."""

from collections import Counter
from collections.abc import Iterable

from dflib.config import SourcesConfig
from dflib.sources import names

_WORDS = {
    "REAL": {
        *("authentic", "bonafide", "bona_fide", "genuine", "live", "original", "originals", "original_sequences"),
        *("pristine", "real", "reals", "unaltered", "youtube"),
    },
    "FAKE": {
        *("altered", "deepfake", "deepfakes", "df", "face2face", "faceshifter", "faceswap", "fake", "fakes", "forged"),
        *("generated", "gan", "manipulated", "manipulated_sequences", "neuraltextures", "spoof", "swapped"),
        *("synthesis", "synthetic", "tampered"),
    },
}
"""Folder names of published data sets.  They are only suggested: a user decides what they mean."""
MAX_NAMED = 20
"""Most folders that an error names."""


def label_of(path: str, sources: SourcesConfig) -> str | None:
    """REAL or FAKE by the innermost folder of a path that is named for a class; None when none is."""
    real, fake = ({word.lower() for word in words} for words in (sources.crop_real, sources.crop_fake))
    for part in reversed(path.split("/")[:-1]):
        if part.lower() in real | fake:
            return "REAL" if part.lower() in real else "FAKE"
    return None


def unread_folders(unread: Iterable[str], read: Iterable[str]) -> dict[str, list[str]]:
    """Paths of no class by folder, in name order.

    The folder is the innermost one with a well-known word for a class, else the outermost from which nothing was read.

    Args:
        unread: paths without a class.
        read: paths with one.

    Returns:
        Paths by folder.  The folder is ``""`` for files that lie in none.
    """
    touched = {folder for path in read for folder in _folders(path)}
    known = set().union(*_WORDS.values())
    folders: dict[str, list[str]] = {}
    for path in sorted(unread):
        around = _folders(path)
        worded = [folder for folder in around if folder.rpartition("/")[2].lower() in known]
        # A file directly beside folders that were read has no folder of its own.
        untouched = [folder for folder in around if folder not in touched]
        folder = worded[-1] if worded else untouched[0] if untouched else names.parent(path)
        folders.setdefault(folder, []).append(path)
    return folders


def _folders(path: str) -> list[str]:
    """The folders of a path, the outermost first."""
    return [path[:place] for place, mark in enumerate(path) if mark == "/"]


def hint(folders: Iterable[str], sources: SourcesConfig, missing: str | None = None) -> str:
    """The settings that would read folders whose names are well-known words for a class; empty when there are none.

    Args:
        folders: folders that were not read.
        sources: the present settings.
        missing: REAL or FAKE, if only folders of this class are wanted.
    """
    found: dict[str, Counter[str]] = {"REAL": Counter(), "FAKE": Counter()}
    for folder in folders:
        for part in folder.lower().split("/"):
            for label, words in _WORDS.items():
                found[label][part] += part in words
    settings = []
    for key, label, now in (("crop_real", "REAL", sources.crop_real), ("crop_fake", "FAKE", sources.crop_fake)):
        more = [word for word, count in sorted(found[label].items()) if count]
        if more and missing in (None, label):
            settings.append(f"sources.{key}={','.join([*now, *more])}")
    return " ".join(settings)


def named(folders: dict[str, list[str]]) -> str:
    """The folders of :func:`unread_folders` with their numbers of images, for a message."""
    parts = [
        f"{names.shown(folder) if folder else 'the top'} ({len(paths):,} images)" for folder, paths in folders.items()
    ]
    more = f" and {len(parts) - MAX_NAMED} more folders" if len(parts) > MAX_NAMED else ""
    return ", ".join(parts[:MAX_NAMED]) + more
