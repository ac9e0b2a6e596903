"""Plots: each part draws from findings, and says what is missing."""

import base64
import importlib
import pkgutil
from xml.etree import ElementTree

import numpy as np
import pytest

from dflib.pages import figures
from dflib.parts import catalog
from dflib.reporting import plots
from dflib.reporting.findings import SCORE_BINS, Findings
from tests.reporting.made_findings import findings, video

LABELLED = [video(f"v{n}", n / 20, "FAKE" if n > 9 or n == 3 else "REAL") for n in range(20)]


def drawn(found: Findings) -> dict[str, plots.Drawn]:
    return dict(zip(catalog.PLOTS.names, plots.draw_all(found), strict=True))


def test_catalog_lists_exactly_the_modules() -> None:
    package = importlib.import_module(catalog.PLOTS.package)
    assert {module.name for module in pkgutil.iter_modules(package.__path__)} == set(catalog.PLOTS.names)


@pytest.mark.parametrize("name", catalog.PLOTS.names)
def test_plot_is_a_valid_svg_with_the_same_bytes_every_time(name: str) -> None:
    plot, again = drawn(findings(LABELLED))[name], drawn(findings(LABELLED))[name]
    assert plot.image is not None and plot.missing is None
    assert plot.title and plot.caption and "{" not in plot.caption
    kind, _, content = plot.image.partition(",")
    assert kind == "data:image/svg+xml;base64"
    assert ElementTree.fromstring(base64.b64decode(content)).tag.endswith("svg")
    assert again.image == plot.image


def test_plots_that_need_labels_say_that_they_are_missing() -> None:
    without = drawn(findings([video("a", 0.2), video("b", 0.7)]))
    assert without["video_scores"].image and without["face_scores"].image
    for name in ("roc", "reliability"):
        assert without[name].image is None and "has a label" in str(without[name].missing)


def test_roc_needs_both_classes() -> None:
    one_class = drawn(findings([video("a", 0.2, "FAKE"), video("b", 0.7, "FAKE"), video("c", 0.1)]))
    assert "one class" in str(one_class["roc"].missing)
    assert one_class["reliability"].image


def test_reliability_needs_a_probability() -> None:
    rows = [row | {"run:3_p": row["mean_p"], "run:3_fake": row["mean_fake"]} for row in LABELLED]
    ranked = drawn(findings(rows, rules=("run:3",)))
    assert "rank" in str(ranked["reliability"].missing) and ranked["roc"].image


def test_roc_goes_through_the_point_of_the_verdicts() -> None:
    found = findings(LABELLED)
    score, fake, called = found.headline_scores
    with figures.style():
        (axes,) = plots.load("roc").draw(found).axes
    chance, curve, point = axes.lines
    assert list(chance.get_xdata()) == [0, 1]
    false_rate, true_rate = (score[~fake] > 0.5).mean(), (score[fake] > 0.5).mean()
    assert (point.get_xdata()[0], point.get_ydata()[0]) == (false_rate, true_rate)
    assert (false_rate, true_rate) in set(zip(curve.get_xdata(), curve.get_ydata(), strict=True))
    assert called.sum() == (score > 0.5).sum()


def test_reliability_shows_the_share_of_fakes_by_bin() -> None:
    with figures.style():
        (axes,) = plots.load("reliability").draw(findings(LABELLED)).axes
    share = axes.lines[1].get_ydata()
    # Two videos in each bin of a tenth: v2 and v3 share one, and v3 is FAKE.
    np.testing.assert_allclose(share, [0, 0.5, 0, 0, 0, 1, 1, 1, 1, 1])


def test_video_bins_count_each_video_with_a_verdict_once() -> None:
    bins = findings([*LABELLED, video("one", 1.0), video("none", None)]).video_bins
    assert {label: int(counts.sum()) for label, counts in bins.items()} == {"REAL": 9, "FAKE": 11, "unlabelled": 1}
    assert bins["unlabelled"][SCORE_BINS - 1] == 1 and bins["FAKE"][3] == 1


@pytest.mark.parametrize(("rule", "lines"), [("mean", 1), ("run:3", 0)])
def test_video_scores_mark_a_fixed_threshold(rule: str, lines: int) -> None:
    rows = [row | {"run:3_p": row["mean_p"], "run:3_fake": row["mean_fake"]} for row in LABELLED]
    with figures.style():
        (axes,) = plots.load("video_scores").draw(findings(rows, rules=(rule,))).axes
    assert len(axes.lines) == lines
