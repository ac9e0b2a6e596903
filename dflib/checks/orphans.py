"""Rows without the row that they belong to: scores without a face, verdicts and ledger rows without
a video.

A verdict may be without its ledger row while the video waits to be extracted again.  Faces without one are leftovers of
a killed run, or of a running one; they count nowhere.
"""

from dflib.checks import Measured
from dflib.tables.schemas import EXTRACTIONS, FACES, PREDICTIONS, VERDICTS, VIDEOS
from dflib.tables.store import Tables

_PARENTS = (
    (EXTRACTIONS, VIDEOS, ["video_id"]),
    (PREDICTIONS, FACES, ["face_id"]),
    (VERDICTS, VIDEOS, ["video_id"]),
)


def _measure(tables: Tables) -> Measured:
    orphans: dict[str, int] = {}
    for child, parent, keys in _PARENTS:
        present = tables.read(parent).select(keys)
        number = tables.read(child).select(keys).join(present, keys, "left_anti").count()
        if number:
            orphans[f"{child.name} without {parent.name}"] = number
    return Measured(sum(orphans.values()), ", ".join(f"{name} {count:,}" for name, count in orphans.items()))


PART = _measure
