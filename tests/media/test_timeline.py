"""Which frames a video shows, and when: the pixels of each frame tell its number."""

import io
from collections.abc import Sequence
from typing import Any

import av
import numpy as np
import pytest

from dflib.errors import VideoError
from tests.media.made import coded, number_of, video
from tests.media.shown import LIMITS, Shown, show

COUNT = 45
IMAGES = [coded(number) for number in range(2 * COUNT)]
HEVC = {"preset": "ultrafast", "x265-params": "log-level=error:keyint=15:min-keyint=15:scenecut=0:open-gop=1:bframes=3"}


def numbers(shown: Shown) -> list[int]:
    return [number_of(frame.rgb) for frame in shown.frames]


def codes(shown: Shown) -> set[str]:
    return {mark.partition(":")[0] for mark in (*shown.info.marks, *shown.findings.marks(False))}


def assert_shows(shown: Shown, expected: Sequence[int], ticks: Sequence[float], rate: float = 30) -> None:
    """The frames in their order, their indexes and their times in frame intervals."""
    assert numbers(shown) == list(expected)
    assert [frame.request.index for frame in shown.frames] == list(range(len(expected))) and not shown.findings.problems
    assert [frame.time * rate for frame in shown.frames] == pytest.approx(list(ticks), abs=0.07)


@pytest.mark.parametrize(
    ("container", "codec"),
    [("mpegts", "libx264"), ("mpegts", "mpeg2video"), ("mpeg", "mpeg2video"), ("flv", "libx264")],
)
def test_times_that_start_again_go_on(container: str, codec: str) -> None:
    """Two recordings joined byte by byte, both from time 0."""
    parts = [video(IMAGES[start : start + COUNT], container, codec) for start in (0, COUNT)]
    header = 13 if container == "flv" else 0
    shown = show(parts[0] + parts[1][header:])
    assert_shows(shown, range(2 * COUNT), range(2 * COUNT))
    assert "TIMES_ASSUMED" in codes(shown) and shown.info.duration == pytest.approx(3.0, abs=0.01)
    sampled = show(parts[0] + parts[1][header:], "even:10")
    assert numbers(sampled) == [frame.request.index for frame in sampled.frames] and len(sampled.frames) == 10
    assert max(numbers(sampled)) > 80


@pytest.mark.parametrize("codec", ["libx264", "mpeg2video"])
def test_a_clock_that_was_set_leaves_no_gap(codec: str) -> None:
    """The second part of a recording is an hour later on the recorder's clock."""
    late = [3600 * 30 + tick for tick in range(COUNT)]
    joined = video(IMAGES[:COUNT], "mpegts", codec) + video(IMAGES[COUNT:], "mpegts", codec, ticks=late)
    shown = show(joined)
    assert_shows(shown, range(2 * COUNT), range(2 * COUNT))
    assert "TIMES_ASSUMED" in codes(shown)


def test_a_long_still_picture_in_mp4_is_no_clock_that_was_set() -> None:
    ticks = [*range(10), *range(910, 920)]
    assert_shows(show(video(IMAGES[:20], ticks=ticks)), range(20), ticks)


@pytest.mark.parametrize(("codec", "b_frames"), [("mpeg4", "0"), ("mpeg4", "2"), ("libx264", "0"), ("mjpeg", "0")])
def test_avi_repeats_a_frame_where_a_packet_is_missing(codec: str, b_frames: str) -> None:
    options = {} if codec == "mjpeg" else {"bf": b_frames}
    ticks = [tick + (30 if tick >= 20 else 0) for tick in range(COUNT)]
    pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    shown = show(video(IMAGES[:COUNT], "avi", codec, options, ticks, pix_fmt=pix_fmt))
    assert_shows(shown, range(COUNT), ticks)
    assert shown.info.duration == pytest.approx(2.5, abs=0.01)


def nal(kind: str, container: str) -> bytes:
    """A NAL unit without a picture: an access unit delimiter, or an SEI message."""
    unit = {"aud": b"\x09\xf0", "sei": b"\x06\x05\x11" + b"dflib-not-a-frame" + b"\x80"}[kind]
    return len(unit).to_bytes(4, "big") + unit if container in ("mp4", "matroska") else b"\0\0\0\1" + unit


@pytest.mark.parametrize("container", ["mp4", "matroska"])
@pytest.mark.parametrize("kind", ["aud", "sei"])
def test_packets_without_a_picture_are_no_frames(container: str, kind: str) -> None:
    def with_empty(packet: Any) -> list[Any]:
        extra = []
        for place in (1, 2, 3):
            empty = av.Packet(nal(kind, container))
            empty.time_base, empty.stream = packet.time_base, packet.stream
            empty.pts, empty.dts = 4 * packet.pts + place, 4 * packet.dts + place
            extra.append(empty)
        packet.pts, packet.dts = 4 * packet.pts, 4 * packet.dts
        return [packet, *extra]

    content = video(IMAGES[:COUNT], container, muxed=with_empty, options={"x264-params": "annexb=0"}, rate=30)
    shown = show(content)
    assert numbers(shown) == list(range(COUNT)) and len(shown.info.times) == COUNT
    sampled = show(content, "even:9")
    assert numbers(sampled) == [frame.request.index for frame in sampled.frames] and len(sampled.frames) == 9


@pytest.mark.parametrize("container", ["webm", "avi"])
def test_pictures_that_are_never_shown_are_no_frames(container: str) -> None:
    """VP8 (RFC 6386, 9.1): the fifth bit of a frame tells whether it is shown."""
    written = 0

    def hide(packet: Any) -> list[Any]:
        nonlocal written
        content = bytearray(bytes(packet))
        if written % 3 == 1:
            content[0] &= ~0x10
        written += 1
        hidden = av.Packet(bytes(content))
        hidden.pts, hidden.dts, hidden.time_base = packet.pts, packet.dts, packet.time_base
        hidden.stream, hidden.is_keyframe = packet.stream, packet.is_keyframe
        return [hidden]

    shown = show(video(IMAGES[:COUNT], container, "libvpx", {"deadline": "realtime", "auto-alt-ref": "0"}, muxed=hide))
    kept = [number for number in range(COUNT) if number % 3 != 1]
    assert numbers(shown) == kept
    assert [frame.time * 30 for frame in shown.frames] == pytest.approx(kept, abs=0.07)


@pytest.mark.parametrize("container", ["mpegts", "mp4", "matroska"])
def test_leading_pictures_after_a_cut_are_no_frames(container: str) -> None:
    """An open group of pictures: the pictures before the first key frame refer to what was cut off."""
    seen = 0

    def after_cut(packet: Any) -> list[Any]:
        nonlocal seen
        seen += packet.is_keyframe
        return [packet] if seen >= 2 else []

    content = video(IMAGES[:COUNT], container, "libx265", HEVC, muxed=after_cut)
    shown = show(content)
    found = numbers(shown)
    assert found == list(range(found[0], COUNT)) and 12 <= found[0] <= 16
    assert len(shown.info.times) == len(found) and not shown.findings.problems
    assert len(show(content, "even:10").frames) == 10


@pytest.mark.parametrize(("container", "codec"), [("mp4", "libx264"), ("mov", "mpeg4")])
def test_samples_without_durations_follow_at_the_frame_rate(container: str, codec: str) -> None:
    content = bytearray(video(IMAGES[:COUNT], container, codec))
    table = content.index(b"stts")
    for entry in range(int.from_bytes(content[table + 8 : table + 12], "big")):
        content[table + 16 + 8 * entry : table + 20 + 8 * entry] = bytes(4)
    shown = show(bytes(content))
    assert_shows(shown, range(COUNT), range(COUNT))
    assert "TIMES_ASSUMED" in codes(shown)


@pytest.mark.parametrize(
    ("container", "codec"),
    [
        ("matroska", "libx264"), ("webm", "libvpx"), ("avi", "mpeg4"), ("flv", "libx264"), ("asf", "wmv2"),
        ("mxf", "mpeg2video"), ("mpegts", "libx264"), ("mpegts", "mpeg2video"), ("mpeg", "mpeg2video"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("share", [0.6, 0.9])
def test_a_file_that_was_cut_short_is_known_to_be(container: str, codec: str, share: float) -> None:
    options = {"deadline": "realtime"} if codec == "libvpx" else {}
    whole = video([np.random.default_rng(n).integers(0, 256, (96, 128, 3), np.uint8) for n in range(30)],
                  container, codec, options)  # fmt: skip
    complete = show(whole)
    assert complete.info.defect is None and len(complete.frames) == 30
    cut = show(whole[: int(len(whole) * share) | 1])  # no whole number of packets of 188 bytes
    assert cut.info.defect or "END_UNKNOWN" in codes(cut)
    assert 1 < len(cut.info.times) < 30
    if container != "mpeg":
        assert cut.info.defect


def test_a_live_recording_says_that_its_end_is_unknown() -> None:
    """Written to a pipe: the segment has no size, and the header no duration."""
    live = video(IMAGES[:COUNT], "matroska", mux_options={"live": "1"})
    assert "END_UNKNOWN" in codes(show(live))


def test_a_fragmented_mp4_without_its_index_says_that_its_end_is_unknown() -> None:
    images = [np.random.default_rng(n).integers(0, 256, (96, 128, 3), np.uint8) for n in range(30)]
    whole = video(images, "mp4", options={"g": "10"}, mux_options={"movflags": "frag_keyframe+empty_moov"})
    assert "END_UNKNOWN" not in codes(show(whole))
    cut = whole[: whole.rindex(b"mfra") - 4]
    assert "END_UNKNOWN" in codes(show(cut))
    inside = show(whole[: whole.rindex(b"mdat") + 200])
    assert inside.info.defect


@pytest.mark.parametrize("container", ["matroska", "mp4", "mpegts"])
def test_a_still_image_beside_the_video_is_not_taken_for_it(container: str) -> None:
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=container) as out:
        still: Any = out.add_stream("mpeg2video" if container == "mpegts" else "mjpeg", rate=30)
        still.width, still.height, still.pix_fmt = 640, 480, "yuv420p" if container == "mpegts" else "yuvj420p"
        moving: Any = out.add_stream("libx264", rate=30)
        moving.width, moving.height, moving.pix_fmt = 128, 96, "yuv420p"
        for packet in [*still.encode(av.VideoFrame.from_ndarray(coded(99, 640, 480))), *still.encode(None)]:
            out.mux(packet)
        for number in range(COUNT):
            frame = av.VideoFrame.from_ndarray(IMAGES[number])
            frame.pts = number
            out.mux(moving.encode(frame))
        out.mux(moving.encode(None))
    shown = show(buffer.getvalue())
    assert numbers(shown) == list(range(COUNT))
    assert {"STILL_STREAM", "VIDEO_STREAMS"} <= codes(shown)


@pytest.mark.parametrize(("container", "codec"), [("mp4", "libx264"), ("avi", "mpeg4")])
def test_damaged_frames_are_counted(container: str, codec: str) -> None:
    content = bytearray(video([np.random.default_rng(n).integers(0, 256, (96, 128, 3), np.uint8) for n in range(30)],
                              container, codec, {"bf": "0"}))  # fmt: skip
    assert not codes(show(bytes(content)))
    with av.open(io.BytesIO(bytes(content))) as opened:
        places = [(packet.pos, packet.size) for packet in opened.demux(video=0) if packet.size]
    for place, size in places[10:13]:
        content[place + size // 3 : place + size // 3 + 40] = bytes(40)
    assert "DAMAGED_FRAMES" in codes(show(bytes(content)))


def test_an_index_that_declares_millions_of_samples_is_refused_before_it_is_opened() -> None:
    content = bytearray(video(IMAGES[:5]))
    table = content.index(b"stsz")
    content[table + 8 : table + 16] = (1).to_bytes(4, "big") + (80_000_000).to_bytes(4, "big")
    with pytest.raises(VideoError, match=r"extract.max_index_entries") as error:
        show(bytes(content))
    assert error.value.reason == "TOO_LARGE"


def test_large_stills_are_refused_before_they_are_decoded() -> None:
    """16-bit RGBA in PNG: FFmpeg would decode it when it opens the file."""
    large = np.zeros((4000, 4000, 4), np.uint16)
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mov") as out:
        stream: Any = out.add_stream("png", rate=1)
        stream.width, stream.height, stream.pix_fmt = 4000, 4000, "rgba64be"
        out.mux(stream.encode(av.VideoFrame.from_ndarray(large, format="rgba64be")))
        out.mux(stream.encode(None))
    with pytest.raises(VideoError, match=f"4000x4000 pixels exceed extract.max_pixels={LIMITS.max_pixels}"):
        show(buffer.getvalue())


@pytest.mark.parametrize("container", ["matroska", "flv", "mpegts", "mp4"])
def test_decoding_times_as_presentation_times_are_put_in_order(container: str) -> None:
    """Several recorders write them; with B-frames, the times of shown frames then go back and forth."""

    def as_decoded(packet: Any) -> list[Any]:
        packet.dts += 10
        packet.pts = packet.dts
        return [packet]

    options = {"x264-params": "bframes=3:b-adapt=0:b-pyramid=none"}
    shown = show(video(IMAGES[:COUNT], container, options=options, muxed=as_decoded))
    assert numbers(shown) == list(range(COUNT))
    steps = np.diff([frame.time for frame in shown.frames]) * 30
    assert shown.info.duration == pytest.approx(1.5, abs=0.1) and steps == pytest.approx(1, abs=1.1)
    assert steps.min() > 0


def test_joined_flv_files_keep_their_headers() -> None:
    part = video(IMAGES[:COUNT], "flv")
    shown = show(part + part)
    assert numbers(shown) == [*range(COUNT), *range(COUNT)] and shown.info.defect is None
    assert show(part + part[:-200]).info.defect


@pytest.mark.parametrize("container", ["mp4", "asf"])
def test_a_second_file_after_the_first_is_told(container: str) -> None:
    part = video(IMAGES[:COUNT], container, "libx264" if container == "mp4" else "wmv2")
    assert numbers(show(part + part)) == list(range(COUNT))
    assert "a second video follows" in (show(part + part).info.defect or "")


def test_another_stream_in_the_second_part_is_told() -> None:
    first = video(IMAGES[:COUNT], "mpegts")
    second = video(IMAGES[COUNT:], "mpegts", mux_options={"mpegts_start_pid": "500", "mpegts_pmt_start_pid": "4100"})
    shown = show(first + second)
    assert numbers(shown) == list(range(COUNT)) and shown.info.defect


@pytest.mark.parametrize("tail", [b"\0" * 4096, b"\xff" * 500, b"made with a camera\n" * 20, b"TAG" + bytes(125)])
@pytest.mark.parametrize(("container", "codec"), [("mp4", "libx264"), ("flv", "libx264"), ("avi", "mpeg4")])
def test_bytes_after_the_end_are_no_loss(container: str, codec: str, tail: bytes) -> None:
    shown = show(video(IMAGES[:COUNT], container, codec) + tail)
    assert shown.info.defect is None and numbers(shown) == list(range(COUNT))


def test_flv_without_a_duration_says_that_its_end_is_unknown() -> None:
    """As a recorder that stops leaves it: cut between two tags."""
    whole = bytearray(video(IMAGES[:COUNT], "flv"))
    place = whole.index(b"duration\0") + 9
    whole[place : place + 8] = bytes(8)
    assert "END_UNKNOWN" in codes(show(bytes(whole)))


def test_a_long_still_picture_in_flv_is_no_clock_that_was_set() -> None:
    ticks = [*range(10), *range(910, 920)]
    assert_shows(show(video(IMAGES[:20], "flv", ticks=ticks)), range(20), ticks)


def test_a_damaged_packet_in_avi_shifts_no_index() -> None:
    images = [np.random.default_rng(n).integers(0, 256, (96, 128, 3), np.uint8) for n in range(30)]
    content = bytearray(video(images, "avi", options={"bf": "0"}))
    with av.open(io.BytesIO(bytes(content))) as opened:
        places = [(packet.pos, packet.size) for packet in opened.demux(video=0) if packet.size]
    place, size = places[10]
    content[place : place + size] = bytes(size)
    for frame in show(bytes(content), "every:3").frames:
        differences = [np.abs(frame.rgb.astype(int) - image).mean() for image in images]
        assert int(np.argmin(differences)) == round(frame.time * 30)
