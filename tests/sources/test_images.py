"""Checks of image files, with files written by OpenCV and Pillow."""

import io
import random
import struct
import warnings
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from dflib.errors import DflibError, SourceError
from dflib.sources.images import probe

PIXELS = np.random.default_rng(1).integers(0, 255, (40, 30, 3), np.uint8)
PROGRESSIVE = [cv2.IMWRITE_JPEG_PROGRESSIVE, 1]


def encoded(ending: str, pixels: np.ndarray = PIXELS, options: tuple[int, ...] | list[int] = ()) -> bytes:
    return bytes(cv2.imencode(ending, pixels, list(options))[1])


def saved(form: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(PIXELS).save(buffer, form, **options)
    return buffer.getvalue()


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def forged(width: int, height: int) -> bytes:
    """A small PNG whose header promises another size."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = chunk(b"IDAT", zlib.compress(bytes(1000)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + data + chunk(b"IEND", b"")


@pytest.mark.parametrize(("ending", "kind"), [(".png", "png"), (".jpg", "jpeg")])
def test_probe_returns_format_and_size(ending: str, kind: str) -> None:
    assert probe(encoded(ending)) == (kind, 30, 40)
    assert probe(encoded(ending, PIXELS[..., 0])) == (kind, 30, 40)


def test_probe_accepts_progressive_and_multi_picture_jpeg() -> None:
    assert probe(encoded(".jpg", options=PROGRESSIVE)) == ("jpeg", 30, 40)
    assert probe(saved("MPO", save_all=True, append_images=[Image.fromarray(PIXELS)])) == ("jpeg", 30, 40)


@pytest.mark.parametrize(("orientation", "size"), [(1, (30, 40)), (3, (30, 40)), (6, (40, 30)), (8, (40, 30))])
@pytest.mark.parametrize("form", ["JPEG", "PNG"])
def test_probe_applies_exif_orientation(form: str, orientation: int, size: tuple[int, int]) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    assert probe(saved(form, exif=exif))[1:] == size


@pytest.mark.parametrize("content", [b"", b"text", encoded(".bmp"), encoded(".webp"), saved("GIF"), saved("TIFF")])
def test_probe_rejects_other_formats(content: bytes) -> None:
    with pytest.raises(SourceError, match="neither JPEG nor PNG"):
        probe(content)


@pytest.mark.parametrize("options", [(".png", ()), (".jpg", ()), (".jpg", PROGRESSIVE)])
def test_probe_rejects_truncated_files(options: tuple[str, list[int]]) -> None:
    whole = encoded(options[0], options=options[1])
    assert probe(whole)
    for length in (len(whole) - 1, len(whole) - 20, len(whole) - 200, len(whole) // 2, 20, 9):
        with pytest.raises(SourceError, match=r"truncated|broken|cannot be decoded"):
            probe(whole[:length])


def test_probe_rejects_truncated_jpeg_with_thumbnail() -> None:
    """The end marker of a thumbnail is not that of the image."""
    whole = encoded(".jpg")
    thumbnail = b"Exif\0\0" + whole
    exif = b"\xff\xe1" + struct.pack(">H", len(thumbnail) + 2) + thumbnail
    assert probe(whole[:2] + exif + whole[2:]) == ("jpeg", 30, 40)
    with pytest.raises(SourceError, match="truncated"):
        probe(whole[:2] + exif + whole[2:-300])


@pytest.mark.parametrize("size", [(30_000, 30_000), (10_000, 10_000), (8193, 1), (1, 8193), (0, 5)])
def test_probe_rejects_forged_size_before_decoding(monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]) -> None:
    def decoded(*arguments: object) -> None:
        raise AssertionError("decoded")

    monkeypatch.setattr(cv2, "imdecode", decoded)
    monkeypatch.setattr("PIL.PngImagePlugin.PngImageFile.load", decoded)
    with pytest.raises(SourceError, match=r"pixels|broken"):
        probe(forged(*size))


def test_probe_accepts_longest_side() -> None:
    assert probe(encoded(".png", np.zeros((2, 8192, 3), np.uint8))) == ("png", 8192, 2)


def test_probe_keeps_warning_filters_and_emits_no_warning() -> None:
    exif = Image.Exif()
    exif[0x0110] = "model"
    whole = saved("JPEG", exif=exif)
    broken = whole.replace(b"\x01\x10\x00\x02\x00\x00\x00\x06", b"\x01\x10\x00\x02\x00\x00\xff\xff")
    assert broken != whole
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert probe(broken) == ("jpeg", 30, 40)
        warnings.warn("still reported", UserWarning, stacklevel=1)
    assert [str(warning.message) for warning in caught] == ["still reported"]


@pytest.mark.parametrize("options", [(".png", ()), (".jpg", ()), (".jpg", PROGRESSIVE)])
def test_probe_raises_only_dflib_errors_on_random_bytes(options: tuple[str, list[int]]) -> None:
    whole, numbers = encoded(options[0], options=options[1]), random.Random(3)
    rejected = 0
    for _ in range(500):
        bad = bytearray(whole)
        end = numbers.choice((60, len(bad)))
        for _ in range(numbers.randint(1, 20)):
            bad[numbers.randrange(end)] = numbers.randrange(256)
        if numbers.random() < 0.2:
            del bad[numbers.randrange(1, len(bad)) :]
        try:
            kind, width, height = probe(bytes(bad))
        except DflibError as error:
            assert "<_io" not in str(error)
            rejected += 1
            continue
        assert kind in ("png", "jpeg") and 0 < width <= 8192 and 0 < height <= 8192
    assert rejected > 100


@pytest.mark.shared
def test_probe_agrees_with_opencv_on_sample_crops(sample_data: Path) -> None:
    paths = sorted((sample_data / "face_crops").rglob("*.jpg"))
    assert paths
    for path in paths:
        height, width = cv2.imread(str(path)).shape[:2]
        assert probe(path.read_bytes()) == ("jpeg", width, height)
