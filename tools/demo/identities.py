"""Artificial identities, derived from two public-domain portraits that ship in Python wheels.

Both portraits are aligned to one canonical pose (eyes and mouth at fixed positions), so that any mixture of them is a
face, a face of one identity fits on the head of another, and the position of the face is known without a detector.
"""

from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import cv2
import matplotlib
import numpy as np
import numpy.typing as npt
import skimage
from PIL import Image

Rgb = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]

# Size in pixels of the canonical figure: head and shoulders, with cloth below down to the lower edge.
WIDTH, HEIGHT = 400, 900
FACE_BOX = (120.0, 116.0, 160.0, 208.0)  # x, y, width, height, as a face detector returns it
_CANONICAL = np.array([(160, 190), (240, 190), (200, 268)], np.float32)  # left eye, right eye, middle of the mouth
_CLOTH_TOP = 440  # the portraits end above this row

# The same three points in each portrait, in its own pixels.
_ASTRONAUT = np.array([(204, 100), (245, 102), (223, 139.5)], np.float32)
_HOPPER = np.array([(220, 190), (308, 186), (268, 275)], np.float32)


@dataclass(frozen=True)
class Identity:
    """One artificial person.

    Attributes
    ----------
    name : str
        ``id_000`` and so on.
    figure : float32 array, HEIGHT x WIDTH x 3, RGB, 0..255
        The person from the front, in the canonical pose.
    mask : float32 array, HEIGHT x WIDTH, 0..1
        Opacity of the person over the background.
    """

    name: str
    figure: Floats
    mask: Floats


@lru_cache(maxsize=128)
def identity(seed: int, index: int) -> Identity:
    """Return the identity of a number; it depends on the seed and the number alone.

    Parameters
    ----------
    seed, index : int
        The data set's seed and the number of the identity, both >= 0.
    """
    random = np.random.default_rng([seed, 1, index])
    astronaut, hopper = _portraits()
    # Each portrait dominates half of any sequence of identities, for any stride; the share of the other is random.
    share = random.uniform(0.0, 0.45)
    share = share if index * 0.618 % 1 < 0.5 else 1 - share
    figure = share * astronaut + (1 - share) * hopper
    if random.random() < 0.5:
        figure = figure[:, ::-1]
    figure = _recoloured(_warped(figure, random), random)
    # Skin is never smooth.  The texture belongs to the person, so it is lost where a face is resampled.
    grain = cv2.GaussianBlur(random.standard_normal((HEIGHT, WIDTH)).astype(np.float32), (0, 0), 1.0)
    figure = figure * (1 + 0.2 * grain[..., None])
    return Identity(f"id_{index:03d}", np.clip(figure, 0, 255).astype(np.float32), _silhouette())


def swapped(target: Identity, donor: Identity, random: np.random.Generator) -> Identity:
    """Blend the face of one identity into the head of another, like a deepfake of modest quality.

    The face is resampled at a low resolution, keeps some of its own colour and is blended along an ellipse inside
    `FACE_BOX`: nothing outside the box changes.

    Parameters
    ----------
    target : Identity
        The identity whose head, body and name are kept.
    donor : Identity
        The identity whose face is blended in.
    random : numpy Generator
        Source of the resolution, colour error and mask of this fake.
    """
    x, y, w, h = (int(v) for v in FACE_BOX)
    here = target.figure[y : y + h, x : x + w]
    face = donor.figure[y : y + h, x : x + w]
    low = int(random.integers(44, 57))  # width of the face in pixels, as a small generator returns it
    small = cv2.resize(face, (low, low * h // w), interpolation=cv2.INTER_AREA)
    face = np.asarray(cv2.resize(small, (w, h), interpolation=cv2.INTER_LINEAR), np.float32)
    # Mean colours are matched, with an error.
    face = face + 0.8 * (here.mean((0, 1)) - face.mean((0, 1))) + random.normal(0, 8, 3)
    drawn: Any = np.zeros((h, w), np.float32)
    centre = (w // 2 + int(random.integers(-4, 5)), int(h * 0.56) + int(random.integers(-4, 5)))
    axes = (int(w * random.uniform(0.38, 0.42)), int(h * random.uniform(0.36, 0.4)))
    cv2.ellipse(drawn, centre, axes, 0, 0, 360, (1.0,), -1)
    blend = np.asarray(cv2.GaussianBlur(drawn, (0, 0), random.uniform(1.5, 3.5)), np.float32)[..., None]
    figure = target.figure.copy()
    figure[y : y + h, x : x + w] = np.clip(face * blend + here * (1 - blend), 0, 255)
    return Identity(target.name, figure, target.mask)


@cache
def _portraits() -> tuple[Floats, Floats]:
    """Return the astronaut and Grace Hopper in the canonical pose, float32 RGB 0..255."""
    astronaut = Path(skimage.__file__).parent / "data" / "astronaut.png"
    hopper = Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"
    return _canonical(astronaut, _ASTRONAUT), _canonical(hopper, _HOPPER)


def _canonical(path: Path, points: Floats) -> Floats:
    """Read a portrait and align its eyes and mouth to the canonical positions."""
    with Image.open(path) as image:  # OpenCV warns about the colour profile on stderr
        rgb = np.asarray(image.convert("RGB"))
    aligned = cv2.warpAffine(
        rgb,
        cv2.getAffineTransform(points, _CANONICAL),
        (WIDTH, HEIGHT),
        flags=cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REPLICATE,
    ).astype(np.float32)
    # Below the portrait, cloth of one colour fades in.
    cloth = aligned[_CLOTH_TOP - 40 : _CLOTH_TOP].mean((0, 1))
    fade = np.clip((np.arange(HEIGHT) - (_CLOTH_TOP - 60)) / 60, 0, 1).astype(np.float32)[:, None, None]
    return np.asarray(aligned * (1 - fade) + cloth * fade, np.float32)


def _warped(figure: Floats, random: np.random.Generator) -> Floats:
    """Warp a figure smoothly: other proportions, and a random displacement field."""
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    x, y, w, h = FACE_BOX
    wide, tall = random.uniform(0.9, 1.12), random.uniform(0.92, 1.1)
    jaw = random.uniform(-0.12, 0.12)  # narrower or wider towards the chin
    down = (rows - (y + h / 2)) / h
    across = columns - (x + w / 2)
    columns = x + w / 2 + across / (wide * (1 + jaw * np.clip(down, -1, 1)))
    rows = y + h / 2 + (rows - (y + h / 2)) / tall
    field = random.normal(0, 7, (9, 5, 2)).astype(np.float32)
    bend = cv2.resize(field, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    return np.asarray(
        cv2.remap(
            figure,
            (columns + bend[..., 0]).astype(np.float32),
            (rows + bend[..., 1]).astype(np.float32),
            cv2.INTER_CUBIC,
            borderMode=cv2.BORDER_REPLICATE,
        ),
        np.float32,
    )


def _recoloured(figure: Floats, random: np.random.Generator) -> Floats:
    """Change brightness, contrast and tint of the person, and separately the colour of the clothes."""
    # L is 0..100, a and b are signed.
    lab: Any = cv2.cvtColor(np.clip(figure / 255, 0, 1).astype(np.float32), cv2.COLOR_RGB2LAB)
    lab[..., 0] = (lab[..., 0] - 50) * random.uniform(0.8, 1.1) + 50 * random.uniform(0.8, 1.15)
    lab[..., 1:] += random.normal(0, (6, 9))
    clothes = np.clip((np.arange(HEIGHT) - 330) / 40, 0, 1).astype(np.float32)[:, None, None]
    lab[..., 1:] += clothes * random.normal(0, 30, 2)
    return np.asarray(np.clip(cv2.cvtColor(lab.astype(np.float32), cv2.COLOR_LAB2RGB), 0, 1) * 255, np.float32)


@cache
def _silhouette() -> Floats:
    """Return the mask of a head and shoulders with a soft edge, float32 0..1."""
    mask: Any = np.zeros((HEIGHT, WIDTH), np.float32)
    cv2.ellipse(mask, (200, 185), (118, 165), 0, 0, 360, (1.0,), -1)
    cv2.ellipse(mask, (200, 560), (185, 210), 0, 0, 360, (1.0,), -1)
    cv2.rectangle(mask, (15, 560), (385, HEIGHT), (1.0,), -1)
    return np.asarray(cv2.GaussianBlur(mask, (0, 0), 4), np.float32)
