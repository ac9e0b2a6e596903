"""Scenes: people in motion before a background, and their images.

Everything but the faces depends on the scene alone.  An original and its fakes share the scene, so that they differ
in the face only.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from tools.demo.identities import FACE_BOX, HEIGHT, WIDTH, Identity

Rgb = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]
Box = tuple[float, float, float, float]

KINDS = ("normal", "two_people", "portrait_on_wall", "dark", "no_face", "rotated")
RATES = (Fraction(15), Fraction(24000, 1001), Fraction(25), Fraction(30), Fraction(30000, 1001))


@dataclass(frozen=True)
class Motion:
    """The path of one face through a scene.

    Attributes
    ----------
    start, end : tuple of float
        Centre of the face in the first and in the last image, in displayed pixels.
    face_width : float
        Width of the face in displayed pixels.
    nod, tilt : float
        Amplitude of the nod in pixels and of the tilt in degrees.
    phase : float
        Phase of the nod at the start of the clip, in radians.
    """

    start: tuple[float, float]
    end: tuple[float, float]
    face_width: float
    nod: float
    tilt: float
    phase: float

    def at(self, time: float) -> tuple[Floats, Box]:
        """Return the 2x3 matrix that places the canonical figure, and the face's box, at a time of 0..1."""
        scale = self.face_width / FACE_BOX[2]
        swing = np.sin(2 * np.pi * time + self.phase)
        x = self.start[0] + (self.end[0] - self.start[0]) * time
        y = self.start[1] + (self.end[1] - self.start[1]) * time + self.nod * swing
        middle = (FACE_BOX[0] + FACE_BOX[2] / 2, FACE_BOX[1] + FACE_BOX[3] / 2)
        matrix: Any = cv2.getRotationMatrix2D(middle, self.tilt * swing, scale)
        matrix[:, 2] += (x - middle[0], y - middle[1])
        width, height = FACE_BOX[2] * scale, FACE_BOX[3] * scale
        return matrix.astype(np.float32), (x - width / 2, y - height / 2, width, height)


@dataclass(frozen=True)
class Scene:
    """A background, a camera and the motions of the people, without the people themselves.

    Attributes
    ----------
    kind : str
        One of `KINDS`.
    seed : tuple of int
        Seed of the background.
    width, height : int
        Displayed size in pixels.
    fps : Fraction
        Frames per second.
    frames : int
        Number of frames.
    rotation : int
        Degrees clockwise by which a reader must rotate the stored images.
    motions : tuple of Motion
        One for each person, the rearmost first.
    portrait : Box or None
        The face of a framed portrait on the wall, in pixels.
    brightness : float
        Factor of the brightness; 1 is normal.
    """

    kind: str
    seed: tuple[int, ...]
    width: int
    height: int
    fps: Fraction
    frames: int
    rotation: int
    motions: tuple[Motion, ...]
    portrait: Box | None
    brightness: float

    def boxes(self) -> list[list[Box]]:
        """Return the boxes of each person's face, [person][frame], x, y, width, height in displayed pixels."""
        return [[motion.at(self._time(number))[1] for number in range(self.frames)] for motion in self.motions]

    def _time(self, number: int) -> float:
        return number / max(1, self.frames - 1)

    def images(self, people: tuple[Identity, ...], on_wall: Identity | None, noise_seed: int) -> Iterator[Rgb]:
        """Yield the images of the scene with these people in it.

        Parameters
        ----------
        people : tuple of Identity
            One for each motion, in the same order.
        on_wall : Identity, optional
            The person in the portrait on the wall.
        noise_seed : int
            Seed of the camera noise, different for each recording.

        Yields
        ------
        uint8 array, height x width x 3, RGB
        """
        if len(people) != len(self.motions) or (on_wall is None) != (self.portrait is None):
            raise ValueError("the number of people does not match the scene")
        background = self._background(on_wall)
        sprites = [(person.figure.astype(np.uint8), person.mask) for person in people]
        random = np.random.default_rng([*self.seed, noise_seed])
        noise = random.normal(0, 2.5, (self.height + 64, self.width + 64, 1)).astype(np.int16).repeat(3, 2)
        for number in range(self.frames):
            time = self._time(number)
            image: Any = background.copy()
            for (figure, mask), motion in zip(sprites, self.motions, strict=True):
                matrix, _ = motion.at(time)
                _paint(image, figure, mask, matrix)
            if self.kind == "no_face":
                ball = (int(self.width * (0.2 + 0.6 * time)), int(self.height * 0.6))
                cv2.circle(image, ball, self.height // 12, (180, 120, 60), -1, cv2.LINE_AA)
            if self.brightness != 1:
                image = cv2.convertScaleAbs(image, alpha=self.brightness)
            down, right = random.integers(0, 64, 2)
            grain = noise[down : down + self.height, right : right + self.width]
            yield np.asarray(cv2.add(image, grain, dtype=cv2.CV_8U), np.uint8)

    def _background(self, on_wall: Identity | None) -> Rgb:
        """Return a room of coloured patches, with the framed portrait if the scene has one; uint8 RGB."""
        random = np.random.default_rng(self.seed)
        # Greyish walls: half of the colour is shared by all three channels.
        coarse = (random.uniform(50, 200, (4, 6, 1)) + random.uniform(50, 200, (4, 6, 3))).astype(np.float32) / 2
        room: Any = cv2.resize(coarse, (self.width, self.height), interpolation=cv2.INTER_CUBIC)
        for _ in range(6):  # furniture
            x, y = random.uniform(0, (self.width, self.height))
            w, h = random.uniform(0.05, 0.3, 2) * (self.width, self.height)
            colour = [float(c) for c in random.uniform(30, 220, 3)]
            cv2.rectangle(room, (int(x), int(y)), (int(x + w), int(y + h)), colour, -1)
        texture = cv2.GaussianBlur(random.normal(0, 12, room.shape[:2]).astype(np.float32), (0, 0), 1.0)
        room = np.clip(room + texture[..., None], 0, 255).astype(np.uint8)
        if on_wall is not None and self.portrait is not None:
            x, y, w, h = self.portrait
            scale = w / FACE_BOX[2]
            left, top = int(x - 0.6 * w), int(y - 0.55 * h)
            right, bottom = int(x + 1.6 * w), int(y + 1.45 * h)
            matrix = np.array([[scale, 0, x - FACE_BOX[0] * scale], [0, scale, y - FACE_BOX[1] * scale]], np.float32)
            # Anti-aliasing, since the figure is reduced.
            figure = cv2.GaussianBlur(on_wall.figure, (0, 0), 0.4 / scale).astype(np.uint8)
            hung: Any = cv2.warpAffine(figure, matrix, (self.width, self.height))
            cv2.rectangle(room, (left - 6, top - 6), (right + 5, bottom + 5), (90, 60, 30), -1)
            room[top:bottom, left:right] = hung[top:bottom, left:right]
        return np.asarray(room, np.uint8)


def _paint(image: Rgb, figure: Rgb, mask: Floats, matrix: Floats) -> None:
    """Blend a canonical figure into an image, in place, at the position of the 2x3 matrix."""
    corners = matrix @ np.array([(0, WIDTH, 0, WIDTH), (0, 0, HEIGHT, HEIGHT), (1, 1, 1, 1)], np.float32)
    left, top = (max(0, int(low)) for low in corners.min(1))
    right, bottom = (int(high) for high in corners.max(1))
    part: Any = image[top : max(bottom, 0), left : max(right, 0)]
    if not part.size:
        return
    placed = matrix - np.array([(0, 0, left), (0, 0, top)], np.float32)
    size = (part.shape[1], part.shape[0])
    front = cv2.warpAffine(figure, placed, size)
    cover: Any = cv2.warpAffine(mask, placed, size)
    part[:] = cv2.blendLinear(front, part, cover, 1 - cover)


def draw_scene(kind: str, seed: tuple[int, ...], *, seconds: float, short_side: int) -> Scene:
    """Return a random scene of a kind.

    Parameters
    ----------
    kind : str
        One of `KINDS`.
    seed : tuple of int
        Seed of the scene.
    seconds : float
        Length of the clip in seconds.
    short_side : int
        Shorter side of most clips in pixels; one in eight is 1.5 times as large.
    """
    if kind not in KINDS:
        raise ValueError(f"unknown kind of scene {kind!r}; known: {', '.join(KINDS)}")
    random = np.random.default_rng([*seed, 7])
    short = short_side * 3 // 2 if random.random() < 1 / 8 and kind == "normal" else short_side
    short -= short % 2
    long = round(short * 16 / 9 / 2) * 2
    upright = {"two_people": False, "portrait_on_wall": False, "rotated": True}.get(kind, random.random() < 0.3)
    width, height = (short, long) if upright else (long, short)
    fps = RATES[int(random.integers(len(RATES)))]
    motions: list[Motion] = []
    portrait = None
    if kind == "two_people":
        # They cross: the person behind walks to the right, the person in front, who is nearer, to the left.
        for share, (begin, finish) in ((0.3, (0.2, 0.78)), (0.36, (0.8, 0.22))):
            motions.append(_walk(random, short * share, width * begin, width * finish, height * 0.5))
    elif kind != "no_face":
        face = short * random.uniform(0.32, 0.4)
        distance = face * random.uniform(0.25, 0.6) * random.choice((-1, 1))
        middle = width * random.uniform(0.45, 0.55)
        if kind == "portrait_on_wall":
            middle = width * 0.68
            portrait = (width * 0.16, height * 0.22, short * 0.14, short * 0.14 * FACE_BOX[3] / FACE_BOX[2])
        motions.append(
            _walk(random, face, middle - distance / 2, middle + distance / 2, height * (0.38 if upright else 0.5))
        )
    return Scene(
        kind=kind,
        seed=seed,
        width=width,
        height=height,
        fps=fps,
        frames=max(2, round(seconds * fps)),
        rotation=90 if kind == "rotated" else 0,
        motions=tuple(motions),
        portrait=portrait,
        brightness=0.12 if kind == "dark" else 1.0,
    )


def _walk(random: np.random.Generator, face: float, begin: float, finish: float, y: float) -> Motion:
    return Motion(
        start=(begin, y),
        end=(finish, y + random.uniform(-0.1, 0.1) * face),
        face_width=face,
        nod=face * random.uniform(0.02, 0.06),
        tilt=random.uniform(2, 6),
        phase=random.uniform(0, 2 * np.pi),
    )
