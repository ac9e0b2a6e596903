"""What a file lists about videos: the common form of metadata files and labels CSVs.  Such files are untrusted."""

import math
from dataclasses import dataclass, field
from typing import Any

from dflib.sources.names import normal, shown, split_name, stem, unsafe

UNLISTED = "NO_METADATA_ENTRY: the labels file of its folder does not list it"
_LABELS = ("REAL", "FAKE")
_NOTHING = ("", "nan", "none", "null", "<na>", "n/a", "na")
"""What pandas and others write where a table has no value, in lower case."""


@dataclass(frozen=True)
class Claim:
    """The entry of one video in a list of videos.

    Attributes:
        label: REAL, FAKE, or None when the entry has neither.
        original: name of the original clip as written, without its ending.
        split: train, validation or test.
        problems: ``CODE: text``, one for each value that cannot be used.
    """

    label: str | None
    original: str | None = None
    split: str | None = None
    problems: tuple[str, ...] = ()


@dataclass(frozen=True)
class Labels:
    """What one file lists.

    Attributes:
        claims: by the video's name in the file, in Unicode's composed form.
        problems: ``CODE: text`` about the file and for each name that cannot be used.
    """

    claims: dict[str, Claim]
    problems: list[str] = field(default_factory=list)


def claim_of(entry: dict[str, Any]) -> Claim:
    """The claim of an entry with the optional keys ``label``, ``original`` and ``split``; nothing is guessed.

    An original that is written as pandas writes a missing value, such as ``nan``, is none.
    """
    problems = []
    label = entry.get("label")
    if not isinstance(label, str) or label not in _LABELS:
        problems.append(f"UNKNOWN_LABEL: {shown(str(label))} is neither REAL nor FAKE")
        label = None
    original = entry.get("original")
    if is_nothing(original):
        original = None
    if original is not None and (not isinstance(original, str) or unsafe(original)):
        problems.append(f"BAD_METADATA: original {shown(str(original))} is not the name of a video")
        original = None
    split = entry.get("split")
    if split is not None and (not isinstance(split, str) or split_name(split) is None):
        problems.append(f"BAD_METADATA: split {shown(str(split))} is not train, validation or test")
        split = None
    return Claim(
        label, stem(normal(original)) if original else None, split_name(split) if split else None, tuple(problems)
    )


def is_nothing(value: object) -> bool:
    """Whether a value stands for none: null, not a number, or a text that pandas writes for it."""
    if isinstance(value, float):
        return math.isnan(value)
    return value is None or (isinstance(value, str) and value.strip().lower() in _NOTHING)
