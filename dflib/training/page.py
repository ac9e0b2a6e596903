"""The training page: one self-contained HTML file that says what was learnt, on what, and how it went."""

import base64
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dflib.config import TrainConfig
from dflib.datasets.training_set import Selection
from dflib.training.spec import FitResult


@dataclass(frozen=True)
class Picture:
    """A face as the network sees it, plain and augmented, both as ``data:`` URIs."""

    label: str
    plain: str
    augmented: str


def render(model_id: str, train: TrainConfig, selection: Selection, result: FitResult, examples: Path) -> str:
    """The page as HTML.

    Args:
        model_id: the model that was trained.
        train: the settings it was trained with.
        selection: the training set.
        result: how the training went.
        examples: ``examples.npz`` of the training's work folder.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("dflib.training", package_path=""), autoescape=True, undefined=StrictUndefined
    )
    return environment.get_template("training.html.j2").render(
        model_id=model_id,
        train=train,
        settings=_flat(train.model_dump()),
        selection=selection,
        result=result,
        best=result.best_epoch,
        curves=[_curve(result, "loss", "Loss"), _curve(result, "accuracy", "Accuracy")],
        pictures=_pictures(examples),
    )


def _flat(settings: dict[str, Any], prefix: str = "train.") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
    return flat


def _curve(result: FitResult, name: str, title: str) -> str:
    """One figure as an inline SVG element."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    # A Figure of its own: pyplot would keep global state.
    figure = Figure(figsize=(5.2, 3.2), layout="constrained")
    axes = figure.add_subplot()
    epochs = [epoch.epoch for epoch in result.history]
    for column, label in ((name, "train"), (f"val_{name}", "validation")):
        axes.plot(epochs, [getattr(epoch, column) for epoch in result.history], label=label, marker=".")
    axes.axvline(result.best, color="grey", linestyle=":", label=f"kept: epoch {result.best}")
    axes.set(title=title, xlabel="epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend()
    svg = io.StringIO()
    figure.savefig(svg, format="svg", metadata={"Date": None, "Creator": None})
    return svg.getvalue()[svg.getvalue().index("<svg") :]


def _pictures(examples: Path) -> list[Picture]:
    import numpy as np

    with np.load(examples, allow_pickle=False) as arrays:
        return [
            Picture(label.upper(), _data_uri(plain), _data_uri(augmented))
            for label in ("real", "fake")
            for plain, augmented in zip(arrays[label], arrays[f"{label}_augmented"], strict=True)
        ]


def _data_uri(rgb: Any) -> str:
    import cv2

    side = min(rgb.shape[0], 128)
    small = cv2.resize(rgb[:, :, ::-1], (side, side), interpolation=cv2.INTER_AREA)
    done, encoded = cv2.imencode(".jpg", small)
    assert done
    return "data:image/jpeg;base64," + base64.b64encode(encoded.tobytes()).decode()
