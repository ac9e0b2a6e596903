"""Figures of pages as SVG.  The same numbers give the same bytes."""

import contextlib
import io
from collections.abc import Iterator
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dflib.pages.html import data_uri

COLOURS = {"REAL": "#2a6f97", "FAKE": "#d9772b", "unlabelled": "#8a8f98"}
"""Blue and orange differ in lightness too, and can be distinguished with every common kind of colour blindness."""
INK = "#22262e"
FAINT = "#d9dde3"

_STYLE: dict[Any, Any] = {
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


@contextlib.contextmanager
def style() -> Iterator[None]:
    """The style of all figures, for drawing and for :func:`svg_uri`."""
    with matplotlib.rc_context(_STYLE):
        yield


def new() -> tuple[Figure, Axes]:
    """An empty figure of the page's size.  Not from pyplot, which would keep it in global state."""
    figure = Figure(figsize=(4.6, 3.4), layout="constrained")
    return figure, figure.subplots()


def svg_uri(figure: Figure) -> str:
    """The figure as a ``data:`` URI."""
    return data_uri(_svg(figure), "svg+xml")


def svg_element(figure: Figure) -> str:
    """The figure as an ``svg`` element for the middle of a page."""
    svg = _svg(figure).decode()
    return svg[svg.index("<svg") :]


def _svg(figure: Figure) -> bytes:
    content = io.BytesIO()
    figure.savefig(content, format="svg", metadata={"Date": None, "Creator": None})
    return content.getvalue()
