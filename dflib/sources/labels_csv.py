"""The labels CSV: one line a video."""

import csv
import io
import re
from typing import Any

from dflib.errors import SourceError
from dflib.sources.labels import Claim, Labels, claim_of, is_nothing
from dflib.sources.names import normal, shown, unsafe

NAME = "labels.csv"
VIDEO_COLUMNS = ("video", "filename", "file", "name", "path", "video_name", "file_name", "filepath", "file_path")
"""Names of the column with the video, in the order of preference."""
_NUMBERS = {"0": "REAL", "0.0": "REAL", "1": "FAKE", "1.0": "FAKE"}
_FRACTION = re.compile(r"0?\.\d*[1-9]\d*|\d(\.\d+)?[eE]-\d+")


def parse(content: bytes, where: str, max_entries: int) -> Labels:
    """Reads a CSV with a column for the video (one of :data:`VIDEO_COLUMNS`), ``label`` and optionally ``original``.

    Columns may come in any order; others are ignored.  Labels are REAL and FAKE in any case, or 0 and 1, where 1 is
    FAKE.  A file of probabilities, such as the challenge's ``sample_submission.csv``, is not a labels file.

    Args:
        content: the file.
        where: its URI or path, for messages.
        max_entries: largest number of lines.

    Raises:
        SourceError: the file is not UTF-8 or not CSV, the header is wrong, a line is incomplete or repeats a video, a
            label is a probability, or there are too many lines; the message names the line.
    """
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise SourceError(f"{where}: line 1: not UTF-8 but UTF-16; save the file as UTF-8")
    try:
        # Decoded at once, so that an error has a place, and split lazily, so that no second copy is held.
        rows = csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True)
        return _labels(rows, where, max_entries)
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise SourceError(f"{where}: line {line}: not UTF-8; save the file as UTF-8") from None
    except csv.Error as error:
        raise SourceError(f"{where}: line {rows.line_num}: {error}") from None


def _labels(rows: Any, where: str, max_entries: int) -> Labels:
    header = [name.strip().lower() for name in next(rows, [])]
    video = next((name for name in VIDEO_COLUMNS if name in header), None)
    if video is None or "label" not in header or len(set(header)) != len(header):
        raise SourceError(
            f"{where}: line 1: the header must contain video (or {', '.join(VIDEO_COLUMNS[1:4])}) and label "
            f"(optionally original), each once, separated by commas; it is {shown(','.join(header))}"
        )
    at_video, at_label = header.index(video), header.index("label")
    at_original = header.index("original") if "original" in header else None
    labels = Labels({})
    numbers = 0
    for row in rows:
        if not row:
            continue
        at = f"{where}: line {rows.line_num}"
        if len(labels.claims) >= max_entries:
            raise SourceError(f"{at}: more than {max_entries} videos; the limit is sources.max_metadata_entries")
        if len(row) != len(header):
            raise SourceError(f"{at}: the number of fields differs from the header's")
        name, label = row[at_video].strip(), row[at_label].strip()
        if _FRACTION.fullmatch(label):
            raise SourceError(
                f"{at}: the label {label} is a probability; this is a list of predictions, such as the challenge's "
                "sample_submission.csv, not a labels file: labels are REAL and FAKE, or 0 and 1"
            )
        numbers += label in _NUMBERS
        original = row[at_original].strip() if at_original is not None else None
        _add(labels, name, _claim(_NUMBERS.get(label, label), original), at)
    if numbers:
        labels.problems.append(f"NUMERIC_LABELS: {where}: {numbers} labels 0 and 1 were read as REAL and FAKE")
    return labels


def _claim(label: str, original: str | None) -> Claim:
    return claim_of({"label": label.upper(), "original": None if is_nothing(original) else original})


def _add(labels: Labels, video: str, claim: Claim, at: str) -> None:
    reason = unsafe(video)
    if reason:
        raise SourceError(f"{at}: video {shown(video)} {reason}")
    video = normal(video)
    if video in labels.claims:
        raise SourceError(f"{at}: video {shown(video)} occurs twice; keep one line")
    labels.claims[video] = claim
