"""What changed: the new verdicts of videos compared with their current ones."""

from typing import Any

import numpy as np
import pandas as pd

MISSING_FILE = "MISSING_FILE"
"""Reason of a video whose file is gone, as ingest gives it."""

COMPARED = ("extractor", "model_id", "rule", "verdict", "p_fake", "label", "fingerprint", "extraction_run")


def compare(current: pd.DataFrame, new: pd.DataFrame, move: float) -> pd.DataFrame:
    """The videos in both frames whose verdict or label differs, or whose score moved by more than ``move``.

    Args:
        current: ``video_id``, the columns :data:`COMPARED` and ``current_since``; p_fake is NaN when UNDETERMINED.
        new: ``video_id``, the columns :data:`COMPARED` and ``reason``.
        move: of p_fake.

    Returns:
        Columns of CHANGES except ``held``, ``run_id`` and ``changed_at``, sorted by ``video_id``.  A score that appears
        or vanishes changes the verdict, and so is no movement.
    """
    both = current.merge(new, on="video_id", suffixes=("_from", "_to")).sort_values("video_id", ignore_index=True)
    flipped = both["verdict_from"] != both["verdict_to"]
    moved = (both["p_fake_from"] - both["p_fake_to"]).abs() > move
    labelled = _differs(both, "label")
    both = both.assign(flipped=flipped, cause=_causes(both))[flipped | moved | labelled]
    names = {"to_reason": "reason", "current_since": "current_since", "cause": "cause", "flipped": "flipped"}
    names |= {name: f"{name}_to" for name in ("extractor", "model_id", "rule")}
    names |= {
        f"from_{name}": f"{name}_from" for name in ("extractor", "model_id", "rule", "verdict", "p_fake", "label")
    }
    names |= {f"to_{name}": f"{name}_to" for name in ("verdict", "p_fake", "label")}
    return pd.DataFrame({"video_id": both["video_id"], **{name: both[column] for name, column in names.items()}})


def differ(current: pd.DataFrame, new: pd.DataFrame) -> bool:
    """Whether a video in both frames differs in any of the columns :data:`COMPARED`, however little."""
    both = current.merge(new, on="video_id", suffixes=("_from", "_to"))
    return any(_differs(both, name).any() for name in COMPARED)


def exceeds(flipped: int, compared: int, max_flips: float) -> bool:
    """Whether more verdicts changed than ``nightly.max_flips`` allows: a share of the compared ones, or a number."""
    return flipped > (max_flips * compared if max_flips < 1 else max_flips)


def _causes(both: pd.DataFrame) -> Any:
    # Older versions stored neither; a video whose file was missing has a run, and no fingerprint.
    known = both["extraction_run_from"].notna()
    tests = {
        MISSING_FILE: both["reason"] == MISSING_FILE,
        "NEW_BYTES": known & _differs(both, "fingerprint"),
        "NEW_EXTRACTOR": _differs(both, "extractor"),
        "NEW_MODEL": _differs(both, "model_id"),
        "NEW_RULE": _differs(both, "rule"),
        "NEW_FACES": known & _differs(both, "extraction_run"),
        "NEW_LABEL": _differs(both, "label"),
    }
    return np.select(list(tests.values()), list(tests), "NEW_SCORES")


def _differs(both: pd.DataFrame, name: str) -> pd.Series:
    """Whether a column differs; two missing values are equal."""
    before, after = both[f"{name}_from"], both[f"{name}_to"]
    return (before != after) & ~(before.isna() & after.isna())
