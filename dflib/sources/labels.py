"""Labels that a file lists: the common form, and the labels CSV.  Such files are untrusted input."""

import csv
import io
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from dflib.errors import SourceError
from dflib.sources.names import shown, split_name, stem, unsafe

CSV_NAME = "labels.csv"
MAX_BYTES = 64 << 20
"""Largest side file or labels CSV that is read; those of the Deepfake Detection Challenge have 0.2 MB."""
UNLISTED = "NO_METADATA_ENTRY: the labels file of its folder does not list it"
_LABELS = ("REAL", "FAKE")


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
    """The claims of one file by the video's name in it, and ``CODE: text`` for each name that cannot be used."""

    claims: dict[str, Claim]
    problems: list[str] = field(default_factory=list)


def claim_of(entry: dict[str, Any]) -> Claim:
    """The claim of an entry with the optional keys ``label``, ``original`` and ``split``; nothing is guessed."""
    problems = []
    label = entry.get("label")
    if not isinstance(label, str) or label not in _LABELS:
        problems.append(f"UNKNOWN_LABEL: {shown(str(label))} is neither REAL nor FAKE")
        label = None
    original = entry.get("original")
    if original is not None and (not isinstance(original, str) or unsafe(original)):
        problems.append(f"BAD_METADATA: original {shown(str(original))} is not the name of a video")
        original = None
    split = entry.get("split")
    if split is not None and (not isinstance(split, str) or split_name(split) is None):
        problems.append(f"BAD_METADATA: split {shown(str(split))} is not train, validation or test")
        split = None
    return Claim(label, stem(original) if original else None, split_name(split) if split else None, tuple(problems))


def parse_csv(content: bytes, where: str) -> Labels:
    """Reads a CSV with the columns ``video``, ``label`` and optionally ``original``, in any order.

    Other columns are ignored.  Labels are compared without case.

    Raises:
        SourceError: the file is not UTF-8 or not CSV, the header is wrong, or a line is incomplete or repeats a
            video; the message names the line.
    """
    try:
        rows = csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True)
        header = [name.strip().lower() for name in next(rows, [])]
        missing = [name for name in ("video", "label") if name not in header]
        if missing or len(set(header)) != len(header):
            raise SourceError(
                f"{where}: line 1: the header must contain video and label (optionally original), each once; "
                f"it is {shown(','.join(header))}"
            )
        labels = Labels({})
        for row in rows:
            if row:
                _add_row(labels, dict(zip(header, row, strict=False)), len(row) == len(header), where, rows.line_num)
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise SourceError(f"{where}: line {line}: not UTF-8; save the file as UTF-8") from None
    except csv.Error as error:
        raise SourceError(f"{where}: line {rows.line_num}: {error}") from None
    return labels


def by_path(labels: Labels, paths: Collection[str]) -> Labels:
    """The claims of a CSV under the paths of the videos that they mean: a path or a file name, with or without ending.

    A bare file name that occurs in several folders matches none of them.
    """
    named: dict[str, list[str]] = {}
    for path in paths:
        for name in {path, stem(path), path.rpartition("/")[2], stem(path.rpartition("/")[2])}:
            named.setdefault(name, []).append(path)
    claims = dict(labels.claims)
    for name, claim in labels.claims.items():
        matches = named.get(name, [])
        exact = [path for path in matches if name in (path, stem(path))]
        if len(exact or matches) == 1:
            del claims[name]
            claims[(exact or matches)[0]] = claim
    return Labels(claims, labels.problems)


def _add_row(labels: Labels, row: dict[str, str], complete: bool, where: str, line: int) -> None:
    if not complete:
        raise SourceError(f"{where}: line {line}: the number of fields differs from the header's")
    video = row["video"].strip()
    reason = unsafe(video)
    if reason:
        raise SourceError(f"{where}: line {line}: video {shown(video)} {reason}")
    if video in labels.claims:
        raise SourceError(f"{where}: line {line}: video {shown(video)} occurs twice; keep one line")
    entry = {"label": row["label"].strip().upper(), "original": row.get("original", "").strip() or None}
    labels.claims[video] = claim_of(entry)
