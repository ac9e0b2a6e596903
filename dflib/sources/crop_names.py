"""Patterns of ready-cut crops' file names, such as ``<video>-<frame>-<face>`` or ``<video>[_<original>]_<k>``."""

import re
from dataclasses import dataclass

from dflib.errors import ConfigError

_PARTS = {
    # Nine digits fit the table's int32.
    "frame": r"\d{1,9}",
    "face": r"\d{1,9}",
    "k": r"\d{1,9}",
    # The shortest that lets the rest match, so that <video>_<original> parts at the first underscore.
    "video": r"[^/]+?",
    "original": r"[^/]+?",
}
_TOKENS = re.compile(r"<([^<>]*)>|([\[\]])|([^<>\[\]]+)|(.)")


@dataclass(frozen=True)
class CropName:
    """What a crop's file name says. A name without frame and face is frame 0, face 0."""

    video: str
    original: str | None
    frame: int
    face: int


class CropPattern:
    """A compiled ``sources.crop_pattern``."""

    def __init__(self, pattern: str) -> None:
        """Compiles it.

        Raises:
            ConfigError: unknown, repeated or missing parts, or brackets that don't pair.
        """
        self._regex = re.compile(_translate(pattern))

    def parse(self, name: str) -> CropName | None:
        """What a file name without its ending says; None when it does not follow the pattern."""
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
        return ConfigError(f"sources.crop_pattern {pattern!r}: {reason}; it is made of text, {known} and [...]")

    regex, used, optional = "", set[str](), False
    for token in _TOKENS.finditer(pattern):
        part, bracket, text, stray = token.groups()
        if part is not None:
            if part not in _PARTS or part in used:
                raise refuse(f"<{part}> stands there twice" if part in used else f"<{part}> is unknown")
            used.add(part)
            regex += f"(?P<{part}>{_PARTS[part]})"
        elif bracket:
            if optional == (bracket == "["):
                raise refuse("brackets do not pair, or stand in each other")
            optional = bracket == "["
            regex += "(?:" if optional else ")?"
        elif text:
            regex += re.escape(text)
        else:
            raise refuse(f"a stray {stray!r}")
    if optional:
        raise refuse("a bracket is not closed")
    if "video" not in used:
        raise refuse("<video> is missing")
    if {"frame", "k"} <= used:
        raise refuse("<k> counts as a frame, so it can't stand beside <frame>; use <face>")
    return regex
