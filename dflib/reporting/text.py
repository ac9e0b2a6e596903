"""The report as text for a terminal."""

import math
from collections.abc import Iterable, Sequence
from string import ascii_lowercase

from dflib.config import NightlyConfig
from dflib.reporting import metrics
from dflib.reporting.findings import Findings
from dflib.reporting.notices import notices
from dflib.reporting.slices import MetricRow
from dflib.scoring.publish import Published

SHOWN = tuple((name, metric.title) for name, metric in metrics.all_metrics().items() if metric.title is not None)
"""Metrics in the order in which they are shown, with their titles."""


def printable(text: str) -> str:
    """A name without control characters, such as terminal escapes: they are replaced by their codes."""
    return "".join(mark if mark.isprintable() else f"\\x{ord(mark):02x}" for mark in text)


def number(value: float) -> str:
    """Three decimals, or a dash where not defined."""
    return "–" if math.isnan(value) else f"{value:.3f}"


def interval(row: MetricRow) -> str:
    """Both ends of the interval, or nothing where there is none."""
    return "" if math.isnan(row.low) else f"{row.low:.3f} to {row.high:.3f}"


def held(model_id: str, extractor: str, published: Published, gate: NightlyConfig, failed_checks: Sequence[str]) -> str:
    """Why verdicts are held, and what to do."""
    limit = f"{gate.max_flips:.1%} of them" if gate.max_flips < 1 else f"{gate.max_flips:g}"
    causes = ", ".join(f"{cause} {count:,}" for cause, count in published.causes)
    failed = f"; failed checks: {', '.join(failed_checks)}" if failed_checks else ""
    return (
        f"{model_id} on {printable(extractor)}: {published.held:,} verdicts are HELD: {published.flipped:,} of "
        f"{published.compared:,} current verdicts would change ({causes or 'none'}), {published.new:,} are new, and "
        f"nightly.max_flips allows {limit}"
        f"{failed}. What is current stays so. Look at the table changes; then run release, or promote another model"
    )


def signed(value: float) -> str:
    """Three decimals with their sign, or a dash where not defined."""
    return "–" if math.isnan(value) else f"{value:+.3f}".replace("-", "−")


def interval_or_reason(row: MetricRow) -> str:
    """Both ends of the interval, or why there is none; nothing for a metric that is not defined itself."""
    if math.isnan(row.value):
        return ""
    return interval(row) or f"no interval: {row.reason}"


def marks_of_reasons(rows: Iterable[MetricRow]) -> dict[str, str]:
    """A letter for each reason for which a metric of ``rows`` has a value but no interval."""
    reasons = {row.reason for row in rows if row.reason is not None and not math.isnan(row.value)}
    return dict(zip(sorted(reasons), ascii_lowercase, strict=False))


def short_interval(row: MetricRow, marks: dict[str, str]) -> str:
    """The interval for a narrow column; without one, the letter of the reason."""
    if row.reason is None or math.isnan(row.value):
        return interval(row)
    return f"no interval ({marks[row.reason]})"


def render(findings: Findings, page: str) -> str:
    """The results for one model and extractor; ``page`` is the URI of the page."""
    counts = findings.verdict_counts()
    lines = [
        f"model {printable(findings.model.model_id)}, extractor {printable(findings.extractor)}",
        f"rule {findings.rules[findings.rule]}",
        f"{len(findings.videos):,} videos: " + ", ".join(f"{count:,} {verdict}" for verdict, count in counts.items()),
    ]
    lines += [f"  UNDETERMINED, {printable(reason)}: {count:,}" for reason, count in findings.reasons.items()]
    lines += notices(findings)
    if findings.rows:
        lines += ["", *_metrics(findings)]
    lines += ["", f"page: {page}"]
    return "\n".join(lines)


def _metrics(findings: Findings) -> list[str]:
    accuracy = findings.metric("accuracy")
    lines = [
        f"on {findings.headline_slice}: {accuracy.count:,} labelled videos with a verdict, {accuracy.undetermined:,} "
        "UNDETERMINED and left out except where noted",
        *_confusion(findings, "video"),
        "",
        *_confusion(findings, "face"),
        "",
        f"{'metric (videos)':34}{'value':>7}  {findings.settings.confidence:.0%} interval",
    ]
    rows = [(words, findings.metric(name)) for name, words in SHOWN]
    marks = marks_of_reasons(row for _, row in rows)
    lines += [f"{words:34}{number(row.value):>7}  {short_interval(row, marks)}".rstrip() for words, row in rows]
    return lines + [f"({mark}) no interval: {reason}" for reason, mark in marks.items()]


def _confusion(findings: Findings, level: str) -> list[str]:
    counts = findings.confusion(level)
    return [
        f"{level + 's':12}{'verdict REAL':>14}{'verdict FAKE':>14}{'accuracy':>10}",
        *(
            f"{label:12}{real:>14,}{fake:>14,}{number(findings.metric(accuracy, level).value):>10}"
            for label, real, fake, accuracy in (
                ("REAL", counts["true_real"], counts["false_fake"], "accuracy_real"),
                ("FAKE", counts["false_real"], counts["true_fake"], "accuracy_fake"),
            )
        ),
    ]
