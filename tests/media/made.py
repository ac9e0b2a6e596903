"""Videos whose frames tell their own number: what a reader must find is known from the pixels."""

import io
import struct
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

Rgb = NDArray[np.uint8]

BITS = 8
WIDTH, HEIGHT = 128, 96
X264 = {"preset": "ultrafast", "crf": "20", "bf": "2"}


def coded(number: int, width: int = WIDTH, height: int = HEIGHT) -> Rgb:
    """An image with the bits of a number as vertical bars, the lowest one on the left."""
    bits = np.array([number >> bit & 1 for bit in range(BITS)], np.uint8)
    bars = np.repeat(bits, -(-width // BITS))[:width]
    return np.ascontiguousarray(np.broadcast_to((40 + 170 * bars)[None, :, None], (height, width, 3)).astype(np.uint8))


def number_of(image: Rgb) -> int:
    """The number that a decoded image shows."""
    height, width = image.shape[:2]
    centres = ((np.arange(BITS) + 0.5) * width / BITS).astype(int)
    strip = image[height // 4 : 3 * height // 4].mean(axis=(0, 2))
    return int(sum(1 << bit for bit, centre in enumerate(centres) if strip[centre] > 125))


def video(
    images: Sequence[Rgb],
    container: str = "mp4",
    codec: str = "libx264",
    options: dict[str, str] | None = None,
    ticks: Sequence[int] | None = None,
    rate: int = 30,
    pix_fmt: str = "yuv420p",
    aspect: Fraction | None = None,
    muxed: Callable[[Any], Sequence[Any]] = lambda packet: [packet],
    mux_options: dict[str, str] | None = None,
    prepare: Callable[[Any], None] = lambda context: None,
) -> bytes:
    """Encodes images.

    Args:
        images: uint8 RGB of one size, or arrays that ``pix_fmt`` takes as they are.
        ticks: presentation time of each, in frames; None: one after the other.
        aspect: of a pixel.
        muxed: from a packet to the packets that are written for it.
        prepare: called with the encoder before it is opened.
    """
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=container, options=mux_options or {}) as out:
        stream: Any = out.add_stream(codec, rate=rate)
        shape = images[0].shape
        stream.width, stream.height = (shape[1], shape[0]) if images[0].ndim == 3 else (shape[1], shape[0] * 2 // 3)
        stream.pix_fmt = pix_fmt
        stream.options = (X264 if codec == "libx264" else {}) | (options or {})
        stream.codec_context.thread_count = 1
        if aspect:
            stream.codec_context.sample_aspect_ratio = aspect
        if codec in ("mpeg2video", "mpeg4", "wmv2", "flv", "libvpx", "libvpx-vp9"):
            stream.bit_rate = 2_000_000
        prepare(stream.codec_context)
        for place, image in enumerate(images):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24" if image.ndim == 3 else pix_fmt)
            frame.pts, frame.time_base = (ticks[place] if ticks else place), Fraction(1, rate)
            for packet in stream.encode(frame):
                for one in muxed(packet):
                    out.mux(one)
        for packet in stream.encode(None):
            for one in muxed(packet):
                out.mux(one)
    return buffer.getvalue()


def with_matrix(content: bytes, matrix: tuple[float, float, float, float]) -> bytes:
    """An mp4 or mov whose track has another display matrix: (x, y) is shown at (ax + cy, bx + dy)."""
    a, b, c, d = (round(value * 65536) for value in matrix)
    patched = bytearray(content)
    place = patched.index(b"tkhd") + 4
    place += 4 + (32 if patched[place] else 20) + 16
    patched[place : place + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    return bytes(patched)
