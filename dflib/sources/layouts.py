"""What names say: which files are videos, which names are safe, which id a path gives, FaceForensics++ folders."""

import re
from dataclasses import dataclass
from pathlib import PurePosixPath

VIDEO_ENDINGS = (".mp4", ".avi", ".mov", ".mkv", ".webm")
_FFPP = re.compile(
    r"(?:^|/)(?P<kind>original|manipulated)_sequences/(?P<method>[^/]+)/(?P<compression>[^/]+)/videos/(?P<stem>[^/]+)$"
)
_SPLITS = {"train": "train", "validation": "validation", "val": "validation", "test": "test"}


@dataclass(frozen=True)
class Layout:
    """What a FaceForensics++ path says of a clip; ids are below the data set."""

    path: str
    label: str
    original: str | None
    group: str
    manipulation: str | None
    compression: str


def is_video(path: str) -> bool:
    """Whether a path ends like a video. Hidden files and the ``__MACOSX`` twins of zips made on a Mac are none."""
    parts = path.split("/")
    return path.lower().endswith(VIDEO_ENDINGS) and "__MACOSX" not in parts and not parts[-1].startswith(".")


def stem(path: str) -> str:
    """The path without a video's ending."""
    for ending in VIDEO_ENDINGS:
        if path.lower().endswith(ending):
            return path[: -len(ending)]
    return path


def unsafe(name: str) -> str | None:
    """Why a name that came from outside can't be used as a path or an id; None when it can."""
    reason = None
    if not name or len(name) > 1024:
        reason = f"{len(name)} characters long"
    elif any(ord(mark) < 32 or 0x7F <= ord(mark) < 0xA0 or 0xD800 <= ord(mark) < 0xE000 for mark in name):
        reason = "holds control characters or is not UTF-8"
    elif "\\" in name:
        reason = "holds a backslash"
    elif name.startswith("/") or re.match(r"[A-Za-z]:/", name):
        reason = "is absolute"
    elif any(part in ("", ".", "..") for part in name.split("/")):
        reason = "holds an empty part, . or .."
    return reason


def shown(name: str) -> str:
    """An outside name as it may stand in a message: escaped, and cut to 120 characters."""
    text = ascii(name)
    return text if len(text) <= 120 else text[:117] + "..."


def parent(path: str) -> str:
    """The folder of a path; empty at the top."""
    return path.rpartition("/")[0]


def common_top(paths: list[str]) -> str:
    """The one top folder that all paths lie in, or an empty text."""
    tops = {path.split("/")[0] if "/" in path else "" for path in paths}
    return tops.pop() if len(tops) == 1 else ""


def below(path: str, folder: str) -> str:
    """A path as seen from a folder that it lies in; as it is, when it lies elsewhere."""
    return path.removeprefix(folder + "/") if folder else path


def split_name(text: str) -> str | None:
    """``train``, ``validation`` or ``test`` for a word that means it, without case."""
    return _SPLITS.get(text.lower())


def split_of(path: str) -> str | None:
    """Split named by the nearest folder of a path that names one."""
    named = (split_name(part) for part in reversed(PurePosixPath(path).parts[:-1]))
    return next((split for split in named if split), None)


def ffpp(path: str) -> Layout | None:
    """What a path of FaceForensics++ says (``manipulated_sequences/<method>/<compression>/videos/<target>_<source>``).

    The original of a manipulated clip is its target at the same compression; the group leaves the compression
    out, so that two compressions of one clip never part.  None for any other path.
    """
    found = _FFPP.search(path)
    if not found:
        return None
    method, compression, clip = found["method"], found["compression"], stem(found["stem"])
    name = f"{method}/{compression}/{clip}"
    if found["kind"] == "original":
        return Layout(name, "REAL", None, f"{method}/{clip}", None, compression)
    target = re.fullmatch(r"(\d{3})_\d{3}", clip)
    if not target:
        # Google's DeepFakeDetection clips lie in the same folders but name their original in another way.
        return Layout(name, "FAKE", None, f"{method}/{clip}", method, compression)
    original = f"youtube/{compression}/{target[1]}"
    return Layout(name, "FAKE", original, f"youtube/{target[1]}", method, compression)
