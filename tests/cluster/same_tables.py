"""Comparing the tables of two places."""

import pandas as pd

from dflib.tables.schemas import TABLES
from tests.jobs.places import Place, columns_of_runs

KEYS = {
    "extractions": ["video_id"],
    "frames": ["video_id", "frame_index"],
    "faces": ["face_id"],
    "predictions": ["face_id", "model_id"],
    "verdicts": ["video_id", "rule"],
}


def assert_same_tables(one: Place, other: Place, *names: str) -> None:
    """Asserts equal rows, numbers within 1e-6, without the columns that describe the run; and unique keys."""
    for name in names:
        frames = []
        for place in (one, other):
            apart = columns_of_runs(TABLES[name]) | {"bytes_read", "requests"}
            frame = place.table(name).drop(columns=list(apart), errors="ignore")
            assert not frame.duplicated(KEYS[name]).any(), f"{name} of {place.root}: a key occurs twice"
            frames.append(frame.sort_values(KEYS[name]).reset_index(drop=True))
        assert len(frames[0]) > 10
        pd.testing.assert_frame_equal(*frames, check_exact=False, rtol=0, atol=1e-6)
