"""Seeded damage to video files."""

import random
import struct
from collections.abc import Callable

import av

from tests.extraction.conftest import numbered
from tests.hostile.bombs import boxes
from tools.demo.clips import encode_bytes

FORMATS: dict[str, dict[str, object]] = {
    "h264.mp4": {"codec": "libx264", "container": "mp4"},
    "h264-index-first.mp4": {"codec": "libx264", "container": "mp4", "faststart": True},
    "h265.mp4": {"codec": "libx265", "container": "mp4", "options": {"x265-params": "log-level=none"}},
    "av1.mp4": {"codec": "libsvtav1", "container": "mp4", "options": {"preset": "12"}},
    "mpeg4.mp4": {"codec": "mpeg4", "container": "mp4"},
    "png.mov": {"codec": "png", "container": "mov", "pix_fmt": "rgba64be"},
    "prores.mov": {"codec": "prores", "container": "mov", "pix_fmt": "yuv422p10le"},
    "h264.mkv": {"codec": "libx264", "container": "matroska"},
    "ffv1.mkv": {"codec": "ffv1", "container": "matroska"},
    "huffyuv.avi": {"codec": "huffyuv", "container": "avi", "pix_fmt": "yuv422p"},
    "vp8.webm": {"codec": "libvpx", "container": "webm", "options": {"deadline": "realtime"}},
    "vp9.webm": {"codec": "libvpx-vp9", "container": "webm", "options": {"deadline": "realtime"}},
    "mpeg4.avi": {"codec": "mpeg4", "container": "avi"},
    "mjpeg.avi": {"codec": "mjpeg", "container": "avi", "pix_fmt": "yuvj420p"},
    "mpeg2.ts": {"codec": "mpeg2video", "container": "mpegts"},
    "h264.ts": {"codec": "libx264", "container": "mpegts"},
    "mpeg1.mpg": {"codec": "mpeg1video", "container": "mpeg"},
    "flv1.flv": {"codec": "flv", "container": "flv"},
    "h264.flv": {"codec": "libx264", "container": "flv"},
    "vp8.ogg": {"codec": "libvpx", "container": "ogg", "options": {"deadline": "realtime"}},
    "wmv2.asf": {"codec": "wmv2", "container": "asf"},
}
"""Small files by name, and how they are encoded."""

EXTREMES = (0, 1, 0x7F, 0xFF, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF, 80_000_000)
TABLES = (b"stsz", b"stts", b"ctts", b"stsc", b"stco", b"stss", b"elst", b"mvhd", b"tkhd", b"mdhd", b"avc1", b"avcC")


def files(frames: int = 12) -> dict[str, bytes]:
    """The undamaged files."""
    level = av.logging.get_level()
    av.logging.set_level(av.logging.PANIC)
    try:
        return {name: encode_bytes(numbered(frames), audio=False, **how)[0] for name, how in FORMATS.items()}  # type: ignore[arg-type]
    finally:
        av.logging.set_level(level)


def truncated(content: bytes, chance: random.Random) -> bytes:
    return content[: chance.randrange(1, len(content))]


def bits_flipped(content: bytes, chance: random.Random) -> bytes:
    damaged = bytearray(content)
    for _ in range(chance.choice((1, 3, 10, 100))):
        damaged[chance.randrange(len(damaged))] ^= 1 << chance.randrange(8)
    return bytes(damaged)


def head_flipped(content: bytes, chance: random.Random) -> bytes:
    """Where most containers keep what they declare."""
    damaged = bytearray(content)
    for _ in range(chance.choice((1, 2, 5))):
        damaged[chance.randrange(min(1024, len(damaged)))] = chance.randrange(256)
    return bytes(damaged)


def number_replaced(content: bytes, chance: random.Random) -> bytes:
    """Four bytes anywhere become an extreme number, of either byte order."""
    damaged = bytearray(content)
    for _ in range(chance.choice((1, 2, 4))):
        order = chance.choice("<>")
        struct.pack_into(f"{order}I", damaged, chance.randrange(len(damaged) - 4), chance.choice(EXTREMES))
    return bytes(damaged)


def part_removed(content: bytes, chance: random.Random) -> bytes:
    start = chance.randrange(len(content))
    return content[:start] + content[start + chance.randrange(1, 2000) :]


def part_repeated(content: bytes, chance: random.Random) -> bytes:
    start = chance.randrange(len(content))
    part = content[start : start + chance.randrange(1, 2000)]
    return content[:start] + part * chance.choice((2, 50)) + content[start:]


def part_overwritten(content: bytes, chance: random.Random) -> bytes:
    start, length = chance.randrange(len(content)), chance.randrange(1, 500)
    filling = chance.choice((bytes(length), b"\xff" * length, chance.randbytes(length)))
    return (content[:start] + filling + content[start + length :])[: len(content)]


def joined(content: bytes, chance: random.Random) -> bytes:
    """Two cuts of the file, one behind the other: times that jump back, second headers."""
    return truncated(content, chance) + content[chance.randrange(len(content)) :]


def box_resized(content: bytes, chance: random.Random) -> bytes:
    damaged = bytearray(content)
    _, at, end = chance.choice(list(boxes(content)))
    struct.pack_into(">I", damaged, at - 8, chance.choice((*EXTREMES, end - at, end - at + 9)) & 0xFFFFFFFF)
    return bytes(damaged)


def box_retyped(content: bytes, chance: random.Random) -> bytes:
    found = list(boxes(content))
    damaged = bytearray(content)
    _, at, _ = chance.choice(found)
    damaged[at - 4 : at] = chance.choice(found)[0]
    return bytes(damaged)


def table_damaged(content: bytes, chance: random.Random) -> bytes:
    """A number in a table of samples, times or sizes becomes an extreme one."""
    damaged = bytearray(content)
    tables = [(at, end) for kind, at, end in boxes(content) if kind in TABLES and end - at >= 12]
    for at, end in chance.sample(tables, min(len(tables), chance.choice((1, 2, 3)))):
        place = at + 4 * chance.randrange(0, max(1, min(6, (end - at) // 4)))
        struct.pack_into(">I", damaged, place, chance.choice(EXTREMES))
    return bytes(damaged)


Mutation = Callable[[bytes, random.Random], bytes]

ANY: tuple[Mutation, ...] = (
    truncated, bits_flipped, head_flipped, number_replaced, part_removed, part_repeated, part_overwritten, joined,
)  # fmt: skip
OF_BOXES: tuple[Mutation, ...] = (box_resized, box_retyped, table_damaged, table_damaged, table_damaged)


def mutated(name: str, content: bytes, seed: int) -> tuple[str, bytes]:
    """What was done, and the damaged file; the same for the same seed."""
    chance = random.Random(f"{name}/{seed}")
    kinds = ANY + OF_BOXES if name.endswith((".mp4", ".mov")) else ANY
    kind = kinds[seed % len(kinds)]
    return kind.__name__, kind(content, chance)
