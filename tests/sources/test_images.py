"""Crops checked against OpenCV's own encoders."""

import random
import struct
import zlib

import cv2
import numpy as np
import pytest

from dflib.errors import DflibError, SourceError
from dflib.sources.images import probe

PIXELS = np.random.default_rng(1).integers(0, 255, (40, 30, 3), np.uint8)


def encoded(ending: str, pixels: np.ndarray = PIXELS) -> bytes:
    return bytes(cv2.imencode(ending, pixels)[1])


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


@pytest.mark.parametrize(("ending", "kind"), [(".png", "png"), (".jpg", "jpeg")])
def test_format_and_size(ending: str, kind: str) -> None:
    assert probe(encoded(ending)) == (kind, 30, 40)
    assert probe(encoded(ending, PIXELS[..., 0])) == (kind, 30, 40)


@pytest.mark.parametrize("content", [b"", b"text", encoded(".bmp"), encoded(".webp")])
def test_neither(content: bytes) -> None:
    with pytest.raises(SourceError, match="neither JPEG nor PNG"):
        probe(content)


@pytest.mark.parametrize("ending", [".png", ".jpg"])
def test_cut_short(ending: str) -> None:
    whole = encoded(ending)
    for length in (len(whole) // 2, len(whole) - 200, 20, 9):
        with pytest.raises(SourceError):
            probe(whole[:length])


def test_a_forged_size_is_refused_before_it_is_decoded() -> None:
    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    bomb = (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    )
    with pytest.raises(SourceError, match="30000x30000 pixels"):
        probe(bomb)


@pytest.mark.parametrize("ending", [".png", ".jpg"])
def test_random_corruption_raises_nothing_but_our_errors(ending: str) -> None:
    whole, numbers = encoded(ending), random.Random(3)
    for _ in range(200):
        bad = bytearray(whole)
        for _ in range(numbers.randint(1, 20)):
            bad[numbers.randrange(len(bad))] = numbers.randrange(256)
        try:
            kind, width, height = probe(
                bytes(bad[: numbers.randrange(1, len(bad) + 1)] if numbers.random() < 0.2 else bad)
            )
        except DflibError:
            continue
        assert kind in ("png", "jpeg") and width > 0 and height > 0
