"""The training page: figures beside their majority baseline, controls marked as such, names escaped."""

import re
from pathlib import Path

import numpy as np
import pytest

from dflib.datasets.training_set import Count, Selection
from dflib.pages import html as page_style
from dflib.training import page
from dflib.training.spec import Epoch, FitResult
from tests.training.synthetic_faces import configuration

COUNTS = (
    Count("train", 0, 1200, 30),
    Count("train", 1, 1300, 31),
    Count("validation", 0, 3, 2),
    Count("validation", 1, 5, 3),
)


def select(*counts: Count, extractor: str = "e", crossing_videos: int = 0) -> Selection:
    return Selection("abc", extractor, None, counts, {"train": 30, "validation": 3}, crossing_videos)  # type: ignore[arg-type]


def render(tmp_path: Path, selection: Selection, *overrides: str, val_accuracy: float = 0.625) -> str:
    arrays = {name: np.zeros((2, 32, 32, 3), np.uint8) for name in ("real", "fake", "real_augmented", "fake_augmented")}
    np.savez(tmp_path / "examples.npz", **arrays)
    history = (Epoch(1, 0.7, 0.51, 0.69, 0.5, 1.0), Epoch(2, 0.6, 0.6, 0.65, val_accuracy, 1.5))
    result = FitResult(history, 2, 28073, {"train": 0, "validation": 3}, ("CPU",))
    return page.render("m", configuration(tmp_path, *overrides).train, selection, result, tmp_path / "examples.npz")


def warnings(html: str) -> list[str]:
    """Texts of the warnings, with single spaces."""
    found = re.findall(r'<p class="warning">(.*?)</p>', html, re.DOTALL)
    return [re.sub(r"\s+", " ", text) for text in found]


def test_render_shows_figures_counts_and_images(tmp_path: Path) -> None:
    html = re.sub(r"\s+", " ", render(tmp_path, select(*COUNTS, crossing_videos=4), val_accuracy=0.75))
    for text in (
        "0.6500",
        "0.750",
        "28,073",
        "1,300",
        "2.5 s on CPU",
        "4 videos were left out",
        "3 images of validation could not be read",
    ):
        assert text in html, text
    assert warnings(html) == [] and html.count('src="data:image/jpeg;base64,') == 8


def test_render_shows_the_majority_baseline_of_the_split_beside_each_accuracy(tmp_path: Path) -> None:
    html = re.sub(r"\s+", " ", render(tmp_path, select(*COUNTS), val_accuracy=0.75))
    assert "validation accuracy 0.750 (majority baseline 0.625)" in html
    assert "0.520 (FAKE) for train, 0.625 (FAKE) for validation." in html
    rows = html[html.index("<h2>Epochs</h2>") :]
    assert re.findall(r"\d\.\d{3} / \d\.\d{3}", rows) == [
        "0.510 / 0.520",
        "0.500 / 0.625",
        "0.600 / 0.520",
        "0.750 / 0.625",
    ]
    assert html.count("majority of ") == 2, "a line for each split in the figure of accuracies"


@pytest.mark.parametrize("val_accuracy", [0.4, 0.625, float(np.float32(0.625) + np.float32(6e-8))])
def test_render_warns_when_the_accuracy_does_not_exceed_the_baseline(tmp_path: Path, val_accuracy: float) -> None:
    (warning,) = warnings(render(tmp_path, select(*COUNTS), val_accuracy=val_accuracy))
    assert "Not better than the majority" in warning
    assert f"the validation accuracy of {val_accuracy:.3f} does not exceed 0.625" in warning
    assert "calling every face FAKE" in warning


@pytest.mark.parametrize(
    ("real", "fake", "label", "accuracy"),
    [(3, 1, "REAL", 0.75), (1, 3, "FAKE", 0.75), (2, 2, "FAKE or REAL", 0.5), (0, 7, "FAKE", 1.0)],
)
def test_majority_baseline_is_the_larger_share_of_the_split(real: int, fake: int, label: str, accuracy: float) -> None:
    counts = [Count("validation", number, faces, 1) for number, faces in enumerate((real, fake)) if faces]
    found = page.majority_baseline(select(Count("train", 0, 90, 9), Count("train", 1, 1, 1), *counts), "validation")
    assert (found.label, found.accuracy) == (label, accuracy)


@pytest.mark.parametrize(
    ("override", "text"),
    [("train.shuffle_labels=true", "labels were permuted"), ("train.view.blank_face=true", "filled with grey")],
)
def test_render_marks_controls(tmp_path: Path, override: str, text: str) -> None:
    (warning,) = warnings(render(tmp_path, select(*COUNTS), override, val_accuracy=0.75))
    assert "A control, not a detector" in warning and text in warning


def test_render_escapes_names(tmp_path: Path) -> None:
    html = render(tmp_path, select(*COUNTS, extractor="<script>alert(1)</script>"))
    assert "<script>" not in html and "&lt;script&gt;" in html


def test_render_uses_the_style_and_the_policy_of_all_pages(tmp_path: Path) -> None:
    html = render(tmp_path, select(*COUNTS))
    assert "script-src &#39;none&#39;" in html
    assert (Path(page_style.__file__).parent / "page.css").read_text().strip() in html
