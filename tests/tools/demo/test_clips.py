"""The encoder of test and demo videos."""

import io
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.frame import PictureType

from tools.demo.clips import encode, encode_bytes, truncated


def images(count=20, width=96, height=64):
    """Moving images, red on the left and blue on the right."""
    for number in range(count):
        image = np.zeros((height, width, 3), np.uint8)
        image[:, : width // 2, 0] = 220
        image[:, width // 2 :, 2] = 220
        image[number : number + 8, number : number + 8] = 255
        yield image


def decoded(video):
    with av.open(io.BytesIO(video)) as file:
        return [(frame, frame.to_ndarray(format="rgb24")) for frame in file.decode(video=0)]


def test_encode_defaults_to_h264_with_b_frames_and_audio():
    video, done = encode_bytes(images(), fps=Fraction(24000, 1001))
    assert (done.frames, done.width, done.height) == (20, 96, 64)
    with av.open(io.BytesIO(video)) as file:
        stream = file.streams.video[0]
        assert stream.codec_context.name == "h264"
        assert stream.average_rate == Fraction(24000, 1001)
        assert file.streams.audio[0].codec_context.name == "aac"
        sound = sum(frame.samples for frame in file.decode(audio=0))
        assert sound / 16_000 == pytest.approx(20 * 1001 / 24000, abs=0.15)
    kinds = [PictureType(frame.pict_type).name for frame, _ in decoded(video)]
    assert "B" in kinds


def test_encode_keeps_colours():
    video, _ = encode_bytes(images())
    _, last = decoded(video)[-1]
    assert last[60, 10] == pytest.approx([220, 0, 0], abs=25)
    assert last[60, 85] == pytest.approx([0, 0, 220], abs=25)


@pytest.mark.parametrize("rotation", [90, 180, 270])
def test_encode_stores_rotation_flag_and_rotated_images(rotation):
    video, done = encode_bytes(images(), rotation=rotation)
    assert (done.width, done.height) == (96, 64)
    frame, stored = decoded(video)[5]
    assert frame.rotation % 360 == -rotation % 360  # PyAV counts counter-clockwise
    upright = np.rot90(stored, -rotation // 90)
    assert upright.shape == (64, 96, 3)
    assert upright[60, 10, 0] > 180 and upright[60, 85, 2] > 180


def test_encode_applies_options():
    no_b, _ = encode_bytes(images(), options={"bf": "0", "g": "5", "sc_threshold": "0"}, audio=False)
    assert {PictureType(frame.pict_type).name for frame, _ in decoded(no_b)} == {"I", "P"}
    assert sum(frame.key_frame for frame, _ in decoded(no_b)) == 4
    with av.open(io.BytesIO(no_b)) as file:
        assert not file.streams.audio
    other, _ = encode_bytes(images(), codec="mpeg4", bit_rate=400_000)
    with av.open(io.BytesIO(other)) as file:
        assert file.streams.video[0].codec_context.name == "mpeg4"


def test_encode_faststart_writes_the_index_first(tmp_path: Path):
    behind, _ = encode_bytes(images())
    front, _ = encode_bytes(images(), faststart=True)
    assert behind.index(b"moov") > behind.index(b"mdat")
    assert front.index(b"moov") < front.index(b"mdat")
    encode(tmp_path / "clip.mp4", images())
    assert (tmp_path / "clip.mp4").read_bytes() == behind


def test_truncated_gives_an_unreadable_file():
    video, _ = encode_bytes(images())
    with pytest.raises(av.error.InvalidDataError), av.open(io.BytesIO(truncated(video))):
        pass


def test_encode_rejects_invalid_arguments():
    with pytest.raises(ValueError, match="rotation"):
        encode_bytes(images(), rotation=45)
    with pytest.raises(ValueError, match="even"):
        encode_bytes(images(width=95))
    with pytest.raises(ValueError, match="no images"):
        encode_bytes(iter(()))
