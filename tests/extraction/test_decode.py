"""Decoding against independent full decodes: PyAV without our planning, and OpenCV."""

import io
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from dflib.config import Config
from dflib.errors import VideoError
from dflib.extraction import decode, sampling
from dflib.extraction.crops import cut
from tests.extraction.conftest import Rgb, numbered
from tools.demo.clips import encode_bytes

PIXELS = 10_000_000
X264 = {"preset": "medium", "crf": "28"}


def all_frames(content: bytes) -> list[Rgb]:
    """Every frame in presentation order, decoded whole by PyAV."""
    with av.open(io.BytesIO(content)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def taken(content: bytes, preset: str, max_offset: float = 0.0334) -> tuple[decode.Plan, list[decode.Frame], list[str]]:
    survey = decode.survey(content, PIXELS)
    wanted = sampling.wanted_frames(preset, survey.times, survey.keys, survey.duration)
    plan = decode.plan(survey, wanted, max_offset)
    problems: list[str] = []
    return plan, list(decode.decode(content, survey, plan, PIXELS, problems.append)), problems


def clip(count: int = 60, **options: Any) -> bytes:
    return encode_bytes(numbered(count), **{"audio": False, **options})[0]


CLIPS = {
    "b_pyramid": {"fps": 30, "options": {**X264, "x264-params": "bframes=3:b-pyramid=normal:b-adapt=0"}},
    "flat_b": {"fps": 30, "options": {**X264, "x264-params": "bframes=3:b-pyramid=none:b-adapt=0"}},
    "no_b": {"fps": 30, "options": {**X264, "x264-params": "bframes=0"}},
    "16_b": {"fps": 30, "options": {**X264, "x264-params": "bframes=16:b-pyramid=none:b-adapt=0"}},
    "interlaced": {"fps": 25, "options": {**X264, "x264-params": "interlaced=1"}},
    "open_gop": {"fps": 30, "options": {**X264, "x264-params": "bframes=3:keyint=12:open-gop=1"}},
    "mpeg4": {"fps": 25, "codec": "mpeg4", "bit_rate": 400_000, "options": {"bf": "2"}},
    "vp9": {"fps": 25, "codec": "libvpx-vp9", "container": "webm", "options": {"deadline": "realtime"}},
    "annex_b": {"fps": 25, "container": "mpegts"},
    "sound": {"fps": 25, "audio": True},
}


@pytest.mark.parametrize("kind", CLIPS)
@pytest.mark.parametrize("preset", ["even:20", "even:5", "per_second:4", "every:7", "first:9", "keyframes"])
def test_frames_are_those_of_a_full_decode(kind: str, preset: str) -> None:
    content = clip(**CLIPS[kind])
    whole = all_frames(content)
    survey = decode.survey(content, PIXELS)
    assert len(survey.times) == len(whole) == 60
    plan, frames, problems = taken(content, preset)
    assert problems == []
    assert [frame.wanted for frame in frames] == plan.frames
    for frame in frames:
        assert np.array_equal(frame.rgb, whole[frame.wanted.index]), f"frame {frame.wanted.index} by {plan.skip}"
        assert frame.time == pytest.approx(frame.wanted.index / CLIPS[kind]["fps"], abs=0.002)
        assert abs(frame.time - frame.wanted.time) <= 0.0334 + 0.5 / 25


def test_non_reference_frames_are_skipped_where_a_neighbour_will_do() -> None:
    plan, _, _ = taken(clip(**CLIPS["b_pyramid"]), "even:10")
    assert plan.skip == "NONREF"
    exact, _, _ = taken(clip(**CLIPS["b_pyramid"]), "even:10", max_offset=0.0)
    assert exact.skip == "DEFAULT"


@pytest.mark.parametrize("kind", ["16_b", "mpeg4", "vp9", "annex_b"])
def test_all_is_decoded_where_skipping_would_miss_or_can_not_be_told(kind: str) -> None:
    plan, _, _ = taken(clip(**CLIPS[kind]), "even:10")
    assert plan.skip == "DEFAULT"


def test_key_frames_alone_are_decoded_for_themselves() -> None:
    content = clip(fps=30, options={**X264, "x264-params": "keyint=15:scenecut=0"})
    plan, frames, _ = taken(content, "keyframes")
    assert plan.skip == "NONKEY" and [frame.wanted.index for frame in frames] == [0, 15, 30, 45]


def test_reference_flags_are_what_the_decoder_goes_by() -> None:
    """Frames told as referenced while demuxing are exactly those that NONREF gives."""
    for kind in ("b_pyramid", "flat_b", "16_b", "open_gop"):
        content = clip(**CLIPS[kind])
        survey = decode.survey(content, PIXELS)
        assert survey.referenced is not None and survey.stamps is not None
        with av.open(io.BytesIO(content)) as container:
            container.streams.video[0].codec_context.skip_frame = "NONREF"
            given = [frame.pts for frame in container.decode(video=0)]
        assert given == survey.stamps[survey.referenced].tolist()


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_rotation_is_honoured(rotation: int, tmp_path: Path) -> None:
    content = clip(6, rotation=rotation)
    path = tmp_path / "turned.mp4"
    path.write_bytes(content)
    _, frames, _ = taken(content, "every:1")
    reader = cv2.VideoCapture(str(path))
    reader.set(cv2.CAP_PROP_ORIENTATION_AUTO, 1)  # it turns by the flag itself
    for frame, picture in zip(frames, numbered(6), strict=True):
        there, bgr = reader.read()
        assert there and frame.rgb.shape == bgr.shape == picture.shape and frame.rotation == rotation
        assert np.abs(frame.rgb.astype(int) - bgr[:, :, ::-1]).mean() < 2
        assert np.abs(frame.rgb.astype(int) - picture).mean() < 5


def test_colours_are_rgb_from_file_to_crop(config: Config) -> None:
    """A red, a green and a blue field come out red, green and blue, in the frame and in the stored crop."""
    target = np.zeros((96, 192, 3), np.uint8)
    for field, colour in enumerate([(220, 30, 30), (30, 220, 30), (30, 30, 220)]):
        target[:, field * 64 : (field + 1) * 64] = colour
    content = clip_of(target, 5)
    _, frames, _ = taken(content, "even:2")
    for frame in frames:
        assert np.abs(frame.rgb.astype(int) - target)[:, 4::8].mean() < 6
    settings = config.crops.model_copy(update={"margin": 1.0})
    crop = cut(frames[0], (64.0, 20.0, 64.0, 60.0), settings)
    stored = cv2.imdecode(np.frombuffer(crop.image, np.uint8), cv2.IMREAD_COLOR)[:, :, ::-1]
    assert (crop.x, crop.y, crop.width, crop.height) == (0, 0, 192, 96)
    assert np.abs(stored.astype(int) - target)[:, 4::8].mean() < 8


def clip_of(picture: Rgb, count: int) -> bytes:
    return encode_bytes([picture] * count, audio=False)[0]


def test_uneven_times_and_edit_list() -> None:
    """Variable frame rate with a late start: times count from the first frame."""
    ticks = [0, 1, 2, 5, 6, 12, 13, 14, 20, 30]
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as out:
        stream = out.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 128, 96, "yuv420p"
        stream.codec_context.thread_count = 1
        stream.options = {"bf": "2"}
        for tick, picture in zip(ticks, numbered(10), strict=True):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts = tick + 50
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    content = buffer.getvalue()
    survey = decode.survey(content, PIXELS)
    assert survey.times.tolist() == pytest.approx([tick / 25 for tick in ticks], abs=1e-3)
    whole = all_frames(content)
    _, frames, _ = taken(content, "even:4")
    assert [frame.wanted.index for frame in frames] == [0, 5, 8, 9]
    assert all(np.array_equal(frame.rgb, whole[frame.wanted.index]) for frame in frames)


def test_no_time_stamps() -> None:
    """H.264 in AVI has none: frames are counted, times follow from the rate, and all is decoded."""
    content = clip(30, container="avi", fps=25)
    plan, frames, _ = taken(content, "every:10")
    whole = all_frames(content)
    assert decode.survey(content, PIXELS).stamps is None
    assert plan.skip == "DEFAULT" and [frame.wanted.index for frame in frames] == [0, 10, 20]
    assert all(np.array_equal(frame.rgb, whole[frame.wanted.index]) for frame in frames)


def test_too_many_pixels() -> None:
    with pytest.raises(VideoError, match="TOO_LARGE"):
        decode.survey(clip(3), max_pixels=128 * 96 - 1)


def test_sound_alone_is_no_video() -> None:
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as out:
        stream = out.add_stream("aac", rate=16000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 16000
        out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    with pytest.raises(VideoError, match="NO_VIDEO_STREAM"):
        decode.survey(buffer.getvalue(), PIXELS)


def test_a_playlist_opens_no_other_file(tmp_path: Path) -> None:
    other = tmp_path / "secret.ts"
    other.write_bytes(clip(5, container="mpegts"))
    playlist = f"#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\nfile://{other}\n#EXT-X-ENDLIST\n".encode()
    with pytest.raises(VideoError, match="UNREADABLE"):
        decode.survey(playlist, PIXELS)


@pytest.mark.parametrize("kind", ["b_pyramid", "vp9", "mpeg4"])
def test_hostile_bytes_raise_video_errors_only(kind: str) -> None:
    """Truncated, garbled and random files: a VideoError, or frames of the right kind; nothing else."""
    content = clip(20, **CLIPS[kind])
    random = np.random.default_rng(3)
    cases = [b"", b"\0" * 100, random.bytes(5000), content[:40], content[: len(content) // 2], content[100:]]
    for _ in range(60):
        broken = bytearray(content)
        for place in random.integers(0, len(broken), random.integers(1, 40)):
            broken[place] = random.integers(0, 256)
        cases.append(bytes(broken))
    outcomes = []
    for case in cases:
        try:
            _, frames, problems = taken(case, "even:4")
            outcomes.append("problems" if problems else "fine")
            assert all(frame.rgb.dtype == np.uint8 and frame.rgb.ndim == 3 for frame in frames)
        except VideoError as error:
            outcomes.append(error.reason)
    assert outcomes[:3] == ["UNREADABLE"] * 3
    assert len(set(outcomes)) > 1


@pytest.mark.parametrize("kind", ["b_pyramid", "interlaced", "mpeg4", "vp9"])
@pytest.mark.parametrize("corners", [(0, 0, 128, 96), (31, 17, 78, 60), (40, 20, 80, 61), (127, 95, 128, 96)])
def test_a_region_is_that_part_of_the_frame_to_the_bit(kind: str, corners: tuple[int, int, int, int]) -> None:
    left, top, right, bottom = corners
    for frame in taken(clip(20, **CLIPS[kind]), "every:7")[1]:
        region = frame.region(*corners)
        assert ("rgb" in vars(frame)) == (kind == "interlaced")
        assert np.array_equal(region, frame.rgb[top:bottom, left:right])


@pytest.mark.parametrize("size", [(127, 95), (128, 95)])
def test_a_region_of_an_odd_or_turned_frame(size: tuple[int, int]) -> None:
    picture = next(iter(numbered(1, *size)))
    frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
    stored = frame.reformat(format="yuv420p")
    for rotation in (0, 90, 180, 270):
        width, height = size[::-1] if rotation % 180 else size
        one = decode.Frame(sampling.Wanted(0, 0.0), 0.0, rotation, width, height, stored)
        assert one.rgb.shape == (height, width, 3)
        assert np.array_equal(one.region(11, 20, 61, 71), one.rgb[20:71, 11:61])
        turned = np.rot90(stored.to_ndarray(format="rgb24"), -rotation // 90)
        assert np.array_equal(one.rgb, turned)
        small = cv2.resize(turned, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
        # Noise, and the two weigh the pixels at the edges of a fraction's area differently.
        assert np.abs(one.small(width // 2, height // 2).astype(int) - small).mean() < 4


@pytest.mark.parametrize("parameter", ["colormatrix=bt709", "fullrange=on"])
def test_colours_of_regions_and_small_frames_are_those_of_the_clip(parameter: str) -> None:
    """BT.709 and full range, as cameras and phones write them, are told by the stream and must not be lost."""
    options = {**X264, "x264-params": f"bframes=0:{parameter}"}
    frame = taken(clip(5, fps=25, options=options), "first:1")[1][0]
    plain = taken(clip(5, fps=25, options={**X264, "x264-params": "bframes=0"}), "first:1")[1][0]
    region = frame.region(10, 10, 50, 50)
    whole = frame.picture.to_ndarray(format="rgb24")
    assert np.array_equal(region, whole[10:50, 10:50]) and not np.array_equal(whole, plain.rgb)
    area = cv2.resize(whole, (64, 48), interpolation=cv2.INTER_AREA)
    assert np.abs(frame.small(64, 48).astype(int) - area).mean() < 2
