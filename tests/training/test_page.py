"""The training page: controls are marked as such, and names can't break out of it."""

from pathlib import Path

import numpy as np
import pytest

from dflib.datasets.training_set import Count, Selection
from dflib.training import page
from dflib.training.spec import Epoch, FitResult
from tests.training.synthetic_faces import configuration


def render(tmp_path: Path, *overrides: str, extractor: str = "e", joiners: int = 0) -> str:
    arrays = {name: np.zeros((2, 32, 32, 3), np.uint8) for name in ("real", "fake", "real_augmented", "fake_augmented")}
    np.savez(tmp_path / "examples.npz", **arrays)
    history = (Epoch(1, 0.7, 0.5, 0.69, 0.5, 1.0), Epoch(2, 0.6, 0.6, 0.65, 0.625, 1.5))
    counts = (Count("train", 0, 1200, 30), Count("train", 1, 1300, 31), Count("validation", 1, 7, 3))
    chosen = Selection("abc", extractor, None, counts, {"train": 30, "validation": 3}, joiners)  # type: ignore[arg-type]
    result = FitResult(history, 2, 28073, {"train": 0, "validation": 3}, ("CPU",))
    return page.render("m", configuration(tmp_path, *overrides).train, chosen, result, tmp_path / "examples.npz")


def test_it_says_what_was_done(tmp_path: Path) -> None:
    html = render(tmp_path, joiners=4)
    for text in (
        "0.6500",
        "0.625",
        "28,073",
        "1,300",
        "2.5 s on CPU",
        "4 videos were left out",
        "3 pictures of validation",
    ):
        assert text in html, text
    assert "A control" not in html and html.count('src="data:image/jpeg;base64,') == 8


@pytest.mark.parametrize(
    ("override", "text"),
    [("train.shuffle_labels=true", "labels were permuted"), ("train.view.blank_face=true", "filled with grey")],
)
def test_a_control_is_marked(tmp_path: Path, override: str, text: str) -> None:
    assert text in render(tmp_path, override)


def test_names_are_escaped(tmp_path: Path) -> None:
    html = render(tmp_path, extractor="<script>alert(1)</script>")
    assert "<script>" not in html and "&lt;script&gt;" in html
