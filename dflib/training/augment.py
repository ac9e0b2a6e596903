"""Random augmentation: six transforms composed into one affine warp for each image.

Rotation, width shift, height shift, shear and zoom are composed in this order about the image's centre, as in Keras'
``ImageDataGenerator``, and the horizontal flip comes last.  Outside the image the nearest pixel is repeated.  With one
composed matrix an image is resampled once instead of six times.
"""

from typing import Any

from dflib.config import AugmentConfig


def draw(count: Any, augment: AugmentConfig, seed: Any) -> Any:
    """Random parameters of some warps.

    Args:
        count: number of warps, a scalar int32 tensor.
        augment: the ranges; rotation and shear in degrees, shifts and zoom as shares of the side.
        seed: int64 tensor ``[2]``; the same seed gives the same parameters.

    Returns:
        float32 tensor ``[count, 7]``: rotation and shear in radians; x shift and y shift as shares of the side; x zoom
        and y zoom (above 1 shows more of the image, as in Keras); flip, 1 or 0.
    """
    import math

    import tensorflow as tf

    angle, shear = math.radians(augment.rotation), math.radians(augment.shear)
    low = [-angle, -shear, -augment.width_shift, -augment.height_shift, 1 - augment.zoom, 1 - augment.zoom, 0.0]
    high = [angle, shear, augment.width_shift, augment.height_shift, 1 + augment.zoom, 1 + augment.zoom, 1.0]
    share = tf.random.stateless_uniform([count, 7], seed)
    values = tf.constant(low) + share * (tf.constant(high) - tf.constant(low))
    flip = tf.cast(share[:, 6:] < (0.5 if augment.horizontal_flip else 0.0), tf.float32)
    return tf.concat([values[:, :6], flip], axis=1)


def warp(images: Any, parameters: Any) -> Any:
    """Warps square images, each with its own parameters.

    Args:
        images: tensor ``[n, size, size, 3]`` of any real type, RGB 0 to 255.
        parameters: float32 tensor ``[n, 7]`` from :func:`draw`.

    Returns:
        float32 tensor of the same shape and range, interpolated bilinearly.
    """
    import tensorflow as tf

    size = images.shape[1]
    rotation, shear, shift_x, shift_y, zoom_x, zoom_y, flip = tf.unstack(parameters, axis=1)
    cosine, sine = tf.cos(rotation), tf.sin(rotation)
    side = float(size)
    # The columns of rotation @ shift @ shear @ zoom, which maps coordinates (x, y) of the result to the source,
    # relative to the centre.
    x_x, y_x = cosine * zoom_x, sine * zoom_x
    x_y = (-cosine * tf.sin(shear) - sine * tf.cos(shear)) * zoom_y
    y_y = (-sine * tf.sin(shear) + cosine * tf.cos(shear)) * zoom_y
    x_1 = (cosine * shift_x - sine * shift_y) * side
    y_1 = (sine * shift_x + cosine * shift_y) * side
    # The flip acts on the result, so it is applied to its coordinates first.
    mirror = 1.0 - 2.0 * flip
    x_x, y_x = x_x * mirror, y_x * mirror
    centre = side / 2 - 0.5
    x_1 += centre - centre * (x_x + x_y)
    y_1 += centre - centre * (y_x + y_y)
    zero = tf.zeros_like(x_x)
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=tf.cast(images, tf.float32),
        transforms=tf.stack([x_x, x_y, x_1, y_x, y_y, y_1, zero, zero], axis=1),
        output_shape=[size, size],
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="NEAREST",
    )
