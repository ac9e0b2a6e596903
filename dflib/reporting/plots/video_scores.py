"""Histogram of the videos' scores."""

from matplotlib.figure import Figure

from dflib.reporting.findings import Findings
from dflib.reporting.plots import Plot, score_histogram


def _draw(findings: Findings) -> Figure:
    return score_histogram(findings.video_bins, findings.pooling_rule.limit, "video")


PART = Plot(
    title="Video scores",
    caption="All videos with a verdict, each label as a share of itself; dashed: the threshold.",
    draw=_draw,
)
