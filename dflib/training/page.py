"""The training page: one self-contained HTML file about a training, its data and its course."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dflib.config import TrainConfig
from dflib.datasets.training_set import Selection
from dflib.training.spec import FitResult

SPLITS = ("train", "validation")

TOLERANCE = 1e-6
"""Rounding error of an accuracy: Keras computes it in float32."""


@dataclass(frozen=True)
class Baseline:
    """The accuracy of a detector that gives every face of a split the label that most of its faces have.

    Attributes:
        split: the split.
        label: that label, ``FAKE`` or ``REAL``; ``FAKE or REAL`` if there are as many of both.
        accuracy: its share of the split's faces.
    """

    split: str
    label: str
    accuracy: float

    def exceeded_by(self, accuracy: float) -> bool:
        """Whether an accuracy is better than this one."""
        return accuracy > self.accuracy + TOLERANCE


@dataclass(frozen=True)
class ExampleImage:
    """A face as the network sees it, before and after augmentation, both as ``data:`` URIs."""

    label: str
    original: str
    augmented: str


def render(model_id: str, train: TrainConfig, selection: Selection, result: FitResult, examples: Path) -> str:
    """The page as HTML.

    Args:
        model_id: the trained model.
        train: the settings of the training.
        selection: the training set.
        result: the result of the training.
        examples: ``examples.npz`` of the training's work folder.
    """
    from dflib.pages import html

    baselines = {split: majority_baseline(selection, split) for split in SPLITS}
    best = result.best_epoch
    accuracies = {"train": best.accuracy, "validation": best.val_accuracy}
    return html.render(
        "dflib.training",
        "training.html.j2",
        model_id=model_id,
        train=train,
        settings=_flatten(train.model_dump()),
        selection=selection,
        result=result,
        best=best,
        baselines=baselines,
        not_exceeded=[
            (accuracies[split], baselines[split])
            for split in SPLITS
            if not baselines[split].exceeded_by(accuracies[split])
        ],
        curves=[_curve(result, "loss", "Loss", {}), _curve(result, "accuracy", "Accuracy", baselines)],
        images=_example_images(examples),
    )


def majority_baseline(selection: Selection, split: str) -> Baseline:
    """The majority baseline of a split, over the faces selected for it.

    Args:
        selection: a training set; each of its splits ``train`` and ``validation`` holds at least one face.
        split: ``train`` or ``validation``.
    """
    faces = {"REAL": 0, "FAKE": 0}
    for count in selection.counts:
        if count.split == split:
            faces["FAKE" if count.label else "REAL"] += count.faces
    most = max(faces.values())
    label = " or ".join(sorted(label for label, number in faces.items() if number == most))
    return Baseline(split, label, most / sum(faces.values()))


def _flatten(settings: dict[str, Any], prefix: str = "train.") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        flat |= _flatten(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
    return flat


def _curve(result: FitResult, name: str, title: str, baselines: dict[str, Baseline]) -> str:
    """A figure by epoch as an inline SVG element, with the majority baselines as dashed lines."""
    from matplotlib.ticker import MaxNLocator

    from dflib.pages import figures

    epochs = [epoch.epoch for epoch in result.history]
    with figures.style():
        figure, axes = figures.new()
        for column, split in ((name, "train"), (f"val_{name}", "validation")):
            (line,) = axes.plot(epochs, [getattr(epoch, column) for epoch in result.history], label=split, marker=".")
            if split in baselines:
                accuracy = baselines[split].accuracy
                axes.axhline(accuracy, color=line.get_color(), linestyle="--", label=f"majority of {split}")
        axes.axvline(result.best, color="grey", linestyle=":", label=f"kept: epoch {result.best}")
        axes.set(title=title, xlabel="epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend()
        return figures.svg_element(figure)


def _example_images(examples: Path) -> list[ExampleImage]:
    import numpy as np

    with np.load(examples, allow_pickle=False) as arrays:
        return [
            ExampleImage(label.upper(), _data_uri(original), _data_uri(augmented))
            for label in ("real", "fake")
            for original, augmented in zip(arrays[label], arrays[f"{label}_augmented"], strict=True)
        ]


def _data_uri(rgb: Any) -> str:
    """A square uint8 RGB image as a JPEG of at most 128 pixels."""
    import cv2

    from dflib.pages import html

    side = min(rgb.shape[0], 128)
    small = cv2.resize(rgb[:, :, ::-1], (side, side), interpolation=cv2.INTER_AREA)
    encoded, content = cv2.imencode(".jpg", small)
    assert encoded
    return html.data_uri(content.tobytes(), "jpeg")
