"""Image files of ready-cut crops, as later steps read them: a whole JPEG or PNG of a plausible size.

The kind of a file is that of its content; its ending says nothing.  JPEG and PNG stay as they are, except that bytes
after their end are left out.  WebP, BMP, TIFF and GIF become PNG, without loss.
"""

import io
import re
import warnings
from dataclasses import dataclass
from typing import Any

from dflib.errors import SourceError

ENDINGS = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif")
"""Endings of the files that are read."""
MAX_BYTES = 32 << 20
"""Most bytes that are read of an image file.  An image must end within them; what follows its end does not count."""
MAX_SIDE = 8192
"""Longest side in pixels that is decoded; a forged header could otherwise allocate gigabytes."""
MAX_PIXELS = 32_000_000
"""Most pixels that are decoded: a crop is the surroundings of a face."""
MAX_SCANS = 64
"""Most scans of a JPEG.  Encoders write about ten, and each costs as much as an image, however few bytes it has."""

_KEPT = {"JPEG": "jpeg", "MPO": "jpeg", "PNG": "png"}
"""Pillow's names; MPO is a JPEG that is followed by more images, of which the first counts."""
_CONVERTED = ("WEBP", "BMP", "TIFF", "GIF")
_MARKER = re.compile(rb"\xff+([^\x00\xff\xd0-\xd7])", re.DOTALL)
"""A JPEG marker that ends a scan: neither a stuffed byte nor a restart."""


@dataclass(frozen=True)
class Picture:
    """An image that OpenCV decodes.

    Attributes:
        content: the JPEG or PNG file.
        format: ``jpeg`` or ``png``.
        width, height: in pixels as displayed, EXIF orientation applied.
        several: whether the file that was read has more pictures, of which this is the first: frames of an animation,
            or pages.
    """

    content: bytes
    format: str
    width: int
    height: int
    several: bool


def read(content: bytes) -> Picture:
    """The image in a file's bytes, checked by decoding it.

    Pillow reads the header and finds truncated files, of which OpenCV decodes what there is.  OpenCV decides whether
    the pixels of a JPEG or PNG can be used, and their size, because later steps decode with it.  Not for several
    threads at a time: Python's warning filters are changed while Pillow runs.  A 224-pixel JPEG takes 2.9 ms, of which
    OpenCV 1.3.

    Args:
        content: the file, or its first :data:`MAX_BYTES`.

    Raises:
        SourceError: the file has another format, is truncated or corrupt, is larger than :data:`MAX_SIDE` or
            :data:`MAX_PIXELS`, has too many scans, or has samples that no 8-bit colour corresponds to.
    """
    import cv2
    import numpy as np

    if content.startswith(b"\xff\xd8"):
        content = content[: _end_of_jpeg(content)]
    elif content.startswith(b"\x89PNG\r\n\x1a\n"):
        content = content[: _end_of_png(content)]
    kind, several, converted = _check_with_pillow(content)
    if converted is not None:
        stored, png = cv2.imencode(".png", converted)
        if not stored:
            raise SourceError(f"the {kind} cannot be written as PNG")
        return Picture(png.tobytes(), "png", int(converted.shape[1]), int(converted.shape[0]), several)
    try:
        pixels = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error as error:
        raise SourceError(f"the {kind} cannot be decoded: {error.err}") from None
    if pixels is None:
        raise SourceError(f"the {kind} cannot be decoded")
    return Picture(content, kind, int(pixels.shape[1]), int(pixels.shape[0]), several)


def _check_with_pillow(content: bytes) -> tuple[str, bool, Any]:
    """Kind of a whole image within the limits, which are checked before it is decoded; and whether there are more.

    The third value is None for a JPEG or PNG, else the pixels of the first picture, uint8 BGR ``[H, W, 3]``.
    """
    from PIL import Image, UnidentifiedImageError

    kind = "image"
    formats = ("JPEG", "PNG", *_CONVERTED)
    with warnings.catch_warnings():
        # Broken EXIF data is not reported.  Pillow only warns of sizes between its limit and twice that.
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            with Image.open(io.BytesIO(content), formats=formats) as image:
                kept = _KEPT.get(image.format or "")
                kind = kept or str(image.format)
                _check_size(*image.size)
                several = _has_more(image)
                if kept:
                    # All chunks of a PNG and their checksums; a PNG without its end would otherwise be decoded.
                    image.verify()
            with Image.open(io.BytesIO(content), formats=formats) as image:
                image.load()
                return kind, several, None if kept else _as_bgr(image)
        except SourceError:
            raise
        except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
            raise SourceError(f"{error}; a side has 1 to {MAX_SIDE} pixels") from None
        except UnidentifiedImageError:
            raise SourceError("neither JPEG, PNG, WebP, BMP, TIFF nor GIF, or the header is broken") from None
        except Exception as error:
            # Pillow's parsers raise OSError, SyntaxError, struct.error, ValueError and others on corrupt bytes.
            raise SourceError(f"the {kind} is truncated or corrupt: {error}") from None


def _has_more(image: Any) -> bool:
    """Whether a Pillow image is an animation or has pages.  They are not counted: there may be a million."""
    if image.format in ("JPEG", "MPO"):
        # Other views, or depth and gain maps.
        return False
    if image.format != "TIFF":
        return bool(getattr(image, "is_animated", False))
    try:
        image.seek(1)
    except EOFError:
        return False
    return True


def _check_size(width: int, height: int) -> None:
    if not 0 < min(width, height) <= max(width, height) <= MAX_SIDE or width * height > MAX_PIXELS:
        raise SourceError(f"{width}x{height} pixels; a side has 1 to {MAX_SIDE}, an image at most {MAX_PIXELS:,}")


def _as_bgr(image: Any) -> Any:
    """Pixels of a Pillow image as displayed, uint8 BGR ``[H, W, 3]``; transparency is ignored, as OpenCV does."""
    import numpy as np
    from PIL import ImageOps

    shown = ImageOps.exif_transpose(image)
    if shown.mode.startswith("I;16"):
        # Pillow would clip at 255.  OpenCV takes the upper half of a 16-bit sample.
        grey = (np.asarray(shown).astype(np.uint16) >> 8).astype(np.uint8)
        return np.repeat(grey[:, :, None], 3, axis=2)
    if shown.mode in ("I", "F", "LAB", "HSV"):
        raise SourceError(f"samples of mode {shown.mode} are no 8-bit colours; save the crop as PNG or JPEG")
    return np.ascontiguousarray(np.asarray(shown.convert("RGB"))[:, :, ::-1])


def _end_of_jpeg(content: bytes) -> int:
    """Where the first image of a JPEG ends; its length when it does not, which is found when it is decoded.

    Raises:
        SourceError: it has more than :data:`MAX_SCANS` scans.
    """
    place, scans = 2, 0
    while found := _MARKER.search(content, place):
        marker, place = found[1][0], found.end()
        if marker == 0xD9:
            return place
        if marker in (0x01, 0xD8):
            continue
        scans += marker == 0xDA
        if scans > MAX_SCANS:
            raise SourceError(f"the jpeg has more than {MAX_SCANS} scans, which no encoder writes; save the crop again")
        if place + 2 > len(content):
            break
        place += max(2, int.from_bytes(content[place : place + 2]))
    return len(content)


def _end_of_png(content: bytes) -> int:
    """Where a PNG ends; its length when it does not, which is found when it is decoded."""
    place = 8
    while place + 12 <= len(content):
        kind = content[place + 4 : place + 8]
        place += 12 + int.from_bytes(content[place : place + 4])
        if kind == b"IEND":
            return min(place, len(content))
    return len(content)
