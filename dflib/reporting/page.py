"""The report as one HTML page that needs nothing beside itself.

Names of videos, models and chunks come from data and are hostile: all goes through jinja2's autoescape, and the only
URIs are data URIs made here.  The page holds no time of day, so the same findings give the same bytes.
"""

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined

import dflib
from dflib.reporting import plots, text
from dflib.reporting.findings import FACE_BINS, Findings
from dflib.reporting.slices import MetricRow
from dflib.reporting.text import SHOWN
from dflib.reporting.worst import Crop

SLICE_METRICS = ("auc", "accuracy", "majority_baseline", "accuracy_real", "accuracy_fake", "log_loss")
RULE_METRICS = ("auc", "accuracy", "balanced_accuracy", "accuracy_real", "accuracy_fake", "log_loss")
WORDS = dict(SHOWN)
REASONS = {
    "CHANGED": "its file has changed since its faces were found; run extract, score and report",
    "NO_FACE": "no face was found in any sampled frame",
    "ONLY_STATIC_FACES": "the only faces never move while something else does (portraits on a wall)",
    "ONLY_POOR_FACES": "the only faces are below the limits of report.quality",
    "TOO_FEW_FACES": "fewer usable faces than report.min_faces",
    "NOT_SCORED": "not all of its faces are scored yet; run score",
}


def render(findings: Findings, shown: pd.DataFrame, crops: dict[str, list[Crop]]) -> str:
    """The page.

    Args:
        findings: what was found.
        shown: the most wrong videos (:func:`dflib.reporting.worst.most_wrong`).
        crops: their crops by video_id.
    """
    environment = Environment(
        loader=PackageLoader("dflib.reporting", ""), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters["number"] = text.number
    environment.filters["interval"] = text.interval
    context: dict[str, Any] = {
        "findings": findings,
        "version": dflib.__version__,
        "counts": findings.verdict_counts(),
        "reasons": [(reason, count, REASONS.get(reason, "")) for reason, count in findings.reasons.items()],
        "face_plot": plots.distribution(findings.face_bins, findings.settings.threshold, "face"),
        "video_plot": plots.distribution(_video_bins(findings), findings.pooling_rule.limit, "video"),
        "rule_has_probability": findings.pooling_rule.is_probability,
        "labelled": bool(findings.rows),
    }
    if findings.rows:
        context |= _of_labels(findings)
        context["worst"] = [(row, crops[str(row["video_id"])]) for row in shown.to_dict("records")]
    return environment.get_template("report.html.j2").render(context)


def trust(findings: Findings) -> list[str]:
    """In plain words, how far the headline can be trusted; for findings with metrics."""
    videos = findings.headline_videos
    groups = videos["source_group"].nunique()
    auc, accuracy, baseline = (findings.metric(name) for name in ("auc", "accuracy", "majority_baseline"))
    confidence = f"{findings.settings.confidence:.0%}"
    said = []
    if findings.headline_slice == "split=test":
        said.append(
            "The headline stands on the test videos alone. No original of theirs, and no fake of such an original, was "
            "in training. That keeps clips apart, not people: a person may appear in clips of both sides."
        )
    elif findings.has_seen_videos:
        said.append(
            "Careful: the headline takes in videos that the model was trained on, because no test video has a label. "
            "It says how well they are remembered, not how well unseen ones are judged."
        )
    elif findings.model.training_set:
        said.append("None of the labelled videos was in the training of this model.")
    else:
        said.append(
            "The weights were trained elsewhere. Whether they have seen these videos is not known here, so the "
            "headline takes in all of them."
        )
    said.append(
        f"Intervals hold {confidence} of {findings.settings.bootstrap:,} resamples of the {groups:,} source groups (an "
        "original with its fakes), since clips of one source err together. They do not cover what other data would "
        "bring."
    )
    if math.isnan(auc.value):
        said.append("With one class only, nothing can be said about telling the two apart.")
    elif math.isnan(auc.low):
        said.append("There are too few source groups for an interval, so no number here should be leaned on.")
    elif auc.low <= 0.5 <= auc.high:
        said.append(f"The interval of the AUC ({text.interval(auc)}) takes in .5: this may be no better than chance.")
    if not math.isnan(accuracy.value) and accuracy.value <= baseline.value:
        said.append(
            f"Accuracy ({accuracy.value:.3f}) does not beat calling every video by the commoner class "
            f"({baseline.value:.3f})."
        )
    if accuracy.undetermined:
        said.append(
            f"{accuracy.undetermined:,} labelled videos of this slice are UNDETERMINED. They are left out of every "
            "number but the accuracy that counts them as wrong."
        )
    return said


def _of_labels(findings: Findings) -> dict[str, Any]:
    """The part of the context that needs labels."""
    videos = findings.headline_videos
    decided = videos[videos["reason"].isna()]
    score = decided[f"{findings.rule}_p"].to_numpy(np.float64)
    fake = (decided["label"] == "FAKE").to_numpy()
    called = decided[f"{findings.rule}_fake"].to_numpy(np.bool_)
    auc = findings.metric("auc")
    both = bool(fake.any() and not fake.all())
    return {
        "trust": trust(findings),
        "headline": [(WORDS[name], findings.metric(name)) for name in _headline(findings)],
        "confusions": [
            (f"{level}s", findings.confusion(level), _right(findings, level)) for level in ("video", "face")
        ],
        "face_means": [(label, findings.metric(f"mean_score_{label.lower()}", "face")) for label in ("REAL", "FAKE")],
        "metrics": [(words, findings.metric(name)) for name, words in SHOWN],
        "roc_plot": plots.roc(score, fake, called, f"AUC {text.number(auc.value)}") if both else None,
        "reliability_plot": plots.reliability(score, fake)
        if findings.pooling_rule.is_probability and len(score)
        else None,
        "slice_heads": [WORDS[name] for name in SLICE_METRICS],
        "slices": [_line(findings, name, findings.rule, SLICE_METRICS) for name in findings.slice_names],
        "rule_heads": [WORDS[name] for name in RULE_METRICS],
        "rules": [_line(findings, findings.headline_slice, rule, RULE_METRICS) for rule in findings.rules],
    }


def _headline(findings: Findings) -> list[str]:
    names = ["auc", "accuracy", "majority_baseline", "balanced_accuracy"]
    return [*names, "log_loss"] if findings.pooling_rule.is_probability else [*names, "eer"]


def _right(findings: Findings, level: str) -> dict[str, MetricRow]:
    return {label: findings.metric(f"accuracy_{label.lower()}", level) for label in ("REAL", "FAKE")}


def _line(findings: Findings, slice_name: str, rule: str, names: tuple[str, ...]) -> dict[str, Any]:
    return {
        "slice": slice_name,
        "rule": findings.rules[rule],
        "metrics": [findings.metric(name, slice_name=slice_name, rule=rule) for name in names],
    }


def _video_bins(findings: Findings) -> dict[str, npt.NDArray[np.int64]]:
    """Decided videos by label and bin of the headline rule's score."""
    decided = findings.videos[findings.videos["reason"].isna()]
    number = np.minimum((decided[f"{findings.rule}_p"].to_numpy(np.float64) * FACE_BINS).astype(int), FACE_BINS - 1)
    label = decided["label"].fillna("unlabelled").to_numpy()
    return {name: np.bincount(number[label == name], minlength=FACE_BINS) for name in findings.face_bins}
