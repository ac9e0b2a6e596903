"""Frames as a viewer sees them: upright, with square pixels, in standard colours."""

import shutil
import subprocess
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from dflib.media.frame import Frame
from dflib.media.orientation import Orientation, of_matrix
from tests.media.made import Rgb, video, with_matrix
from tests.media.shown import show


def corners(width: int = 128, height: int = 96) -> Rgb:
    """An image that no turn and no mirror leaves as it is."""
    image = np.full((height, width, 3), 90, np.uint8)
    image[: height // 3, : width // 3] = (220, 40, 40)
    image[: height // 3, -width // 3 :] = (40, 220, 40)
    image[-height // 3 :, : width // 3] = (40, 40, 220)
    return image


def difference(one: Rgb, other: Rgb) -> float:
    assert one.shape == other.shape
    return float(np.abs(one.astype(int) - other).mean())


SHOWN = {
    (1, 0, 0, 1): lambda image: image,
    (-1, 0, 0, 1): np.fliplr,
    (1, 0, 0, -1): np.flipud,
    (-1, 0, 0, -1): lambda image: np.rot90(image, 2),
    (0, 1, -1, 0): lambda image: np.rot90(image, -1),
    (0, -1, 1, 0): lambda image: np.rot90(image, 1),
    (0, 1, 1, 0): lambda image: image.transpose(1, 0, 2),
    (0, -1, -1, 0): lambda image: np.rot90(image, 2).transpose(1, 0, 2),
}
"""What ISO/IEC 14496-12 makes of an image: (x, y) is shown at (ax + cy, bx + dy).  FFmpeg 5.1 shows the same."""


@pytest.mark.parametrize("matrix", SHOWN)
@pytest.mark.parametrize(("container", "codec"), [("mp4", "libx264"), ("mov", "mpeg4")])
def test_all_eight_orientations(matrix: tuple[int, int, int, int], container: str, codec: str) -> None:
    content = with_matrix(video([corners()] * 6, container, codec), matrix)
    expected = SHOWN[matrix](corners())
    for frame in show(content).frames:
        assert (frame.width, frame.height) == (expected.shape[1], expected.shape[0])
        assert difference(frame.rgb, expected) < 6
        small = cv2.resize(expected, (frame.width // 2, frame.height // 2), interpolation=cv2.INTER_AREA)
        assert difference(frame.resized(frame.width // 2, frame.height // 2), small) < 6
        assert np.array_equal(frame.region(3, 5, 41, 39), frame.rgb[5:39, 3:41])


@pytest.mark.parametrize("matrix", SHOWN)
def test_ffmpeg_shows_the_same(matrix: tuple[int, int, int, int], tmp_path: Path) -> None:
    if not shutil.which("ffmpeg"):
        pytest.skip("no ffmpeg here")
    path = tmp_path / "turned.mp4"
    path.write_bytes(with_matrix(video([corners()] * 3), matrix))
    subprocess.run(["ffmpeg", "-v", "error", "-i", path, "-frames:v", "1", tmp_path / "shown.png"], check=True)
    expected = cv2.imread(str(tmp_path / "shown.png"))[:, :, ::-1]
    assert difference(show(path.read_bytes()).frames[0].rgb, expected) < 2


def test_an_odd_angle_is_stated() -> None:
    turn = np.radians(30)
    matrix = (np.cos(turn), np.sin(turn), -np.sin(turn), np.cos(turn))
    shown = show(with_matrix(video([corners()] * 3), matrix))
    assert difference(shown.frames[0].rgb, corners()) < 6
    assert [mark for mark in shown.findings.marks(False) if mark.startswith("ODD_ANGLE") and "30.0" in mark]
    assert of_matrix((0, 0, 0, 0, 0, 0, 0, 0, 0)) == Orientation()


def orientation_message(mirrored: bool, anticlockwise: int) -> bytes:
    """The display orientation message of H.264 (D.1.27), for the one picture that follows it."""
    bits = f"0{int(mirrored)}0{anticlockwise * 65536 // 360:016b}10"
    bits += "1" + "0" * (-(len(bits) + 1) % 8)
    payload = int(bits, 2).to_bytes(len(bits) // 8, "big")
    return b"\0\0\0\1\x06" + bytes([47, len(payload)]) + payload + b"\x80"


@pytest.mark.parametrize("container", ["mp4", "mpegts"])
@pytest.mark.parametrize(("mirrored", "anticlockwise"), [(False, 90), (True, 0), (False, 180)])
def test_an_orientation_that_comes_once_holds(container: str, mirrored: bool, anticlockwise: int) -> None:
    written = 0

    def with_message(packet: Any) -> list[Any]:
        nonlocal written
        written += 1
        if written > 1:
            return [packet]
        first = av.Packet(orientation_message(mirrored, anticlockwise) + bytes(packet))
        first.pts, first.dts, first.time_base = packet.pts, packet.dts, packet.time_base
        first.stream, first.is_keyframe = packet.stream, True
        return [first]

    shown = show(video([corners()] * 12, container, muxed=with_message))
    image = np.rot90(np.fliplr(corners()) if mirrored else corners(), anticlockwise // 90)
    assert len(shown.frames) == 12
    assert all(difference(frame.rgb, image) < 6 for frame in shown.frames)


@pytest.mark.parametrize(
    ("container", "codec", "aspect"),
    [
        ("mp4", "libx264", Fraction(4, 3)), ("matroska", "libx264", Fraction(16, 11)), ("mov", "mpeg4", Fraction(8, 9)),
        ("mpegts", "mpeg2video", Fraction(4, 3)), ("mpeg", "mpeg2video", Fraction(64, 45)),
    ],
)  # fmt: skip
def test_pixels_that_are_not_square_are_made_so(container: str, codec: str, aspect: Fraction) -> None:
    """A circle stays a circle, and the frame has the shape of its twin with square pixels."""
    height = 96
    stored = 132 if aspect == Fraction(16, 11) else 96 if aspect.denominator == 3 else 144
    options: dict[str, str] = {}
    if codec == "mpeg2video":  # states the shape of the whole picture, of which there are few
        stored = {Fraction(4, 3): 96, Fraction(64, 45): 120}[aspect]
        aspect = Fraction(4, 3) * height / stored if aspect == Fraction(4, 3) else Fraction(16, 9) * height / stored
    twin = np.full((height, round(stored * aspect), 3), 60, np.uint8)
    cv2.circle(twin, (twin.shape[1] // 2, height // 2), 30, (230, 200, 180), -1)
    image = cv2.resize(twin, (stored, height), interpolation=cv2.INTER_AREA)
    frame = show(video([image] * 3, container, codec, options, aspect=aspect)).frames[0]
    assert (frame.width, frame.height) == (twin.shape[1], height)
    assert difference(frame.rgb, twin) < 6
    left, right = np.flatnonzero(frame.rgb[height // 2, :, 0] > 145)[[0, -1]]
    top, bottom = np.flatnonzero(frame.rgb[:, frame.width // 2, 0] > 145)[[0, -1]]
    assert abs((right - left) - (bottom - top)) <= 2
    assert np.array_equal(frame.region(10, 10, 60, 50), frame.rgb[10:50, 10:60])
    half = cv2.resize(twin, (frame.width // 2, height // 2), interpolation=cv2.INTER_AREA)
    assert difference(frame.resized(frame.width // 2, height // 2), half) < 6


PQ, HLG = 16, 18
WHITE = 203.0
"""Luminance of HDR reference white in cd/m², ITU-R BT.2408."""


def hdr(image: Rgb, transfer: int) -> NDArray[np.uint16]:
    """An SDR image as 10-bit BT.2020 in YUV 4:2:0 planes, by the formulas of the standards.

    BT.1886 with gamma 2.4, BT.709 to BT.2020 primaries (BT.2087), then SMPTE ST 2084 or ARIB STD-B67 with the system
    gamma of 1.2 for a display of 1000 cd/m² (BT.2100), and the BT.2020 matrix in limited range.
    """
    to_2020 = np.array([[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]])
    light = WHITE * (image / 255.0) ** 2.4 @ to_2020.T  # cd/m²
    if transfer == PQ:
        m1, m2, c1, c2, c3 = 0.1593017578125, 78.84375, 0.8359375, 18.8515625, 18.6875
        power = (light / 10000) ** m1
        signal = ((c1 + c2 * power) / (1 + c3 * power)) ** m2
    else:
        luminance = light @ [0.2627, 0.6780, 0.0593]
        scene = light / 1000 * (np.maximum(luminance, 1e-6) / 1000)[..., None] ** (1 / 1.2 - 1)
        signal = np.where(scene <= 1 / 12, np.sqrt(3 * scene),
                          0.17883277 * np.log(np.maximum(12 * scene - 0.28466892, 1e-9)) + 0.55991073)  # fmt: skip
    red, green, blue = np.moveaxis(signal, -1, 0)
    luma = 0.2627 * red + 0.6780 * green + 0.0593 * blue
    chroma = [(blue - luma) / 1.8814, (red - luma) / 1.4746]
    planes = [64 + 876 * luma, *(512 + 896 * cv2.resize(part, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
                                 for part in chroma)]  # fmt: skip
    return np.round(np.concatenate([plane.ravel() for plane in planes])).astype(np.uint16).reshape(-1, image.shape[1])


def hdr_video(image: Rgb, transfer: int, container: str) -> bytes:
    names = {PQ: "smpte2084", HLG: "arib-std-b67"}
    params = f"log-level=error:colorprim=bt2020:colormatrix=bt2020nc:transfer={names[transfer]}:range=limited"
    options = {"preset": "ultrafast", "crf": "4", "x265-params": params}
    return video([hdr(image, transfer)] * 2, container, "libx265", options, pix_fmt="yuv420p10le")


@pytest.mark.parametrize(("transfer", "container"), [(PQ, "mp4"), (HLG, "matroska")])
def test_high_dynamic_range_looks_as_its_sdr_twin(transfer: int, container: str) -> None:
    image = cv2.GaussianBlur(corners(), (0, 0), 4)
    frame: Frame = show(hdr_video(image, transfer, container)).frames[0]
    assert (frame.transfer, frame.matrix) == ({PQ: "smpte2084", HLG: "arib-std-b67"}[transfer], "bt2020nc")
    untouched = frame.decoded.to_ndarray(format="rgb24")
    assert difference(untouched, image) > 15, "without tone mapping it is grey"
    assert difference(frame.rgb, image) < 4
    assert np.array_equal(frame.region(3, 5, 41, 39), frame.rgb[5:39, 3:41])
    half = cv2.resize(image, (64, 48), interpolation=cv2.INTER_AREA)
    assert difference(frame.resized(64, 48), half) < 4


def test_colours_of_standard_range_are_left_alone() -> None:
    frame = show(video([corners()] * 3)).frames[0]
    assert np.array_equal(frame.rgb, frame.decoded.to_ndarray(format="rgb24"))
    assert (frame.transfer, frame.matrix) == (None, None)


def moving(count: int) -> list[Rgb]:
    """A vertical edge that moves by four pixels from image to image."""
    images = []
    for number in range(count):
        image = np.full((96, 128, 3), 40, np.uint8)
        image[:, 20 + 4 * number : 60 + 4 * number] = 220
        images.append(image)
    return images


@pytest.mark.parametrize(
    ("container", "codec", "options"),
    [("mp4", "libx264", {"x264-params": "interlaced=1"}), ("mpegts", "mpeg2video", {"flags": "+ildct+ilme"})],
)
def test_interlaced_frames_are_marked_and_deinterlaced_when_asked(
    container: str, codec: str, options: dict[str, str]
) -> None:
    fields = moving(24)
    woven = []
    for top, bottom in zip(fields[::2], fields[1::2], strict=True):
        frame = top.copy()
        frame[1::2] = bottom[1::2]
        woven.append(frame)
    content = video(woven, container, codec, options, rate=25, prepare=top_field_first)
    combed, smooth = show(content), show(content, deinterlace=True)
    assert any(mark.startswith("INTERLACED") for mark in combed.findings.marks(False))
    assert len(smooth.frames) == len(combed.frames) == 12
    for place in range(2, 10):
        of_frame = fields[2 * place : 2 * place + 2]
        combs = min(difference(combed.frames[place].rgb, field) for field in of_frame)
        assert min(difference(smooth.frames[place].rgb, field) for field in of_frame) < combs / 2
    plain = show(video(moving(6)))
    assert not plain.findings.marks(False)
    assert [frame.rgb.mean() for frame in show(video(moving(6)), deinterlace=True).frames] == pytest.approx(
        [frame.rgb.mean() for frame in plain.frames]
    )


def top_field_first(context: Any) -> None:
    context.field_order = 2  # AV_FIELD_TT


@pytest.mark.parametrize("codec", ["mpeg2video", "libx264"])
def test_the_shape_of_pixels_may_change(codec: str) -> None:
    """A broadcast that goes from 4:3 to 16:9."""
    image = cv2.resize(corners(), (120, 96))
    parts = [
        video([image] * 12, "mpegts", codec, {"bf": "0"}, aspect=aspect)
        for aspect in (Fraction(16, 15), Fraction(64, 45))
    ]
    shown = show(b"".join(parts))
    assert [frame.width for frame in shown.frames[:11]] == [128] * 11
    assert [frame.width for frame in shown.frames[12:]] == [171] * 12
    assert any(mark.startswith("SIZE_CHANGES") for mark in shown.findings.marks(False))
