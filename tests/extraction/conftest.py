"""Small media with known content, encoded here."""

from collections.abc import Iterator
from pathlib import Path

import av
import cv2
import matplotlib
import numpy as np
import pytest
from numpy.typing import NDArray

from dflib.config import Config
from dflib.config import load as conf_files
from dflib.extraction.detectors.mtcnn import Mtcnn
from dflib.media.frame import Frame, FrameRequest

HOME = Path(__file__).parent.parent.parent
Rgb = NDArray[np.uint8]


def numbered(count: int, width: int = 128, height: int = 96) -> Iterator[Rgb]:
    """Images of moving noise: no two are equal, and inter prediction has work to do."""
    noise = np.random.default_rng(7).integers(0, 255, (height * 2, width * 2, 3), dtype=np.uint8)
    noise = cv2.GaussianBlur(noise, (0, 0), 2)
    for number in range(count):
        x, y = (3 * number) % width, (2 * number) % height
        yield np.ascontiguousarray(noise[y : y + height, x : x + width])


def as_frame(rgb: Rgb) -> Frame:
    """An image as if it had been decoded."""
    decoded = av.VideoFrame.from_ndarray(rgb, format="rgb24")
    return Frame(FrameRequest(0, 0.0), 0.0, decoded)


def with_portrait(portrait: Rgb, count: int, width: int = 320, height: int = 240, step: int = 3) -> Iterator[Rgb]:
    """Images of a room in which one person moves to the right by ``step`` pixels per image."""
    small = cv2.resize(portrait, (120, 140), interpolation=cv2.INTER_AREA)
    for number in range(count):
        image = np.full((height, width, 3), (70, 110, 90), np.uint8)
        x = 40 + step * number
        image[60:200, x : x + 120] = small
        yield image


@pytest.fixture(scope="session")
def portrait() -> Rgb:
    """A real face: the public-domain portrait in matplotlib's sample data, uint8 RGB."""
    path = Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"
    return np.asarray(cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB), dtype=np.uint8)


@pytest.fixture(scope="session")
def mtcnn() -> Mtcnn:
    """The detector as configured, loaded once."""
    return Mtcnn(0.7)


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """The base configuration with few frames a clip and tables below an empty folder."""
    overrides = [f"tables.root={tmp_path}/tables", "sampling.frames=even:4"]
    return conf_files.load(HOME / "conf", "local", overrides)
