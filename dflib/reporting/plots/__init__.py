"""Plots of the report page.

A plot is a module of this package that defines ``PART``, a :class:`Plot`.  The page shows the plots of
:data:`dflib.parts.catalog.PLOTS` in the order of that list.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from dflib.pages import figures
from dflib.parts import catalog
from dflib.reporting.findings import Findings


@dataclass(frozen=True)
class Need:
    """A condition on the findings without which a plot can't be drawn.

    Attributes:
        holds: whether the findings meet it.
        missing: the reason for the reader when they do not, as a clause.
    """

    holds: Callable[[Findings], bool]
    missing: str


LABELS = Need(lambda findings: len(findings.headline_decided) > 0, "no video with a verdict has a label")
BOTH_CLASSES = Need(
    lambda findings: findings.headline_decided["label"].nunique() == 2,
    "the labelled videos with a verdict are of one class only",
)
PROBABILITY = Need(
    lambda findings: findings.pooling_rule.is_probability,
    "the score of this pooling rule is a rank and not a probability",
)


@dataclass(frozen=True)
class Plot:
    """A plot of the report page.

    Attributes:
        title: heading, and alternative text of the image.
        caption: how to read it; ``{slice}`` stands for the slice of the headline, such as ``split=test``.
        draw: makes the figure (:func:`dflib.pages.figures.new`) from findings that meet all needs.
        needs: checked in this order.
    """

    title: str
    caption: str
    draw: Callable[[Findings], Figure]
    needs: tuple[Need, ...] = ()


@dataclass(frozen=True)
class Drawn:
    """A plot on the page: the image as a ``data:`` URI, or the reason why it is missing."""

    title: str
    caption: str
    image: str | None
    missing: str | None


def score_histogram(bins: dict[str, npt.NDArray[np.int64]], threshold: float | None, what: str) -> Figure:
    """Histogram of scores by label.

    Args:
        bins: number of scores in equal bins from 0 to 1, by label; each label is drawn as a share of itself.
        threshold: where a dashed line is drawn; None: nowhere.
        what: the singular of what has a score, such as "video".
    """
    figure, axes = figures.new()
    for label, counts in bins.items():
        if counts.sum() == 0:
            continue
        edges = np.linspace(0, 1, len(counts) + 1)
        share, colour = counts / counts.sum(), figures.COLOURS[label]
        axes.stairs(share, edges, fill=True, alpha=0.45, color=colour, label=f"{label} ({counts.sum():,})")
        axes.stairs(share, edges, color=colour, linewidth=1.2)
    if threshold is not None:
        axes.axvline(threshold, color=figures.INK, linewidth=0.8, linestyle=(0, (4, 3)))
    axes.set(xlim=(0, 1), xlabel=f"p_fake of a {what}", ylabel=f"share of the label's {what}s")
    if any(counts.sum() for counts in bins.values()):
        axes.legend(loc="upper center", ncols=3, bbox_to_anchor=(0.5, 1.14))
    return figure


def load(name: str) -> Plot:
    """The plot of this name."""
    plot = catalog.PLOTS.load(name)
    assert isinstance(plot, Plot)
    return plot


def draw_all(findings: Findings) -> list[Drawn]:
    """All plots in the order of the catalog."""
    return [_drawn(load(name), findings) for name in catalog.PLOTS.names]


def _drawn(plot: Plot, findings: Findings) -> Drawn:
    caption = plot.caption.format(slice=findings.headline_slice)
    missing = next((need.missing for need in plot.needs if not need.holds(findings)), None)
    if missing is not None:
        return Drawn(plot.title, caption, None, missing)
    with figures.style():
        return Drawn(plot.title, caption, figures.svg_uri(plot.draw(findings)), None)
