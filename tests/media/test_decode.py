"""Decoding against independent full decodes by PyAV, without a plan, and by OpenCV."""

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from dflib.errors import VideoError
from dflib.media.frame import Frame, FrameRequest
from dflib.media.orientation import Orientation
from dflib.media.plan import DecodePlan
from dflib.media.probe import probe
from tests.extraction.conftest import Rgb, numbered
from tests.media.shown import LIMITS, show
from tools.demo.clips import encode_bytes

X264 = {"preset": "medium", "crf": "28"}


def all_frames(content: bytes) -> list[Rgb]:
    """Every frame in presentation order, decoded whole by PyAV."""
    with av.open(io.BytesIO(content)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def decoded_frames(
    content: bytes, sampled: str, max_offset: float = 0.0334
) -> tuple[DecodePlan, list[Frame], list[str]]:
    shown = show(content, sampled, max_offset)
    return shown.planned, shown.frames, shown.findings.problems


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
@pytest.mark.parametrize(
    ("sampled", "count"),
    [("even:20", 20), ("even:5", 5), ("per_second:4", None), ("every:7", 9), ("first:9", 9), ("keyframes", None)],
)
def test_decode_equals_a_full_decode(kind: str, sampled: str, count: int | None) -> None:
    content = clip(**CLIPS[kind])
    whole = all_frames(content)
    assert len(probe(content, LIMITS).times) == len(whole) == 60
    planned, frames, problems = decoded_frames(content, sampled)
    assert problems == []
    assert [frame.request for frame in frames] == planned.requests
    assert len(frames) == count if count else frames
    for frame in frames:
        index = frame.request.index
        assert np.array_equal(frame.rgb, whole[index]), f"frame {index} with {planned.skip_frame}"
        assert frame.time == pytest.approx(index / CLIPS[kind]["fps"], abs=0.002)
        assert abs(frame.time - frame.request.time) <= 0.0334 + 0.5 / 25


def test_plan_skips_non_reference_frames_within_the_offset() -> None:
    planned, _, _ = decoded_frames(clip(**CLIPS["b_pyramid"]), "even:10")
    assert planned.skip_frame == "NONREF"
    exact, _, _ = decoded_frames(clip(**CLIPS["b_pyramid"]), "even:10", max_offset=0.0)
    assert exact.skip_frame == "DEFAULT"


@pytest.mark.parametrize("kind", ["16_b", "mpeg4", "vp9", "annex_b"])
def test_plan_decodes_all_frames_of_other_streams(kind: str) -> None:
    """Reference frames are too far apart (16 B-frames), or the packets do not state which ones they are."""
    planned, _, _ = decoded_frames(clip(**CLIPS[kind]), "even:10")
    assert planned.skip_frame == "DEFAULT"


def test_plan_decodes_key_frames_only_for_key_frames() -> None:
    content = clip(fps=30, options={**X264, "x264-params": "keyint=15:scenecut=0"})
    planned, frames, _ = decoded_frames(content, "keyframes")
    assert planned.skip_frame == "NONKEY" and [frame.request.index for frame in frames] == [0, 15, 30, 45]


@pytest.mark.parametrize("kind", ["b_pyramid", "flat_b", "16_b", "open_gop"])
def test_probe_finds_the_frames_that_nonref_decodes(kind: str) -> None:
    content = clip(**CLIPS[kind])
    info = probe(content, LIMITS)
    assert info.referenced is not None and info.stamps is not None
    with av.open(io.BytesIO(content)) as container:
        container.streams.video[0].codec_context.skip_frame = "NONREF"
        decoded = [frame.pts for frame in container.decode(video=0)]
    assert decoded == info.stamps[info.referenced].tolist() and 0 < len(decoded) < 60


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_decode_applies_the_rotation(rotation: int, tmp_path: Path) -> None:
    content = clip(6, rotation=rotation)
    path = tmp_path / "turned.mp4"
    path.write_bytes(content)
    _, frames, _ = decoded_frames(content, "every:1")
    reader = cv2.VideoCapture(str(path))
    reader.set(cv2.CAP_PROP_ORIENTATION_AUTO, 1)  # OpenCV applies the rotation itself
    for frame, image in zip(frames, numbered(6), strict=True):
        succeeded, bgr = reader.read()
        assert succeeded and frame.rgb.shape == bgr.shape == image.shape and frame.orientation == Orientation(rotation)
        assert np.abs(frame.rgb.astype(int) - bgr[:, :, ::-1]).mean() < 2
        assert np.abs(frame.rgb.astype(int) - image).mean() < 5


def test_probe_reads_variable_frame_rates() -> None:
    """Variable frame rate with a late start: times count from the first frame."""
    ticks = [0, 1, 2, 5, 6, 12, 13, 14, 20, 30]
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as out:
        stream = out.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 128, 96, "yuv420p"
        stream.codec_context.thread_count = 1
        stream.options = {"bf": "2"}
        for tick, image in zip(ticks, numbered(10), strict=True):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts = tick + 50
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    content = buffer.getvalue()
    assert probe(content, LIMITS).times.tolist() == pytest.approx([tick / 25 for tick in ticks], abs=1e-3)
    whole = all_frames(content)
    _, frames, _ = decoded_frames(content, "even:4")
    assert [frame.request.index for frame in frames] == [0, 5, 8, 9]
    assert all(np.array_equal(frame.rgb, whole[frame.request.index]) for frame in frames)


def test_decode_without_time_stamps_counts_frames() -> None:
    """AVI has no presentation times: they follow from the frame rate, and all frames are decoded."""
    content = clip(30, container="avi", fps=25)
    planned, frames, _ = decoded_frames(content, "every:10")
    whole = all_frames(content)
    assert probe(content, LIMITS).stamps is None
    assert planned.skip_frame == "DEFAULT" and [frame.request.index for frame in frames] == [0, 10, 20]
    assert all(np.array_equal(frame.rgb, whole[frame.request.index]) for frame in frames)


def test_probe_rejects_too_many_pixels() -> None:
    with pytest.raises(VideoError, match="TOO_LARGE"):
        probe(clip(3), replace(LIMITS, max_pixels=128 * 96 - 1))


def test_probe_rejects_a_file_with_sound_only() -> None:
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as out:
        stream = out.add_stream("aac", rate=16000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 16000
        out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    with pytest.raises(VideoError, match="NO_VIDEO_STREAM"):
        probe(buffer.getvalue(), LIMITS)


def test_probe_rejects_a_playlist(tmp_path: Path) -> None:
    other = tmp_path / "secret.ts"
    other.write_bytes(clip(5, container="mpegts"))
    playlist = f"#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\nfile://{other}\n#EXT-X-ENDLIST\n".encode()
    with pytest.raises(VideoError, match="UNREADABLE"):
        probe(playlist, LIMITS)


@pytest.mark.parametrize("kind", ["b_pyramid", "vp9", "mpeg4"])
def test_hostile_bytes_raise_no_other_errors(kind: str) -> None:
    """Truncated, corrupted and random files give a VideoError, or frames of the right type."""
    content = clip(20, **CLIPS[kind])
    random = np.random.default_rng(3)
    cases = [b"", b"\0" * 100, random.bytes(5000), content[:40], content[: len(content) // 2], content[100:]]
    for _ in range(60):
        broken = bytearray(content)
        for place in random.integers(0, len(broken), random.integers(1, 40)):
            broken[place] = random.integers(0, 256)
        cases.append(bytes(broken))
    outcomes = []
    shapes: set[tuple[str, int]] = set()
    for case in cases:
        try:
            _, frames, problems = decoded_frames(case, "even:4")
            outcomes.append("problems" if problems else "fine")
            shapes.update((frame.rgb.dtype.name, frame.rgb.shape[2]) for frame in frames)
        except VideoError as error:
            outcomes.append(error.reason)
    assert outcomes[:3] == ["UNREADABLE"] * 3
    assert shapes == {("uint8", 3)}, "some of the files can still be decoded"
    assert len(set(outcomes)) > 1


@pytest.mark.parametrize("kind", ["b_pyramid", "interlaced", "mpeg4", "vp9"])
@pytest.mark.parametrize("corners", [(0, 0, 128, 96), (31, 17, 78, 60), (40, 20, 80, 61), (127, 95, 128, 96)])
def test_region_is_bit_identical_to_that_part_of_the_frame(kind: str, corners: tuple[int, int, int, int]) -> None:
    left, top, right, bottom = corners
    _, frames, _ = decoded_frames(clip(20, **CLIPS[kind]), "every:7")
    assert len(frames) == 3
    for frame in frames:
        region = frame.region(*corners)
        assert ("rgb" in vars(frame)) == (kind == "interlaced")
        assert np.array_equal(region, frame.rgb[top:bottom, left:right])


@pytest.mark.parametrize("size", [(127, 95), (128, 95)])
def test_region_of_an_odd_or_rotated_frame(size: tuple[int, int]) -> None:
    image = next(iter(numbered(1, *size)))
    frame = av.VideoFrame.from_ndarray(image, format="rgb24")
    stored = frame.reformat(format="yuv420p")
    for rotation in (0, 90, 180, 270):
        width, height = size[::-1] if rotation % 180 else size
        one = Frame(FrameRequest(0, 0.0), 0.0, stored, Orientation(rotation))
        assert one.rgb.shape == (height, width, 3)
        assert np.array_equal(one.region(11, 20, 61, 71), one.rgb[20:71, 11:61])
        turned = np.rot90(stored.to_ndarray(format="rgb24"), -rotation // 90)
        assert np.array_equal(one.rgb, turned)
        small = cv2.resize(turned, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
        # For noise; the two weight pixels that lie partly in an area differently.
        assert np.abs(one.resized(width // 2, height // 2).astype(int) - small).mean() < 4


@pytest.mark.parametrize("parameter", ["colormatrix=bt709", "fullrange=on"])
def test_region_and_resized_keep_the_colour_space(parameter: str) -> None:
    """BT.709 and full range, as cameras and phones write them, are stated by the stream."""
    options = {**X264, "x264-params": f"bframes=0:{parameter}"}
    frame = decoded_frames(clip(5, fps=25, options=options), "first:1")[1][0]
    plain = decoded_frames(clip(5, fps=25, options={**X264, "x264-params": "bframes=0"}), "first:1")[1][0]
    region = frame.region(10, 10, 50, 50)
    whole = frame.decoded.to_ndarray(format="rgb24")
    assert np.array_equal(region, whole[10:50, 10:50]) and not np.array_equal(whole, plain.rgb)
    area = cv2.resize(whole, (64, 48), interpolation=cv2.INTER_AREA)
    assert np.abs(frame.resized(64, 48).astype(int) - area).mean() < 2
