"""Small videos and sounds in many containers, encoded by PyAV."""

import functools
import io
from typing import Any

import av
import numpy as np

VIDEOS = {
    "mp4": ("mp4", "mpeg4"),
    "mov": ("mov", "mpeg4"),
    "3gp": ("3gp", "mpeg4"),
    "mkv": ("matroska", "mpeg4"),
    "webm": ("webm", "libvpx"),
    "avi": ("avi", "mpeg4"),
    "ts": ("mpegts", "mpeg2video"),
    "m2ts": ("mpegts", "mpeg2video"),
    "mpg": ("mpeg", "mpeg1video"),
    "vob": ("vob", "mpeg2video"),
    "flv": ("flv", "flv"),
    "wmv": ("asf", "wmv2"),
    "mxf": ("mxf", "mpeg2video"),
    "ogm": ("ogg", "libvpx"),
}
"""By ending: FFmpeg's container and codec."""
SOUNDS = {"m4a": ("ipod", "aac"), "wav": ("wav", "pcm_s16le"), "ogg": ("ogg", "flac"), "oga": ("ogg", "libopus")}


@functools.cache
def video(ending: str) -> bytes:
    """Some frames of 64×48 pixels in the container of an ending."""
    container, codec = VIDEOS[ending]
    buffer = io.BytesIO()
    options = {"mpegts_m2ts_mode": "1"} if ending == "m2ts" else {}
    with av.open(buffer, "w", format=container, options=options) as file:
        stream: Any = file.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(10):
            pixels = np.random.default_rng(number).integers(0, 255, (48, 64, 3), np.uint8)
            file.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        file.mux(stream.encode())
    return buffer.getvalue()


@functools.cache
def sound(ending: str) -> bytes:
    """A second of noise in the container of an ending."""
    container, codec = SOUNDS[ending]
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=container) as file:
        stream: Any = file.add_stream(codec, rate=48000)
        for number in range(20):
            samples = np.random.default_rng(number).integers(-9999, 9999, (1, 2 * 960), np.int16)
            frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="stereo")
            frame.sample_rate, frame.pts = 48000, number * 960
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return buffer.getvalue()
