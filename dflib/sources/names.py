"""Names and paths from outside: which are videos, which are safe to use, how they are taken apart.

Paths are slash-separated text: names of archive members, paths below a folder, or whole URIs.
"""

import re
import unicodedata
from collections.abc import Iterable


def _endings(words: str) -> tuple[str, ...]:
    return tuple(f".{word}" for word in words.split())


VIDEO_ENDINGS = _endings(
    "mp4 m4v mov qt 3gp 3g2 f4v mkv webm avi divx flv wmv asf ogv ogm mxf ts mts m2ts m2t tod mpg mpeg mpe m2p vob mod"
)
"""Endings that make a file a video, whatever its content: of containers that ``extraction.decode.FORMATS`` opens."""

_FIRST_ENDINGS = _endings("mp4 avi mov mkv webm")
OTHER_ENDINGS = _endings(
    "txt md rst pdf doc docx rtf html htm log nfo tex bib json jsonl csv tsv xml yml yaml toml ini cfg xls xlsx "
    "parquet jpg jpeg jpe jfif png gif bmp tif tiff webp heic heif avif svg psd cr2 cr3 nef dng thm srt vtt ass "
    "wav mp3 m4a aac flac opus oga wma mka aif aiff gz bz2 xz zst tar tgz 7z rar md5 sha1 sha256 sfv sig par2 "
    "py pyc ipynb sh bat exe dll so js c h cpp java m r npy npz pkl pt pth h5 hdf5 onnx pb mat db sqlite lmdb"
)
"""Endings of files that are no videos and whose content is not looked at."""

ARCHIVE_ENDING = ".zip"
_SPLITS = {"train": "train", "validation": "validation", "val": "validation", "test": "test"}
_BAD_MARKS = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_ABSOLUTE = re.compile(r"/|[A-Za-z]:/")
_BAD_PART = re.compile(r"(?:^|/)\.{0,2}(?:/|$)")
_ENDING = re.compile(r"\.[A-Za-z0-9_+-]{1,8}$")


def ending(path: str) -> str:
    """The ending of a file's name with its dot, in lower case; empty when there is none."""
    found = _ENDING.search(path.rpartition("/")[2], 1)
    return found[0].lower() if found else ""


def is_hidden(path: str) -> bool:
    """Whether a file or a folder of a relative path is hidden, or belongs to the ``__MACOSX`` copies in macOS zips."""
    return path.startswith(".") or "/." in path or path.startswith("__MACOSX/") or "/__MACOSX/" in path


def stem(path: str) -> str:
    """The path without a video's ending; other endings stay."""
    length = len(ending(path))  # none for a name that is an ending alone
    return path[:-length] if length and path.lower().endswith(VIDEO_ENDINGS) else path


def normal(name: str) -> str:
    """A name in Unicode's composed form (NFC): macOS decomposes names in archives, and metadata files do not."""
    return name if name.isascii() else unicodedata.normalize("NFC", name)


def unsafe(name: str) -> str | None:
    """The reason why an outside name cannot be used as a path or an identifier; None when it can."""
    reason = None
    if not name or len(name) > 1024:
        reason = f"is {len(name)} characters long; 1 to 1024 are allowed"
    elif _BAD_MARKS.search(name):
        reason = "contains control characters or is not UTF-8"
    elif "\\" in name:
        reason = "contains a backslash"
    elif _ABSOLUTE.match(name):
        reason = "is absolute"
    elif _BAD_PART.search(name):
        reason = "contains an empty part, . or .."
    return reason


def shown(name: str) -> str:
    """An outside name for a message: quoted, non-ASCII characters escaped, cut to 120 characters."""
    text = ascii(name[:500])
    return text if len(text) <= 120 else text[:117] + "..."


def parent(path: str) -> str:
    """The folder of a path; empty at the top."""
    return path.rpartition("/")[0]


def common_top(files: Iterable[str], videos: Iterable[str]) -> str:
    """The top folder that all videos of an archive share, which is no part of their identifiers; empty if none is.

    Identifiers must never change, so the folder is that of the files which were videos for all versions of dflib, by
    the rules of the first: five endings, no hidden names, but any folders.  Without such files it is ``videos``'.
    """
    first = [path for path in files if _first_rules(path)]
    tops = {path.split("/")[0] if "/" in path else "" for path in first or videos}
    return tops.pop() if len(tops) == 1 else ""


def _first_rules(path: str) -> bool:
    parts = path.split("/")
    return (
        path.lower().endswith(_FIRST_ENDINGS)
        and "__MACOSX" not in parts
        and not parts[-1].startswith(".")
        and not unsafe(path)
    )


def below(path: str, folder: str) -> str:
    """A path relative to a folder; unchanged when it does not lie in that folder."""
    return path.removeprefix(folder + "/") if folder else path


def split_name(text: str) -> str | None:
    """``train``, ``validation`` or ``test`` for a word that means it, ignoring case; None for any other word."""
    return _SPLITS.get(text.lower())


def split_of(path: str) -> str | None:
    """The split named by the innermost folder of a path that names one."""
    named = (split_name(part) for part in reversed(path.split("/")[:-1]))
    return next((split for split in named if split), None)
