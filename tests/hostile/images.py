"""A corpus of image files: whole ones in many variants, bombs, and damaged ones."""

import io
import random
import struct
import zlib
from collections.abc import Iterator

import cv2
import numpy as np
from PIL import Image, ImageOps

from dflib.errors import SourceError
from dflib.sources.images import read
from tests.hostile.census import Census
from tests.hostile.damage import damaged

SEED = 14
PER_KIND = 60
"""Number of damaged files of each kind."""

_ROWS, _COLUMNS = np.mgrid[:48, :40]
PIXELS = np.stack([_COLUMNS * 6, _ROWS * 5, (_ROWS + _COLUMNS) * 2], -1).astype(np.uint8)
"""RGB of the whole files."""


def saved(kind: str, image: Image.Image | None = None, **options: object) -> bytes:
    buffer = io.BytesIO()
    (image or Image.fromarray(PIXELS)).save(buffer, kind, **options)
    return buffer.getvalue()


def kinds() -> dict[str, bytes]:
    """Small whole files by name."""
    colour, grey = Image.fromarray(PIXELS), Image.fromarray(PIXELS[..., 0])
    turned = Image.Exif()
    turned[0x0112] = 6

    def several() -> dict[str, object]:
        # Made anew, because Pillow leaves settings of one format at an image.
        return {"save_all": True, "append_images": [colour.rotate(90), colour.rotate(180)]}

    return {
        "jpeg": saved("JPEG", quality=95),
        "progressive": saved("JPEG", progressive=True, quality=95),
        "jpeg-turned": saved("JPEG", exif=turned),
        "jpeg-cmyk": saved("JPEG", colour.convert("CMYK")),
        "mpo": saved("MPO", **several()),
        "png": saved("PNG"),
        "png-palette": saved("PNG", colour.quantize(16)),
        "png-16": bytes(cv2.imencode(".png", PIXELS.astype(np.uint16) * 257)[1]),
        "png-turned": saved("PNG", exif=turned),
        "apng": saved("PNG", **several()),
        "webp": saved("WEBP"),
        "webp-lossless": saved("WEBP", lossless=True, exif=turned),
        "webp-animated": saved("WEBP", **several()),
        "bmp": saved("BMP"),
        "bmp-palette": saved("BMP", colour.quantize(16)),
        "tiff": saved("TIFF"),
        "tiff-lzw": saved("TIFF", compression="tiff_lzw"),
        "tiff-deflate": saved("TIFF", compression="tiff_deflate"),
        "tiff-jpeg": saved("TIFF", compression="jpeg", quality=90),
        "tiff-fax": saved("TIFF", grey.convert("1"), compression="group4"),
        "tiff-turned": saved("TIFF", exif=turned),
        "tiff-16": bytes(cv2.imencode(".tiff", PIXELS[..., 0].astype(np.uint16) * 257)[1]),
        "tiff-pages": saved("TIFF", **several()),
        "gif": saved("GIF"),
        "gif-animated": saved("GIF", colour.quantize(16), **several()),
    }


def black_bytes(length: int) -> bytes:
    """So many zeros, compressed; at most 300 MB."""
    packer = zlib.compressobj(9)
    pieces = [packer.compress(bytes(1 << 20)) for _ in range(min(length, 300_000_000) >> 20)]
    return b"".join(pieces) + packer.flush()


def bombs() -> Iterator[bytes]:
    """Small files that cost much memory or time, or declare that they do."""
    for width, height in ((30_000, 30_000), (8192, 8192), (1 << 31, 1), (8192, 3906), (65_535, 65_535)):
        header = struct.pack(">IIBBBBB", width, height, 16, 6, 0, 0, 0)
        lines = black_bytes(8 * width * height + (2 << 20))
        parts = ((b"IHDR", header), (b"IDAT", lines), (b"IEND", b""))
        yield b"\x89PNG\r\n\x1a\n" + b"".join(
            struct.pack(">I", len(part)) + kind + part + struct.pack(">I", zlib.crc32(kind + part))
            for kind, part in parts
        )
    black = Image.new("RGB", (8190, 3900))
    for kind, options in (
        ("JPEG", {"progressive": True}),
        ("WEBP", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("GIF", {}),
    ):
        yield saved(kind, black, **options)
    progressive = saved("JPEG", black, progressive=True)
    last = progressive[progressive.rindex(b"\xff\xda") : -2]
    for scans in (50, 5000):
        yield progressive[:-2] + last * scans + b"\xff\xd9"
    frames = [Image.new("P", (500, 500), number) for number in range(200)]
    yield saved("GIF", frames[0], save_all=True, append_images=frames[1:])
    small = [frame.resize((2, 2)) for frame in frames[:2]]
    animation = saved("GIF", small[0], save_all=True, append_images=small[1:], duration=50)
    second = animation[animation.rindex(b"\x21\xf9") : -1]
    yield animation[:-1] + second * 700_000 + b";"
    yield b"II*\0\x08\0\0\0" + b"".join(struct.pack("<HI", 0, 14 + 6 * page) for page in range(1_000_000))
    text = black_bytes(90_000_000)
    yield saved("PNG")[:33] + struct.pack(">I", 5 + len(text)) + b"zTXtkey\0\0" + text
    yield saved("TIFF")[:4] + struct.pack("<I", 8) + struct.pack("<HHHIII", 65_535, 273, 4, 1 << 31, 8, 8)


def tails() -> Iterator[bytes]:
    """What may follow an image."""
    numbers = random.Random(SEED)
    yield b"\0"
    yield b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + numbers.randbytes(100_000)
    yield saved("JPEG")
    yield saved("PNG")[:40]
    yield b"\xff\xd8\xff\xda\xff" * 300


def judge(content: bytes, expected: np.ndarray | None = None) -> str:
    """``right`` when what is stored shows what Pillow shows of the file, or the pixels that were expected."""
    try:
        picture = read(content)
    except SourceError as error:
        return "refused" if expected is None and "\n" not in str(error) else f"refused a whole file: {error}"
    shown = cv2.imdecode(np.frombuffer(picture.content, np.uint8), cv2.IMREAD_COLOR)
    if shown is None or shown.shape != (picture.height, picture.width, 3) or picture.format not in ("jpeg", "png"):
        return "stored what OpenCV cannot decode"
    if expected is None and picture.content[:2] in (content[:2], b"\xff\xd8"):
        expected = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    elif expected is None:
        with Image.open(io.BytesIO(content)) as image:
            deep = image.mode.startswith("I;16")
            rgb = ImageOps.exif_transpose(image)
            expected = np.asarray(rgb) // 256 if deep else np.asarray(rgb.convert("RGB"))[..., ::-1]
        if deep:
            expected = np.repeat(expected[..., None], 3, axis=2)
    if shown.shape != expected.shape or cv2.norm(shown, np.ascontiguousarray(expected, np.uint8), cv2.NORM_INF) > 3:
        return "other pixels"
    return "right"


def take(census: Census) -> None:
    numbers = random.Random(SEED)
    whole = kinds()
    for name, content in whole.items():
        expected = cv2.imdecode(np.frombuffer(read(content).content, np.uint8), cv2.IMREAD_COLOR)
        census.add(lambda content=content: judge(content))
        for tail in tails() if not name.startswith("tiff") else ():
            census.add(lambda content=content + tail, expected=expected: judge(content, expected))
        for _ in range(PER_KIND):
            bad = damaged(content, numbers)
            census.add(lambda bad=bad: judge(bad))
    for bomb in bombs():
        census.add(lambda bomb=bomb: judge(bomb))


if __name__ == "__main__":
    taken = Census()
    take(taken)
    print(taken.json())
