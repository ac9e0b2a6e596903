"""Findings made from a few numbers, for tests that need neither Spark nor tables."""

from dataclasses import fields
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd

from dflib import config
from dflib.models.registry import Model
from dflib.reporting import page, slices, verdict_table, worst
from dflib.reporting.findings import SCORE_BINS, Findings
from dflib.reporting.history import Made, Place, Render
from dflib.reporting.thumbnails import Thumbnail
from tests.score_rows import SETTINGS

WHEN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
MADE = Made("20260102T030405000000-report-7", "0.1.0+abc1234", WHEN)
PLACE = Place(MADE, "0" * 64 + " " + MADE.run_id, "name/", "name.html")


def video(video_id: str, score: float | None, label: str | None = None, **changes: Any) -> dict[str, Any]:
    """A row of ``Findings.videos`` for the rule ``mean`` with two usable faces; no score: UNDETERMINED."""
    faces = 0 if score is None else 2
    return {
        "video_id": video_id,
        "source_group": video_id,
        "chunk": "part_0",
        "label": label,
        "split": None,
        "reason": "NO_FACE" if score is None else None,
        "face_rows": faces,
        "faces_moving": faces,
        "faces_used": faces,
        "faces_scored": faces,
        "faces_fake": faces if score is not None and score > 0.5 else 0,
        "score_sum": faces * (score or 0.0),
        "frames_used": faces,
        "mean_p": np.nan if score is None else score,
        "mean_fake": score is not None and score > 0.5,
        **changes,
    }


def findings(
    videos: list[dict[str, Any]],
    not_extracted: int = 0,
    model_id: str = "m",
    training_set: str | None = None,
    **changes: Any,
) -> Findings:
    """Findings on these videos by an imported model, with its metrics."""
    settings = SETTINGS.model_copy(update={"rules": ("mean",), **changes})
    frame = pd.DataFrame(videos).sort_values("video_id", ignore_index=True)
    view = config.View.model_validate(
        {"size": 64, "margin": 0.3, "square": True, "interpolation": "area", "blank_face": False}
    )
    known = {
        "model_id": model_id,
        "network": "meso4",
        "sha256": "ab" * 32,
        "variables_sha256": "cd" * 32,
        "view": view,
        "origin": "file:///weights.h5",
        "training_set": training_set,
    }
    # Columns that no page shows are null.
    model = Model(**(dict.fromkeys(field.name for field in fields(Model)) | known))  # type: ignore[arg-type]
    bins = {label: np.zeros(SCORE_BINS, np.int64) for label in ("REAL", "FAKE", "unlabelled")}
    rows = slices.metric_rows(frame, settings)
    return Findings(model, "even20", settings, frame, rows, bins, {"faces": 3}, not_extracted)


def renderer(found: Findings, faces: dict[str, list[Thumbnail]] | None = None) -> Render:
    """Renders findings, with faces in the table of verdicts."""
    shown = worst.most_wrong(found)
    table = verdict_table.rows(found, verdict_table.in_order(found), faces or {})
    return page.renderer(found, table, shown, {video_id: [] for video_id in shown["video_id"]})


def render(found: Findings, faces: dict[str, list[Thumbnail]] | None = None) -> str:
    """The report page."""
    return next(iter(renderer(found, faces)(PLACE)))
