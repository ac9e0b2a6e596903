"""Labels as they come with videos: the challenge's ``metadata.json`` and CSV files. Both are hostile until read."""

import csv
import io
import json
from dataclasses import dataclass, field
from typing import Any

from dflib.errors import SourceError
from dflib.sources.layouts import shown, split_name, stem, unsafe

METADATA_NAME = "metadata.json"
LABELS_NAME = "labels.csv"
MAX_BYTES = 64 << 20
"""Largest metadata or labels file that is read; the challenge's own are 0.2 MB."""
_LABELS = ("REAL", "FAKE")


@dataclass(frozen=True)
class Claim:
    """What a labels file says of one video.

    Attributes:
        label: REAL, FAKE, or None when it says neither.
        original: name of the original clip as written, its ending taken off.
        split: train, validation or test.
        problems: ``CODE: text``, one a part that can't be used.
    """

    label: str | None
    original: str | None = None
    split: str | None = None
    problems: tuple[str, ...] = ()


@dataclass(frozen=True)
class Labels:
    """The claims of one labels file by file name, and ``CODE: text`` for names in it that can't be used."""

    claims: dict[str, Claim]
    problems: list[str] = field(default_factory=list)


def parse_metadata(content: bytes, where: str) -> Labels:
    """The challenge's form: ``{"<file>": {"label": "REAL"|"FAKE", "split": …, "original": "<file>"|null}, …}``.

    Raises:
        SourceError: it is not JSON, not an object, or names a key twice.
    """
    try:
        entries = json.loads(content.decode("utf-8-sig"), object_pairs_hook=_without_repeats)
    except RecursionError:
        raise SourceError(f"{where}: nested too deeply for a metadata file") from None
    except ValueError as error:
        raise SourceError(f"{where}: no metadata that can be read: {str(error)[:200]}") from None
    if not isinstance(entries, dict):
        raise SourceError(f"{where}: holds a {type(entries).__name__} where an object of videos is expected")
    labels = Labels({})
    for name, entry in entries.items():
        reason = unsafe(name)
        if reason:
            labels.problems.append(f"UNSAFE_NAME: {shown(name)} in {where} {reason}")
        elif isinstance(entry, dict):
            labels.claims[name] = _claim(entry)
        else:
            problem = f"BAD_METADATA: the entry is a {type(entry).__name__}, not an object"
            labels.claims[name] = Claim(None, problems=(problem,))
    return labels


def parse_csv(content: bytes, where: str) -> Labels:
    """A CSV with the header ``video,label`` or ``video,label,original`` in any order; other columns are left alone.

    Raises:
        SourceError: it is not UTF-8 or not CSV, the header is wrong, or a line is incomplete or repeats a video;
            the message names the line.
    """
    try:
        rows = csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True)
        header = [name.strip().lower() for name in next(rows, [])]
        missing = [name for name in ("video", "label") if name not in header]
        if missing or len(set(header)) != len(header):
            raise SourceError(
                f"{where}: line 1: the header must name video and label (and may name original), each once; "
                f"it is {shown(','.join(header))}"
            )
        labels = Labels({})
        for row in rows:
            if row:
                _add_row(labels, dict(zip(header, row, strict=False)), len(row) == len(header), where, rows.line_num)
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise SourceError(f"{where}: line {line}: not UTF-8; save it as UTF-8") from None
    except csv.Error as error:
        raise SourceError(f"{where}: line {rows.line_num}: {error}") from None
    return labels


def _add_row(labels: Labels, row: dict[str, str], complete: bool, where: str, line: int) -> None:
    if not complete:
        raise SourceError(f"{where}: line {line}: has not as many fields as the header")
    video = row["video"].strip()
    reason = unsafe(video)
    if reason:
        raise SourceError(f"{where}: line {line}: video {shown(video)} {reason}")
    if video in labels.claims:
        raise SourceError(f"{where}: line {line}: video {shown(video)} stands there twice; keep one line")
    entry = {"label": row["label"].strip().upper(), "original": row.get("original", "").strip() or None}
    labels.claims[video] = _claim(entry)


def _claim(entry: dict[str, Any]) -> Claim:
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


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    entries = dict(pairs)
    if len(entries) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise ValueError(f"{shown(twice)} stands there twice")
    return entries
