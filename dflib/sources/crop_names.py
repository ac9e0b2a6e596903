"""Patterns of the file names of ready-cut crops, such as ``<video>-<frame>-<face>`` or ``<video>[_<original>]_<k>``."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from dflib.errors import ConfigError

_PARTS = {
    # Nine digits fit the table's int32.
    "frame": r"\d{1,9}",
    "face": r"\d{1,9}",
    "k": r"\d{1,9}",
    # Non-greedy, so that <video>_<original> is divided at the first underscore.
    "video": r"[^/]+?",
    "original": r"[^/]+?",
}
_TOKENS = re.compile(r"<([^<>]*)>|([\[\]])|([^<>\[\]]+)|(.)")


@dataclass(frozen=True)
class CropName:
    """The parts of a crop's file name.  Frame and face are 0 where the name has none."""

    video: str
    original: str | None
    frame: int
    face: int


class CropPattern:
    """A compiled ``sources.crop_pattern``."""

    def __init__(self, pattern: str) -> None:
        """
        Raises:
            ConfigError: a part is unknown, repeated or missing, or brackets are not balanced.
        """
        self._regex = re.compile(_translate(pattern))

    def parse(self, name: str) -> CropName | None:
        """The parts of a file name without its ending; None when it does not follow the pattern."""
        found = self._regex.fullmatch(name)
        if not found:
            return None
        parts = found.groupdict()
        return CropName(
            parts["video"],
            parts.get("original"),
            int(parts.get("frame") or parts.get("k") or 0),
            int(parts.get("face") or 0),
        )


_KNOWN = (
    "<video>.mp4_<face>_<frame>",
    "<video>-<frame>-<face>",
    "<video>_<frame>_<face>",
    "<video>[_<original>]_<k>",
    "<video>-<k>",
    "<video>",
)
"""Patterns of published data sets and of common tools, the most particular first."""
_MIN_SHARE = 0.5
"""Share of the names below which a pattern is not suggested."""


def suggestion(stems: Sequence[str]) -> str:
    """What to set ``sources.crop_pattern`` to for names that do not follow it, as the end of a message.

    Args:
        stems: at least one file name without its ending.  The pattern that gives most of them a face of their own is
            suggested; where names tell no faces apart, the video is named by a folder, which no pattern can express.
    """
    tried = [(pattern, *_parse_all(pattern, stems)) for pattern in _KNOWN]
    best, following, faces = max(tried, key=lambda one: len(one[2]))
    if len(faces) < _MIN_SHARE * len(stems):
        return (
            "no known pattern gives most of them a face of their own; describe them with sources.crop_pattern, and "
            "begin each name with that of its video"
        )
    name, stem = next(iter(faces.items()))
    parts = [f"video {name.video!r}"]
    parts += [f"original {name.original!r}"] if name.original else []
    parts += [f"frame {name.frame}, face {name.face}"]
    return (
        f"{following:,} of them ({following / len(stems):.0%}) follow sources.crop_pattern='{best}', which would make "
        f"{', '.join(parts)} of {stem!r}: set it if that is right"
    )


def _parse_all(text: str, stems: Sequence[str]) -> tuple[int, dict[CropName, str]]:
    """How many names follow a pattern, and the faces that they are, each with its first name."""
    pattern, faces, following = CropPattern(text), dict[CropName, str](), 0
    for stem in stems:
        name = pattern.parse(stem)
        if name is not None:
            following += 1
            faces.setdefault(name, stem)
    return following, faces


def _translate(pattern: str) -> str:
    def refuse(reason: str) -> ConfigError:
        known = ", ".join(f"<{part}>" for part in _PARTS)
        return ConfigError(f"sources.crop_pattern {pattern!r}: {reason}; write text, {known} and [...]")

    regex, used, optional = "", set[str](), False
    for token in _TOKENS.finditer(pattern):
        part, bracket, text, stray = token.groups()
        if part is not None:
            if part not in _PARTS or part in used:
                raise refuse(f"<{part}> occurs twice" if part in used else f"<{part}> is unknown")
            used.add(part)
            regex += f"(?P<{part}>{_PARTS[part]})"
        elif bracket:
            if optional == (bracket == "["):
                raise refuse("brackets are unbalanced or nested")
            optional = bracket == "["
            regex += "(?:" if optional else ")?"
        elif text:
            regex += re.escape(text)
        else:
            raise refuse(f"unmatched {stray!r}")
    if optional:
        raise refuse("a bracket is not closed")
    if "video" not in used:
        raise refuse("<video> is missing")
    if {"frame", "k"} <= used:
        raise refuse("<k> is used as frame, so it excludes <frame>; use <face>")
    return regex
