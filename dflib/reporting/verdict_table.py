"""The table of all verdicts: its rows in the order of review, in parts, with a bounded number of thumbnails."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from dflib.reporting.findings import Findings
from dflib.reporting.thumbnails import Thumbnail

PART_ROWS = 5000
"""Rows of one page; a larger table is cut into parts."""
VIDEOS_WITH_FACES = 400
"""Videos with a verdict that get thumbnails, nearest to the threshold first."""
UNDETERMINED_WITH_FACES = 100
"""Videos without a verdict that get thumbnails."""
THUMBNAIL_SIDE = 80
"""Longer side of a thumbnail, pixels."""
THUMBNAIL_BYTES = 4_000_000
"""Limit of all thumbnails of a report together, as they are embedded; three of 80 pixels take 6 to 10 kB."""


@dataclass(frozen=True)
class VerdictRow:
    """A row of the table.

    Attributes:
        verdict: FAKE, REAL or UNDETERMINED.
        score: of the headline's rule; NaN when UNDETERMINED.
        margin: score minus threshold (:attr:`Findings.margins`).
        label: REAL, FAKE, or None.
        split: of the model's training set, or None.
        faces_found, faces_used: all faces, and those that passed the filters.
        reason: why UNDETERMINED, or None.
        faces: thumbnails.
    """

    video_id: str
    verdict: str
    score: float
    margin: float
    label: str | None
    split: str | None
    faces_found: int
    faces_used: int
    reason: str | None
    faces: Sequence[Thumbnail] = ()

    @property
    def outcome(self) -> str:
        """Whether the verdict is right or wrong; empty without a label or a verdict."""
        if self.label is None or self.reason is not None:
            return ""
        return "right" if self.label == self.verdict else "wrong"


def in_order(findings: Findings) -> pd.DataFrame:
    """``findings.videos`` with ``score`` and ``margin`` in the order of the table.

    Videos with a verdict come first, nearest to the threshold first; UNDETERMINED ones follow by reason and name.
    """
    videos = findings.videos.assign(score=findings.videos[f"{findings.rule}_p"], margin=findings.margins)
    keys = pd.DataFrame(
        {
            "undetermined": videos["reason"].notna(),
            "reason": videos["reason"].fillna(""),
            "distance": videos["margin"].abs().fillna(np.inf),
            "video_id": videos["video_id"],
        }
    )
    ordered: pd.DataFrame = videos.loc[keys.sort_values(list(keys.columns)).index]
    return ordered


def with_faces(ordered: pd.DataFrame) -> list[str]:
    """The videos of :func:`in_order` that get thumbnails."""
    found = ordered[ordered["face_rows"] > 0]
    undetermined = found["reason"].notna()
    chosen = [found[~undetermined].head(VIDEOS_WITH_FACES), found[undetermined].head(UNDETERMINED_WITH_FACES)]
    return [str(video_id) for part in chosen for video_id in part["video_id"]]


def rows(findings: Findings, ordered: pd.DataFrame, faces: dict[str, list[Thumbnail]]) -> list[VerdictRow]:
    """The rows of the table.

    Args:
        findings: the results.
        ordered: result of :func:`in_order`.
        faces: thumbnails by video_id; once they exceed :data:`THUMBNAIL_BYTES` together, later rows get none.
    """
    called_fake = ordered[f"{findings.rule}_fake"].to_numpy(np.bool_)
    made, bytes_left = [], THUMBNAIL_BYTES
    for row, fake in zip(ordered.to_dict("records"), called_fake, strict=True):
        reason = _text(row["reason"])
        shown = faces.get(row["video_id"], [])
        bytes_left -= sum(len(face.image or "") for face in shown)
        made.append(
            VerdictRow(
                video_id=row["video_id"],
                verdict="UNDETERMINED" if reason else "FAKE" if fake else "REAL",
                score=row["score"],
                margin=math.nan if reason else row["margin"],
                label=_text(row["label"]),
                split=_text(row["split"]),
                faces_found=row["face_rows"],
                faces_used=row["faces_used"],
                reason=reason,
                faces=shown if bytes_left >= 0 else (),
            )
        )
    return made


def parts(table: list[VerdictRow]) -> Iterator[list[VerdictRow]]:
    """The table in parts of :data:`PART_ROWS`; one empty part when there are no rows."""
    for first in range(0, max(len(table), 1), PART_ROWS):
        yield table[first : first + PART_ROWS]


def _text(value: object) -> str | None:
    """A text column's value: missing ones come from pandas as None or NaN."""
    return value if isinstance(value, str) else None
