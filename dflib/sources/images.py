"""Ready-cut crops checked: JPEG or PNG, whole, of a size that is a face."""

import struct

from dflib.errors import SourceError

MAX_BYTES = 32 << 20
"""Largest image file that is read."""
MAX_SIDE = 8192
"""Longest side that is decoded; a forged header would otherwise cost gigabytes."""
_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8\xff"


def probe(content: bytes) -> tuple[str, int, int]:
    """Format (``jpeg`` or ``png``), width and height in pixels as displayed, after decoding it once.

    Raises:
        SourceError: it is neither, cut short, larger than :data:`MAX_SIDE`, or can't be decoded.
    """
    import cv2
    import numpy as np

    if content.startswith(_PNG):
        kind, size, whole = "png", _png_size(content), b"IEND" in content[-64:]
    elif content.startswith(_JPEG):
        kind, size, whole = "jpeg", _jpeg_size(content), b"\xff\xd9" in content[-4096:]
    else:
        raise SourceError("neither JPEG nor PNG")
    if size is None:
        raise SourceError(f"a {kind} without a size; its header is broken")
    if not whole:
        raise SourceError(f"a {kind} that is cut short")
    if not 0 < min(size) <= max(size) <= MAX_SIDE:
        raise SourceError(f"{size[0]}x{size[1]} pixels; a side is 1 to {MAX_SIDE}")
    try:
        pixels = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error as error:
        raise SourceError(f"a {kind} that can't be decoded: {error.err}") from None
    if pixels is None:
        raise SourceError(f"a {kind} that can't be decoded")
    return kind, int(pixels.shape[1]), int(pixels.shape[0])


def _png_size(content: bytes) -> tuple[int, int] | None:
    """From the IHDR chunk, which comes first (PNG, third edition, 5.6 and 11.2.1)."""
    if len(content) < 24 or content[12:16] != b"IHDR":
        return None
    width, height = struct.unpack_from(">II", content, 16)
    return width, height


def _jpeg_size(content: bytes) -> tuple[int, int] | None:
    """From the frame header SOF0 to SOF15 but DHT, JPG and DAC (ITU-T T.81, B.1.1.3 and B.2.2)."""
    place = 2
    while place + 9 <= len(content) and content[place] == 0xFF:
        marker = content[place + 1]
        if marker == 0xFF:
            place += 1
            continue
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack_from(">HH", content, place + 5)
            return width, height
        place += 2 + struct.unpack_from(">H", content, place + 2)[0]
    return None
