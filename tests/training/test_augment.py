"""The warp against Keras' affine transform, for each parameter alone and for all together."""

import cv2
import numpy as np
import pytest

from dflib.config import AugmentConfig
from dflib.training import augment

SIZE = 64
CASES = {
    "nothing": (0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 0.0),
    "rotation": (10.0, 0.0, 0.0, 0.0, 1.0, 1.0, 0.0),
    "shear": (0.0, -8.0, 0.0, 0.0, 1.0, 1.0, 0.0),
    "width shift": (0.0, 0.0, 0.1, 0.0, 1.0, 1.0, 0.0),
    "height shift": (0.0, 0.0, 0.0, -0.07, 1.0, 1.0, 0.0),
    "zoom": (0.0, 0.0, 0.0, 0.0, 0.9, 1.1, 0.0),
    "flip": (0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0),
    "all": (-9.0, 7.0, 0.05, 0.1, 1.08, 0.93, 1.0),
}


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    noise = np.random.default_rng(3).integers(0, 256, (SIZE, SIZE, 3)).astype(np.uint8)
    return cv2.GaussianBlur(noise, (0, 0), 2)


@pytest.mark.parametrize("case", CASES)
def test_warp_equals_the_transform_of_keras(case: str, image: np.ndarray) -> None:
    import tensorflow as tf
    from tf_keras.preprocessing.image import apply_affine_transform

    rotation, shear, shift_x, shift_y, zoom_x, zoom_y, flip = CASES[case]
    expected = apply_affine_transform(
        image.astype(np.float32), theta=rotation, tx=shift_x * SIZE, ty=shift_y * SIZE, shear=shear, zx=zoom_x,
        zy=zoom_y, row_axis=0, col_axis=1, channel_axis=2, fill_mode="nearest", order=1,
    )  # fmt: skip
    if flip:
        expected = expected[:, ::-1]
    row = [np.radians(rotation), np.radians(shear), shift_x, shift_y, zoom_x, zoom_y, flip]
    found = augment.warp(image[None], tf.constant([row], tf.float32)).numpy()[0]
    assert np.abs(found - expected).max() < 0.05
    if case != "nothing":
        assert np.abs(found - image).mean() > 1


def test_draw_covers_its_ranges_and_depends_on_its_seed() -> None:
    ranges = AugmentConfig(rotation=10, width_shift=0.1, height_shift=0.2, shear=5, zoom=0.3, horizontal_flip=True)
    found = augment.draw(2000, ranges, [1, 2]).numpy()
    expected = [(-np.radians(10), np.radians(10)), (-np.radians(5), np.radians(5)), (-0.1, 0.1), (-0.2, 0.2)]
    expected += [(0.7, 1.3), (0.7, 1.3)]
    for column, (low, high) in enumerate(expected):
        assert found[:, column].min() == pytest.approx(low, abs=0.01 * (high - low))
        assert found[:, column].max() == pytest.approx(high, abs=0.01 * (high - low))
    assert set(found[:, 6]) == {0.0, 1.0} and 0.45 < found[:, 6].mean() < 0.55
    assert np.array_equal(found, augment.draw(2000, ranges, [1, 2]).numpy())
    assert not np.array_equal(found, augment.draw(2000, ranges, [1, 3]).numpy())


def test_draw_from_empty_ranges_leaves_the_image_unchanged(image: np.ndarray) -> None:
    none = AugmentConfig(rotation=0, width_shift=0, height_shift=0, shear=0, zoom=0, horizontal_flip=False)
    found = augment.warp(image[None], augment.draw(1, none, [5, 5])).numpy()[0]
    assert np.abs(found - image).max() < 0.01
