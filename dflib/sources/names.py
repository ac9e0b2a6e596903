"""Names and paths from outside: which are videos, which are safe to use, how they are taken apart.

Paths are slash-separated text: names of archive members, paths below a folder, or whole URIs.
"""

import re

VIDEO_ENDINGS = (".mp4", ".avi", ".mov", ".mkv", ".webm")
_SPLITS = {"train": "train", "validation": "validation", "val": "validation", "test": "test"}


def is_video(path: str) -> bool:
    """Whether a path has a video's ending. Hidden files and the ``__MACOSX`` copies in macOS zips do not count."""
    parts = path.split("/")
    return path.lower().endswith(VIDEO_ENDINGS) and "__MACOSX" not in parts and not parts[-1].startswith(".")


def stem(path: str) -> str:
    """The path without a video's ending; other endings stay."""
    for ending in VIDEO_ENDINGS:
        if path.lower().endswith(ending):
            return path[: -len(ending)]
    return path


def unsafe(name: str) -> str | None:
    """The reason why an outside name cannot be used as a path or an identifier; None when it can."""
    reason = None
    if not name or len(name) > 1024:
        reason = f"is {len(name)} characters long; 1 to 1024 are allowed"
    elif any(ord(mark) < 32 or 0x7F <= ord(mark) < 0xA0 or 0xD800 <= ord(mark) < 0xE000 for mark in name):
        reason = "contains control characters or is not UTF-8"
    elif "\\" in name:
        reason = "contains a backslash"
    elif name.startswith("/") or re.match(r"[A-Za-z]:/", name):
        reason = "is absolute"
    elif any(part in ("", ".", "..") for part in name.split("/")):
        reason = "contains an empty part, . or .."
    return reason


def shown(name: str) -> str:
    """An outside name for a message: quoted, non-ASCII characters escaped, cut to 120 characters."""
    text = ascii(name)
    return text if len(text) <= 120 else text[:117] + "..."


def parent(path: str) -> str:
    """The folder of a path; empty at the top."""
    return path.rpartition("/")[0]


def common_top(paths: list[str]) -> str:
    """The top folder that all paths share; empty when they share none."""
    tops = {path.split("/")[0] if "/" in path else "" for path in paths}
    return tops.pop() if len(tops) == 1 else ""


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
