"""Small videos that make a decoder need much memory or time."""

import io
import struct
import zlib
from collections.abc import Iterator
from fractions import Fraction

import av
import numpy as np

from tools.demo.clips import encode_bytes

BOXES_OF_BOXES = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"edts", b"udta")


def boxes(content: bytes, start: int = 0, end: int | None = None) -> Iterator[tuple[bytes, int, int]]:
    """Kind, offset of the content, and end of each box of an mp4 file, outer ones first (ISO/IEC 14496-12)."""
    end = len(content) if end is None else end
    while start + 8 <= end:
        size, kind = struct.unpack_from(">I4s", content, start)
        size = max(8, min(size, end - start)) if size else end - start
        yield kind, start + 8, start + size
        if kind in BOXES_OF_BOXES:
            yield from boxes(content, start + 8, start + size)
        start += size


def index_bomb(entries: int = 80_000_000, tracks: int = 10) -> bytes:
    """An mp4 of a few kilobytes whose tracks declare many samples of one byte in one chunk.

    A reader that builds the index of a track when it opens the file needs 24 bytes for each.
    """
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as out:
        streams = [out.add_stream("mpeg4", rate=25) for _ in range(tracks)]
        for stream in streams:
            stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        for stream in streams:
            frame = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")
            frame.pts = 0
            out.mux(stream.encode(frame))
            out.mux(stream.encode(None))
    content = bytearray(buffer.getvalue())
    for kind, at, _ in list(boxes(bytes(content))):
        if kind == b"stsz":  # version and flags, size of each sample (0: a table follows), number of samples
            struct.pack_into(">II", content, at + 4, 1, entries)
        elif kind == b"stts":  # number of entries; number of samples, duration
            struct.pack_into(">III", content, at + 4, 1, entries, 1)
        elif kind == b"stsc":  # number of entries; first chunk, samples in each, description
            struct.pack_into(">IIII", content, at + 4, 1, 1, entries, 1)
    return bytes(content)


def long_4k(frames: int = 600) -> bytes:
    """A clip of 3840x2160 in which nothing moves: tens of kilobytes, and 15 ms of decoding a frame."""
    image = np.zeros((2160, 3840, 3), np.uint8)
    options = {"preset": "ultrafast", "g": str(frames), "bf": "0"}
    return encode_bytes((image for _ in range(frames)), audio=False, options=options)[0]


def wide(width: int = 66_000) -> bytes:
    """One frame that is wider than a JPEG file can be."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="matroska") as out:
        stream = out.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = width, 16, "yuv420p"
        for number in range(4):
            frame = av.VideoFrame.from_ndarray(np.full((16, width, 3), 60 * number, np.uint8), format="rgb24")
            frame.pts = number
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return buffer.getvalue()


def large_stills(width: int, height: int, frames: int) -> bytes:
    """Black 16-bit RGBA pictures as PNG in a QuickTime file: kilobytes or few megabytes, 8 bytes a pixel decoded."""
    packer = zlib.compressobj(9)
    line = bytes(1 + 8 * width)
    data = b"".join(packer.compress(line) for _ in range(height)) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, 16, 6, 0, 0, 0)
    png = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in ((b"IHDR", header), (b"IDAT", data), (b"IEND", b""))
    )
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mov") as out:
        stream = out.add_stream("png", rate=25)
        stream.width, stream.height, stream.pix_fmt = width, height, "rgba64be"
        for number in range(frames):
            packet = av.Packet(png)
            packet.stream, packet.pts, packet.dts, packet.time_base = stream, number, number, Fraction(1, 25)
            packet.is_keyframe = True
            out.mux(packet)
    return buffer.getvalue()
