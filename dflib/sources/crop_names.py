"""Patterns of the file names of ready-cut crops, such as ``<video>-<frame>-<face>`` or ``<video>[_<original>]_<k>``."""

import re
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
