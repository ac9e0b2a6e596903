"""Plots of the page as data URIs. The same numbers give the same bytes."""

import base64
import io
from typing import Any

import matplotlib
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dflib.reporting.metrics import roc_curve

Array = npt.NDArray[np.float64]

# Blue and orange differ in lightness too, and for every common kind of colour blindness.
COLOURS = {"REAL": "#2a6f97", "FAKE": "#d9772b", "unlabelled": "#8a8f98"}
INK, FAINT = "#22262e", "#d9dde3"
STYLE: dict[Any, Any] = {
    "svg.hashsalt": "dflib",
    "font.size": 9,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#eef0f3",
    "axes.axisbelow": True,
    "legend.frameon": False,
}
# More points than this can't be told apart on the page.
CURVE_POINTS = 400
RELIABILITY_BINS = 10


def distribution(bins: dict[str, npt.NDArray[np.int64]], limit: float | None, what: str) -> str:
    """Histogram of scores by label: equal bins from 0 to 1, each label as a share of itself; a line at the limit."""
    with matplotlib.rc_context(STYLE):
        figure, axes = _figure()
        for label, counts in bins.items():
            if counts.sum() == 0:
                continue
            edges = np.linspace(0, 1, len(counts) + 1)
            axes.stairs(
                counts / counts.sum(),
                edges,
                fill=True,
                alpha=0.45,
                color=COLOURS[label],
                label=f"{label} ({counts.sum():,})",
            )
            axes.stairs(counts / counts.sum(), edges, color=COLOURS[label], linewidth=1.2)
        if limit is not None:
            axes.axvline(limit, color=INK, linewidth=0.8, linestyle=(0, (4, 3)))
        axes.set(xlim=(0, 1), xlabel=f"p_fake of a {what}", ylabel=f"share of the label's {what}s")
        axes.legend(loc="upper center", ncols=3, bbox_to_anchor=(0.5, 1.14))
        return _data_uri(figure)


def roc(score: Array, fake: npt.NDArray[np.bool_], called: npt.NDArray[np.bool_], caption: str) -> str:
    """ROC with the point of the verdicts ``called``; both classes must be there."""
    false, true = roc_curve(score, fake)
    if len(false) > CURVE_POINTS:
        kept = np.unique(np.linspace(0, len(false) - 1, CURVE_POINTS).round().astype(int))
        false, true = false[kept], true[kept]
    with matplotlib.rc_context(STYLE):
        figure, axes = _figure()
        axes.plot([0, 1], [0, 1], color=FAINT, linewidth=1)
        axes.plot(false, true, color=INK, linewidth=1.6, label=caption)
        axes.plot(
            [called[~fake].mean()],
            [called[fake].mean()],
            marker="o",
            color=COLOURS["FAKE"],
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
        return _data_uri(figure)


def reliability(score: Array, fake: npt.NDArray[np.bool_]) -> str:
    """Share of fakes against mean score in ten equal bins; the bars below say how many videos each stands on."""
    number = np.minimum((score * RELIABILITY_BINS).astype(int), RELIABILITY_BINS - 1)
    counts = np.bincount(number, minlength=RELIABILITY_BINS)
    full = counts > 0
    mean = np.bincount(number, weights=score, minlength=RELIABILITY_BINS)[full] / counts[full]
    share = np.bincount(number, weights=fake.astype(float), minlength=RELIABILITY_BINS)[full] / counts[full]
    with matplotlib.rc_context(STYLE):
        figure, axes = _figure()
        axes.plot([0, 1], [0, 1], color=FAINT, linewidth=1)
        axes.bar(
            (np.arange(RELIABILITY_BINS) + 0.5) / RELIABILITY_BINS,
            0.2 * counts / counts.max(),
            width=0.9 / RELIABILITY_BINS,
            color=FAINT,
            label=f"videos (highest bar: {counts.max():,})",
        )
        axes.plot(mean, share, color=INK, marker="o", markersize=4, linewidth=1.4, label="share of fakes")
        axes.set(xlim=(0, 1), ylim=(-0.01, 1.01), xlabel="mean score in the bin", ylabel="share that is FAKE")
        axes.legend(loc="upper left")
        return _data_uri(figure)


def _figure() -> tuple[Figure, Axes]:
    figure = Figure(figsize=(4.6, 3.4), layout="constrained")
    return figure, figure.subplots()


def _data_uri(figure: Figure) -> str:
    content = io.BytesIO()
    figure.savefig(content, format="svg", metadata={"Date": None})
    return "data:image/svg+xml;base64," + base64.b64encode(content.getvalue()).decode()
