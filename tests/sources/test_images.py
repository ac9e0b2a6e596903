"""Image files, written by OpenCV and Pillow; the pixels that were written are the truth."""

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
from dflib.sources.images import MAX_SCANS, Picture, read

PIXELS = np.random.default_rng(1).integers(0, 255, (40, 30, 3), np.uint8)
PROGRESSIVE = [cv2.IMWRITE_JPEG_PROGRESSIVE, 1]


def encoded(ending: str, pixels: np.ndarray = PIXELS, options: tuple[int, ...] | list[int] = ()) -> bytes:
    return bytes(cv2.imencode(ending, pixels, list(options))[1])


def saved(form: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(PIXELS).save(buffer, form, **options)
    return buffer.getvalue()


def probe(content: bytes) -> tuple[str, int, int]:
    picture = read(content)
    return picture.format, picture.width, picture.height


def shown(picture: Picture) -> np.ndarray:
    """Pixels of what is stored, as later steps decode it."""
    return cv2.imdecode(np.frombuffer(picture.content, np.uint8), cv2.IMREAD_COLOR)


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def forged(width: int, height: int) -> bytes:
    """A small PNG whose header promises another size."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = chunk(b"IDAT", zlib.compress(bytes(1000)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + data + chunk(b"IEND", b"")


@pytest.mark.parametrize(("ending", "kind"), [(".png", "png"), (".jpg", "jpeg")])
def test_read_returns_format_and_size(ending: str, kind: str) -> None:
    assert probe(encoded(ending)) == (kind, 30, 40)
    assert probe(encoded(ending, PIXELS[..., 0])) == (kind, 30, 40)


def test_read_accepts_progressive_and_multi_picture_jpeg() -> None:
    assert probe(encoded(".jpg", options=PROGRESSIVE)) == ("jpeg", 30, 40)
    assert probe(saved("MPO", save_all=True, append_images=[Image.fromarray(PIXELS)])) == ("jpeg", 30, 40)


@pytest.mark.parametrize(("orientation", "size"), [(1, (30, 40)), (3, (30, 40)), (6, (40, 30)), (8, (40, 30))])
@pytest.mark.parametrize("form", ["JPEG", "PNG"])
def test_read_applies_exif_orientation(form: str, orientation: int, size: tuple[int, int]) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    assert probe(saved(form, exif=exif))[1:] == size


@pytest.mark.parametrize("content", [b"", b"text", b"GIF89a", saved("ICO"), saved("TGA"), encoded(".jp2")])
def test_read_rejects_what_is_no_image(content: bytes) -> None:
    with pytest.raises(SourceError, match="neither JPEG, PNG, WebP, BMP, TIFF nor GIF"):
        probe(content)


def test_read_keeps_jpeg_and_png_as_they_are() -> None:
    for content in (encoded(".jpg"), encoded(".png"), encoded(".jpg", options=PROGRESSIVE)):
        assert read(content).content == content


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (encoded(".webp", options=[cv2.IMWRITE_WEBP_QUALITY, 101]), PIXELS),
        (encoded(".bmp"), PIXELS),
        (encoded(".bmp", PIXELS[..., 0]), PIXELS[..., :1]),
        (encoded(".tiff"), PIXELS),
        (encoded(".tiff", PIXELS.astype(np.uint16) * 256 + 9), PIXELS),
        (encoded(".tiff", PIXELS[..., 0].astype(np.uint16) * 256 + 9), PIXELS[..., :1]),
        (encoded(".tiff", np.dstack([PIXELS, PIXELS[..., :1]])), PIXELS),
        (saved("TIFF", compression="jpeg", quality=100), None),
        (saved("TIFF", compression="tiff_deflate"), PIXELS[..., ::-1]),
        (saved("WEBP"), None),
    ],
)
def test_read_converts_other_kinds_to_png_with_the_pixels_that_opencv_shows(
    content: bytes, expected: np.ndarray | None
) -> None:
    picture = read(content)
    assert (picture.format, picture.several) == ("png", False) and picture.content[1:4] == b"PNG"
    by_opencv = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    # Two builds of a lossy decoder may round differently; OpenCV scales 16-bit TIFFs, and truncates 16-bit PNGs.
    assert np.abs(shown(picture).astype(int) - by_opencv).max() <= (3 if expected is None else 1)
    if expected is not None:
        assert np.array_equal(shown(picture), np.broadcast_to(expected, PIXELS.shape))


@pytest.mark.parametrize("form", ["GIF", "WEBP", "PNG", "TIFF"])
def test_read_takes_the_first_of_several_pictures_and_says_so(form: str) -> None:
    frames = [Image.fromarray(np.full((20, 30, 3), colour, np.uint8)) for colour in ((255, 0, 0), (0, 255, 0), 0)]
    buffer = io.BytesIO()
    frames[0].save(
        buffer, form, save_all=True, append_images=frames[1:], **({"lossless": True} if form == "WEBP" else {})
    )
    picture = read(buffer.getvalue())
    assert (picture.format, picture.several) == ("png", True)
    assert (shown(picture) == (0, 0, 255)).all()


def test_read_reads_palettes_and_ignores_transparency() -> None:
    palette = Image.fromarray(PIXELS // 128 * 255).quantize(8)
    truth = np.asarray(palette.convert("RGB"))[..., ::-1]
    for form, options in (("GIF", {}), ("PNG", {}), ("TIFF", {}), ("BMP", {}), ("GIF", {"transparency": 1})):
        buffer = io.BytesIO()
        palette.save(buffer, form, **options)
        assert np.array_equal(shown(read(buffer.getvalue())), truth)
    alpha = np.dstack([PIXELS, np.zeros((40, 30, 1), np.uint8)])
    for ending in (".png", ".tiff"):
        assert np.array_equal(shown(read(encoded(ending, alpha))), PIXELS)


def test_read_of_cmyk_gives_the_colours_that_pillow_shows() -> None:
    smooth = Image.fromarray(cv2.resize(PIXELS[:4, :4], (30, 40)))
    for form, tolerance in (("JPEG", 2), ("TIFF", 1)):
        buffer = io.BytesIO()
        smooth.convert("CMYK").save(buffer, form, **({"quality": 100, "subsampling": 0} if form == "JPEG" else {}))
        by_pillow = np.asarray(Image.open(io.BytesIO(buffer.getvalue())).convert("RGB"))[..., ::-1].astype(int)
        assert np.abs(shown(read(buffer.getvalue())) - by_pillow).max() <= tolerance


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("form", ["WEBP", "TIFF", "PNG"])
def test_read_shows_every_orientation_upright(form: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    # What is stored, turned and mirrored as EXIF 2.3 defines the tag.
    stored = PIXELS[..., ::-1]
    upright = [
        *(stored, stored[:, ::-1], stored[::-1, ::-1], stored[::-1]),
        *(stored.transpose(1, 0, 2), np.rot90(stored, -1), stored[::-1, ::-1].transpose(1, 0, 2), np.rot90(stored)),
    ][orientation - 1]
    picture = read(saved(form, exif=exif, **({"lossless": True} if form == "WEBP" else {})))
    assert np.array_equal(shown(picture), upright) and (picture.width, picture.height) == upright.shape[1::-1]


@pytest.mark.parametrize("dtype", [np.float32, np.int32])
def test_read_refuses_samples_that_are_no_colours(dtype: type) -> None:
    buffer = io.BytesIO()
    Image.fromarray(PIXELS[..., 0].astype(dtype)).save(buffer, "TIFF")
    with pytest.raises(SourceError, match=r"samples of mode . are no 8-bit colours"):
        read(buffer.getvalue())


@pytest.mark.parametrize(
    "content",
    [
        encoded(".jpg"),
        encoded(".jpg", options=PROGRESSIVE),
        encoded(".png"),
        saved("JPEG", exif=b"Exif\0\0" + encoded(".jpg")),
        saved("MPO", save_all=True, append_images=[Image.fromarray(PIXELS)]).partition(b"\xff\xd9")[0] + b"\xff\xd9",
    ],
)
def test_read_takes_an_image_with_bytes_after_its_end(content: bytes) -> None:
    """A motion photo is a JPEG that an MP4 follows."""
    video = b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + random.Random(4).randbytes(40_000)
    for tail in (video, b"\0", content, content[:50], b"\xff\xd8\xff\xda" * 500):
        picture = read(content + tail)
        assert picture.content == content and np.array_equal(shown(picture), shown(read(content)))


def test_read_refuses_a_jpeg_of_very_many_scans() -> None:
    """Each scan costs as much as an image, in a few bytes."""
    whole = encoded(".jpg", options=PROGRESSIVE)
    last = whole[whole.rindex(b"\xff\xda") : -2]
    with pytest.raises(SourceError, match=f"more than {MAX_SCANS} scans"):
        read(whole[:-2] + last * MAX_SCANS + whole[-2:])


@pytest.mark.parametrize("options", [(".png", ()), (".jpg", ()), (".jpg", PROGRESSIVE)])
def test_read_rejects_truncated_files(options: tuple[str, list[int]]) -> None:
    whole = encoded(options[0], options=options[1])
    assert probe(whole)
    for length in (len(whole) - 1, len(whole) - 20, len(whole) - 200, len(whole) // 2, 20, 9):
        with pytest.raises(SourceError, match=r"truncated|broken|cannot be decoded"):
            probe(whole[:length])


def test_read_rejects_truncated_jpeg_with_thumbnail() -> None:
    """The end marker of a thumbnail is not that of the image."""
    whole = encoded(".jpg")
    thumbnail = b"Exif\0\0" + whole
    exif = b"\xff\xe1" + struct.pack(">H", len(thumbnail) + 2) + thumbnail
    assert probe(whole[:2] + exif + whole[2:]) == ("jpeg", 30, 40)
    with pytest.raises(SourceError, match="truncated"):
        probe(whole[:2] + exif + whole[2:-300])


@pytest.mark.parametrize("size", [(30_000, 30_000), (10_000, 10_000), (8193, 1), (1, 8193), (0, 5), (6000, 6000)])
def test_read_rejects_forged_size_before_decoding(monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]) -> None:
    def decoded(*arguments: object) -> None:
        raise AssertionError("decoded")

    monkeypatch.setattr(cv2, "imdecode", decoded)
    monkeypatch.setattr("PIL.PngImagePlugin.PngImageFile.load", decoded)
    with pytest.raises(SourceError, match=r"pixels|broken"):
        probe(forged(*size))


def test_read_accepts_longest_side() -> None:
    assert probe(encoded(".png", np.zeros((2, 8192, 3), np.uint8))) == ("png", 8192, 2)


def test_read_keeps_warning_filters_and_emits_no_warning() -> None:
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
def test_read_raises_only_dflib_errors_on_random_bytes(options: tuple[str, list[int]]) -> None:
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
def test_read_agrees_with_opencv_on_sample_crops(sample_data: Path) -> None:
    paths = sorted((sample_data / "face_crops").rglob("*.jpg"))
    assert paths
    for path in paths:
        height, width = cv2.imread(str(path)).shape[:2]
        assert probe(path.read_bytes()) == ("jpeg", width, height)
