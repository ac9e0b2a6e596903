"""Reliability diagram of the headline's videos."""

import numpy as np
from matplotlib.figure import Figure

from dflib.pages import figures
from dflib.reporting.findings import Findings
from dflib.reporting.plots import LABELS, PROBABILITY, Plot

BINS = 10
"""Bins of equal width from 0 to 1."""


def _draw(findings: Findings) -> Figure:
    score, fake, _ = findings.headline_scores
    number = np.minimum((score * BINS).astype(int), BINS - 1)
    counts = np.bincount(number, minlength=BINS)
    full = counts > 0
    mean = np.bincount(number, weights=score, minlength=BINS)[full] / counts[full]
    share = np.bincount(number, weights=fake.astype(float), minlength=BINS)[full] / counts[full]
    figure, axes = figures.new()
    axes.plot([0, 1], [0, 1], color=figures.FAINT, linewidth=1)
    axes.bar(
        (np.arange(BINS) + 0.5) / BINS,
        0.2 * counts / counts.max(),
        width=0.9 / BINS,
        color=figures.FAINT,
        label=f"videos (highest bar: {counts.max():,})",
    )
    axes.plot(mean, share, color=figures.INK, marker="o", markersize=4, linewidth=1.4, label="share of fakes")
    axes.set(xlim=(0, 1), ylim=(-0.01, 1.01), xlabel="mean score in the bin", ylabel="share that is FAKE")
    axes.legend(loc="upper left")
    return figure


PART = Plot(
    title="Reliability diagram",
    caption="Labelled videos of {slice}. On the diagonal, of the videos with a score of .8 eight in ten are fakes.",
    draw=_draw,
    needs=(LABELS, PROBABILITY),
)
