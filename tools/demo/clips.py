"""Encodes images to a video file, with control of the properties that matter to a reader.

The defaults are those of phones and of the challenge: H.264 with B-frames in mp4, AAC audio, the index (``moov``) at
the end.  The encoder has one thread, so that equal images give equal bytes.
"""

import io
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import IO, Any

import av
import numpy as np
import numpy.typing as npt

Rgb = npt.NDArray[np.uint8]

# Without mbtree: with it, equal images sometimes give other bytes (seen with its SIMD code, not with asm=0).
X264_DEFAULTS = {"preset": "superfast", "crf": "22", "bf": "3", "mbtree": "0"}
AUDIO_RATE = 16_000
AUDIO_HZ = 220.0


@dataclass(frozen=True)
class Encoded:
    """Properties of the written file.

    Attributes
    ----------
    frames : int
        Number of frames in the file.
    width, height : int
        Size as displayed, in pixels; a file with a rotation of 90 or 270 degrees stores them swapped.
    """

    frames: int
    width: int
    height: int


def encode(
    target: Path | IO[bytes],
    frames: Iterable[Rgb],
    *,
    fps: Fraction | int = 25,
    codec: str = "libx264",
    options: Mapping[str, str] | None = None,
    bit_rate: int | None = None,
    pix_fmt: str = "yuv420p",
    audio: bool = True,
    rotation: int = 0,
    faststart: bool = False,
    container: str = "mp4",
) -> Encoded:
    """Encode images to a video file.

    Parameters
    ----------
    target : Path or binary file object
        Destination, such as a path or an ``io.BytesIO``.
    frames : iterable of uint8 arrays, height x width x 3, RGB, full range
        The images **as displayed**, all of one size with even sides; at least one.
    fps : Fraction or int
        Frames per second.
    codec : str
        An encoder of FFmpeg, such as ``libx264``, ``mpeg4`` or ``libx265``.
    options : mapping, optional
        Options of the encoder, which replace the defaults: ``{"g": "12"}`` for a key frame every 12 frames,
        ``{"bf": "0"}`` for no B-frames, ``{"x264-params": "b-pyramid=none:bframes=8"}`` for any option of x264.
        The defaults (`X264_DEFAULTS`) apply to libx264 only.
    bit_rate : int, optional
        Bits per second, for codecs without ``crf``.
    pix_fmt : str
        The stored pixel format.
    audio : bool
        Whether the file has a mono AAC tone of the same length.
    rotation : int
        0, 90, 180 or 270: degrees clockwise by which a reader must rotate the stored images.
        They are stored rotated the other way, so that a reader that applies the flag gets `frames` back.
    faststart : bool
        Whether the index is written before the frames rather than after them.
    container : str
        A container format of FFmpeg.

    Returns
    -------
    Encoded
        Number and displayed size of the frames.
    """
    if rotation not in (0, 90, 180, 270):
        raise ValueError(f"rotation must be 0, 90, 180 or 270, not {rotation}")
    if faststart and not isinstance(target, Path):
        # The second pass, which moves the index, reopens the file by its name.
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "clip"
            done = encode(
                path,
                frames,
                fps=fps,
                codec=codec,
                options=options,
                bit_rate=bit_rate,
                pix_fmt=pix_fmt,
                audio=audio,
                rotation=rotation,
                faststart=True,
                container=container,
            )
            target.write(path.read_bytes())
            return done
    supply = iter(frames)
    first = next(supply, None)
    if first is None:
        raise ValueError("no images to encode")
    height, width = first.shape[:2]
    if height % 2 or width % 2:
        raise ValueError(f"the sides must be even, not {width}x{height}")
    rate = Fraction(fps)
    count = 0
    with av.open(
        str(target) if isinstance(target, Path) else target,
        "w",
        format=container,
        options={"movflags": "+faststart"} if faststart else {},
    ) as out:
        video: Any = out.add_stream(codec, rate=rate)
        video.width, video.height = (height, width) if rotation % 180 else (width, height)
        video.pix_fmt = pix_fmt
        video.options = {**(X264_DEFAULTS if codec == "libx264" else {}), **(options or {})}
        video.codec_context.thread_count = 1
        if bit_rate is not None:
            video.bit_rate = bit_rate
        if rotation:
            video.set_display_rotation(-rotation)  # FFmpeg counts counter-clockwise
        # All streams must exist before the first packet is written.
        sound = out.add_stream("aac", rate=AUDIO_RATE, layout="mono") if audio else None
        for image in chain([first], supply):
            # np.rot90 rotates counter-clockwise; the reader's clockwise rotation reverses it.
            stored = np.ascontiguousarray(np.rot90(image, rotation // 90)) if rotation else image
            frame = av.VideoFrame.from_ndarray(stored, format="rgb24")
            frame.pts = count
            frame.time_base = 1 / rate
            out.mux(video.encode(frame))
            count += 1
        out.mux(video.encode(None))
        if sound is not None:
            _tone(out, sound, seconds=float(count / rate))
    return Encoded(frames=count, width=width, height=height)


def encode_bytes(frames: Iterable[Rgb], **options: Any) -> tuple[bytes, Encoded]:
    """Encode to bytes; see `encode` for the options."""
    buffer = io.BytesIO()
    done = encode(buffer, frames, **options)
    return buffer.getvalue(), done


def truncated(video: bytes, share: float = 0.6) -> bytes:
    """Return the first `share` of a video file; without `faststart` the index is lost and the file is unreadable."""
    return video[: int(len(video) * share)]


def _tone(out: Any, stream: Any, seconds: float) -> None:
    """Write a quiet mono tone of the given length to an AAC stream."""
    total = int(seconds * AUDIO_RATE)
    for start in range(0, total, 1024):  # the frame length of AAC
        at = np.arange(start, min(start + 1024, total), dtype=np.float32) / AUDIO_RATE
        wave = (0.1 * np.sin(2 * np.pi * AUDIO_HZ * at)).astype(np.float32)
        frame = av.AudioFrame.from_ndarray(wave[None, :], format="fltp", layout="mono")
        frame.sample_rate = AUDIO_RATE
        frame.pts = start
        frame.time_base = Fraction(1, AUDIO_RATE)
        out.mux(stream.encode(frame))
    out.mux(stream.encode(None))
