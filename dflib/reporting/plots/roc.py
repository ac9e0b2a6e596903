"""Receiver operating characteristic of the headline's videos."""

import numpy as np
from matplotlib.figure import Figure

from dflib.pages import figures
from dflib.reporting.findings import Findings
from dflib.reporting.metrics import roc_curve
from dflib.reporting.plots import BOTH_CLASSES, LABELS, Plot

# More points than this are indistinguishable on the page.
CURVE_POINTS = 400


def _draw(findings: Findings) -> Figure:
    score, fake, called = findings.headline_scores
    false, true = roc_curve(score, fake)
    if len(false) > CURVE_POINTS:
        kept = np.unique(np.linspace(0, len(false) - 1, CURVE_POINTS).round().astype(int))
        false, true = false[kept], true[kept]
    figure, axes = figures.new()
    axes.plot([0, 1], [0, 1], color=figures.FAINT, linewidth=1)
    axes.plot(false, true, color=figures.INK, linewidth=1.6, label=f"AUC {findings.metric('auc').value:.3f}")
    axes.plot(
        [called[~fake].mean()],
        [called[fake].mean()],
        marker="o",
        color=figures.COLOURS["FAKE"],
        linestyle="none",
        label="the verdicts",
    )
    axes.set(
        xlim=(-0.01, 1.01),
        ylim=(-0.01, 1.01),
        xlabel="REAL videos called FAKE (share)",
        ylabel="FAKE videos found (share)",
    )
    axes.legend(loc="lower right")
    return figure


PART = Plot(
    title="ROC curve",
    caption="Labelled videos of {slice}. The diagonal is chance.",
    draw=_draw,
    needs=(LABELS, BOTH_CLASSES),
)
