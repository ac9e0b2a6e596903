"""The report as text for a terminal."""

import math

from dflib.reporting import metrics
from dflib.reporting.findings import Findings
from dflib.reporting.slices import MetricRow

SHOWN = tuple((name, metric.title) for name, metric in metrics.all_metrics().items() if metric.title is not None)
"""Metrics in the order in which they are shown, with their titles."""


def printable(text: str) -> str:
    """Names come from data: control characters (terminal escapes among them) are shown as codes."""
    return "".join(mark if mark.isprintable() else f"\\x{ord(mark):02x}" for mark in text)


def number(value: float) -> str:
    """Three decimals, or a dash where not defined."""
    return "–" if math.isnan(value) else f"{value:.3f}"


def interval(row: MetricRow) -> str:
    """Both ends, or nothing where there is none."""
    return "" if math.isnan(row.low) else f"{row.low:.3f} to {row.high:.3f}"


def render(findings: Findings, page: str) -> str:
    """What was found, for one model and extractor; ``page`` is the URI of the page."""
    counts = findings.verdict_counts()
    lines = [
        f"model {printable(findings.model.model_id)}, extractor {printable(findings.extractor)}",
        f"rule {findings.rules[findings.rule]}",
        f"{len(findings.videos):,} videos: " + ", ".join(f"{count:,} {verdict}" for verdict, count in counts.items()),
    ]
    lines += [f"  UNDETERMINED, {printable(reason)}: {count:,}" for reason, count in findings.reasons.items()]
    if findings.not_extracted:
        lines.append(f"not extracted yet, so not in this report: {findings.not_extracted:,} videos")
    if findings.rows:
        lines += ["", *_metrics(findings)]
    else:
        lines.append("no video has a label, so there are verdicts but no metrics")
    lines += ["", f"page: {page}"]
    return "\n".join(lines)


def _metrics(findings: Findings) -> list[str]:
    accuracy = findings.metric("accuracy")
    seen = " (videos that the model was trained on among them)" if findings.has_seen_videos else ""
    lines = [
        f"on {findings.headline_slice}{seen}: {accuracy.count:,} decided videos, "
        f"{accuracy.undetermined:,} UNDETERMINED with a label, left out unless said otherwise",
        *_confusion(findings, "video"),
        "",
        *_confusion(findings, "face"),
        "",
        f"{'metric (videos)':34}{'value':>7}  {findings.settings.confidence:.0%} interval",
    ]
    for name, words in SHOWN:
        row = findings.metric(name)
        lines.append(f"{words:34}{number(row.value):>7}  {interval(row)}".rstrip())
    return lines


def _confusion(findings: Findings, level: str) -> list[str]:
    of = findings.confusion(level)
    return [
        f"{level + 's':12}{'called REAL':>14}{'called FAKE':>14}{'right':>10}",
        *(
            f"{label:12}{real:>14,}{fake:>14,}{number(findings.metric(right, level).value):>10}"
            for label, real, fake, right in (
                ("REAL", of["true_real"], of["false_fake"], "accuracy_real"),
                ("FAKE", of["false_real"], of["true_fake"], "accuracy_fake"),
            )
        ),
    ]
