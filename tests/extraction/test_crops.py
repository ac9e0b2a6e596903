"""The stored crop and its quality measures against plain numpy."""

import cv2
import numpy as np
import pytest

from dflib.config import Config
from dflib.errors import VideoError
from dflib.extraction.crops import EncodedCrop, cut, inside, jpeg
from dflib.extraction.detect import Box
from dflib.media.decode import Findings, decode
from dflib.media.frame import FrameRequest
from dflib.media.plan import plan
from dflib.media.probe import probe
from tests.extraction.conftest import Rgb, as_frame
from tests.media.shown import LIMITS
from tools.demo.clips import encode_bytes


def cut_from(rgb: Rgb, box: Box, config: Config, margin: float = 0.6) -> EncodedCrop:
    settings = {"margin": margin, "max_side": 400, "jpeg_quality": 95}
    return cut(as_frame(rgb), box, config.crops.model_copy(update=settings))


def test_inside_clips_to_the_frame_and_returns_none_outside() -> None:
    assert inside((-10.5, 5.2, 30, 10), 100, 50) == (0, 5, 20, 16)
    assert inside((95, 45, 30, 10), 100, 50) == (95, 45, 100, 50)
    assert inside((100, 0, 30, 10), 100, 50) is None
    assert inside((-40, 0, 30, 10), 100, 50) is None


def test_cut_keeps_native_pixels_of_small_crops(config: Config) -> None:
    rgb = np.random.default_rng(1).integers(0, 256, (200, 300, 3), dtype=np.uint8)
    rgb = cv2.GaussianBlur(rgb, (0, 0), 3)
    crop = cut_from(rgb, (100.0, 60.0, 50.0, 80.0), config)
    assert (crop.x, crop.y, crop.width, crop.height, crop.scale) == (52, 12, 146, 176, 1.0)
    stored = cv2.imdecode(np.frombuffer(crop.image, np.uint8), cv2.IMREAD_COLOR)[:, :, ::-1]
    assert np.abs(stored.astype(int) - rgb[12:188, 52:198]).mean() < 3


def test_cut_scales_large_crops_down(config: Config) -> None:
    rgb = np.zeros((1000, 1500, 3), np.uint8)
    cv2.circle(rgb, (750, 500), 8, (255, 255, 255), -1)
    crop = cut_from(rgb, (500.0, 300.0, 500.0, 400.0), config)
    assert (crop.x, crop.y) == (200, 0)
    assert max(crop.width, crop.height) == 400 and crop.scale == pytest.approx(400 / 1100)
    grey = cv2.imdecode(np.frombuffer(crop.image, np.uint8), cv2.IMREAD_GRAYSCALE)
    y, x = (int(places.mean()) for places in np.nonzero(grey > 128))
    assert (x, y) == (
        pytest.approx((750 - crop.x) * crop.scale, abs=1),
        pytest.approx((500 - crop.y) * crop.scale, abs=1),
    )


def test_cut_clips_a_box_beyond_the_edge(config: Config) -> None:
    crop = cut_from(np.full((100, 100, 3), 90, np.uint8), (-20.0, 80.0, 60.0, 60.0), config)
    assert (crop.x, crop.y, crop.width, crop.height) == (0, 44, 76, 56)
    assert crop.brightness == pytest.approx(90)


def test_sharpness_is_the_variance_of_the_laplacian(config: Config) -> None:
    sharp = np.random.default_rng(2).integers(0, 256, (200, 200, 1), dtype=np.uint8).repeat(3, axis=2)
    blurred = cv2.GaussianBlur(sharp, (0, 0), 4)
    box = (20.0, 20.0, 128.0, 128.0)
    of_sharp, of_blurred = cut_from(sharp, box, config, 0.1), cut_from(blurred, box, config, 0.1)
    assert of_sharp.sharpness > 50 * of_blurred.sharpness
    assert of_sharp.sharpness == pytest.approx(cv2.Laplacian(sharp[20:148, 20:148, 0], cv2.CV_64F).var())


def test_channels_are_rgb_from_file_to_crop(config: Config) -> None:
    """Red, green and blue areas keep their colours in the frame and in the stored crop."""
    target = np.zeros((96, 192, 3), np.uint8)
    for area, colour in enumerate([(220, 30, 30), (30, 220, 30), (30, 30, 220)]):
        target[:, area * 64 : (area + 1) * 64] = colour
    content = encode_bytes([target] * 5, audio=False)[0]
    info = probe(content, LIMITS)
    planned = plan(info, [FrameRequest(1, 0.0), FrameRequest(3, 0.0)], 0.0)
    frames = list(decode(content, info, planned, LIMITS, Findings()))
    assert len(frames) == 2
    for frame in frames:
        assert np.abs(frame.rgb.astype(int) - target)[:, 4::8].mean() < 6
    settings = config.crops.model_copy(update={"margin": 1.0})
    crop = cut(frames[0], (64.0, 20.0, 64.0, 60.0), settings)
    stored = cv2.imdecode(np.frombuffer(crop.image, np.uint8), cv2.IMREAD_COLOR)[:, :, ::-1]
    assert (crop.x, crop.y, crop.width, crop.height) == (0, 0, 192, 96)
    assert np.abs(stored.astype(int) - target)[:, 4::8].mean() < 8


def test_an_image_too_wide_for_jpeg_is_refused_with_the_key_to_set() -> None:
    with pytest.raises(VideoError, match=r"66000x2 pixels .* crops.keep_frames=false"):
        jpeg(np.zeros((2, 66000, 3), np.uint8), 95)
