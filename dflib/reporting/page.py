"""The report as self-contained HTML: the page, and further parts of a long table of verdicts."""

import functools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pandas as pd

from dflib.pages import html
from dflib.reporting import notices, plots, text, verdict_table
from dflib.reporting.findings import Findings
from dflib.reporting.history import Place, Render
from dflib.reporting.slices import MetricRow
from dflib.reporting.text import SHOWN
from dflib.reporting.thumbnails import Thumbnail

SLICE_METRICS = ("auc", "accuracy", "majority_baseline", "accuracy_real", "accuracy_fake", "log_loss")
RULE_METRICS = ("auc", "accuracy", "balanced_accuracy", "accuracy_real", "accuracy_fake", "log_loss")
WORDS = dict(SHOWN)
REASONS = {
    "CHANGED": "the file has changed since its faces were found; run extract, score and report",
    "NO_FACE": "no face was found in any sampled frame",
    "ONLY_STATIC_FACES": "the only faces never move while something else does (portraits on a wall)",
    "ONLY_POOR_FACES": "the only faces are beyond the limits of report.quality",
    "TOO_FEW_FACES": "fewer usable faces than report.min_faces",
    "NOT_SCORED": "some usable faces have no score yet; run score",
}
"""Explanations of reasons; other reasons are those of a failed extraction, which the ledger explains."""
NAMES_LISTED = 200
"""UNDETERMINED videos listed by name for each reason, beside those in the table."""


@dataclass(frozen=True)
class Reason:
    """Why videos are UNDETERMINED.

    Attributes:
        code: as in VERDICTS.
        words: the explanation; may be empty.
        count: of the videos.
        names: the first of them.
    """

    code: str
    words: str
    count: int
    names: list[str]


def renderer(
    findings: Findings,
    table: list[verdict_table.VerdictRow],
    shown: pd.DataFrame,
    crops: dict[str, list[Thumbnail]],
) -> Render:
    """A function that renders the page, then further parts of the table, for a place.

    Args:
        findings: the results.
        table: all rows of the table of verdicts.
        shown: the most wrong videos (:func:`dflib.reporting.worst.most_wrong`).
        crops: their faces by video_id.
    """
    context = _context(findings, table, shown, crops)
    parts = list(verdict_table.parts(table))
    script = html.read_script("dflib.reporting", "verdicts.js")

    def render(place: Place) -> Iterator[str]:
        for number, rows in enumerate(parts, 1):
            yield html.render(
                "dflib.reporting",
                "report.html.j2" if number == 1 else "part.html.j2",
                script,
                filters=_FILTERS,
                **context,
                place=place,
                part_number=number,
                part_count=len(parts),
                part_rows=rows,
                first_row=(number - 1) * verdict_table.PART_ROWS + 1,
            )

    return render


def _context(
    findings: Findings,
    table: list[verdict_table.VerdictRow],
    shown: pd.DataFrame,
    crops: dict[str, list[Thumbnail]],
) -> dict[str, Any]:
    """The variables of the templates, except those of a place and of a part."""
    with_faces = sum(bool(row.faces) for row in table)
    context: dict[str, Any] = {
        "findings": findings,
        "notices": notices.notices(findings),
        "counts": findings.verdict_counts(),
        "faces": _faces(findings),
        "reasons": _reasons(findings),
        "plots": plots.draw_all(findings),
        "labelled": bool(findings.rows),
        "total": len(table),
        "faces_limited": with_faces < sum(row.faces_found > 0 for row in table),
        "with_faces": with_faces,
    }
    if findings.rows:
        context |= _of_labels(findings)
        context["worst"] = [(row, crops[str(row["video_id"])]) for row in shown.to_dict("records")]
    return context


def _of_labels(findings: Findings) -> dict[str, Any]:
    """The part of the context that needs labels."""
    marks = text.marks_of_reasons(findings.rows)
    return {
        "trust": notices.trust(findings),
        "headline": [(WORDS[name], findings.metric(name)) for name in _headline(findings)],
        "confusions": [
            (f"{level}s", findings.confusion(level), _accuracies(findings, level)) for level in ("video", "face")
        ],
        "face_means": [(label, findings.metric(f"mean_score_{label.lower()}", "face")) for label in ("REAL", "FAKE")],
        "metrics": [(words, findings.metric(name)) for name, words in SHOWN],
        "slice_heads": [WORDS[name] for name in SLICE_METRICS],
        "slices": [_line(findings, name, findings.rule, SLICE_METRICS) for name in findings.slice_names],
        "rule_heads": [WORDS[name] for name in RULE_METRICS],
        "rules": [_line(findings, findings.headline_slice, rule, RULE_METRICS) for rule in findings.rules],
        "marks_of_reasons": marks,
        "short_interval": functools.partial(text.short_interval, marks=marks),
    }


def _faces(findings: Findings) -> list[tuple[str, int]]:
    """The faces by what became of them, without lines that are zero except the first and the last."""
    counts = findings.face_counts
    left_out = [
        ("left out: never move while another face does (static)", counts.static),
        ("left out: beyond the limits of report.quality", counts.poor),
        ("left out: no score by this model", counts.unscored),
        ("left out: of a file that has changed since", counts.changed),
        ("left out: of a video that is UNDETERMINED for another reason", counts.undetermined),
    ]
    return [
        ("found", counts.found),
        *((words, number) for words, number in left_out if number),
        ("used in a verdict", counts.used),
    ]


def _reasons(findings: Findings) -> list[Reason]:
    names = findings.videos.groupby("reason")["video_id"]
    return [
        Reason(code, REASONS.get(code, ""), count, names.get_group(code).head(NAMES_LISTED).tolist())
        for code, count in findings.reasons.items()
    ]


def _headline(findings: Findings) -> list[str]:
    names = ["auc", "accuracy", "majority_baseline", "balanced_accuracy"]
    return [*names, "log_loss"] if findings.pooling_rule.is_probability else [*names, "eer"]


def _accuracies(findings: Findings, level: str) -> dict[str, MetricRow]:
    return {label: findings.metric(f"accuracy_{label.lower()}", level) for label in ("REAL", "FAKE")}


def _line(findings: Findings, slice_name: str, rule: str, names: tuple[str, ...]) -> dict[str, Any]:
    return {
        "slice": slice_name,
        "rule": findings.rules[rule],
        "metrics": [findings.metric(name, slice_name=slice_name, rule=rule) for name in names],
    }


def _plain(value: float) -> str:
    """A number for sorting; empty where it is not defined."""
    return "" if math.isnan(value) else f"{value:.6g}"


_FILTERS: dict[str, Callable[[Any], str]] = {
    "number": text.number,
    "signed": text.signed,
    "interval": text.interval_or_reason,
    "plain": _plain,
}
