"""Histogram of the faces' scores."""

from matplotlib.figure import Figure

from dflib.reporting.findings import Findings
from dflib.reporting.plots import Plot, score_histogram


def _draw(findings: Findings) -> Figure:
    return score_histogram(findings.face_bins, findings.settings.threshold, "face")


PART = Plot(
    title="Face scores",
    caption="All usable faces, each label as a share of itself; dashed: the threshold of a single face.",
    draw=_draw,
)
