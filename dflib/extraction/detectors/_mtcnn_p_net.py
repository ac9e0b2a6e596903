"""P-Net of the mtcnn package with rearranged sums: the same offsets and confidence in an eighth less time.

P-Net processes every pixel of a pyramid with few channels, so memory bandwidth dominates its time.  Two identities
avoid most passes over the large maps.  With prelu(x) = max(x, 0) + a min(x, 0) and one slope a per channel:

* The maximum of prelu(x) over a window is prelu of the largest x where a >= 0, and of the largest or the smallest x
  where a < 0.  So conv1 is pooled before prelu1, which then processes a quarter of the map; the smallest x is the
  negated maximum of -x, for which conv1 gets additional channels.
* prelu(x) = a x + (1 - a) max(x, 0), so prelu3 is merged into the 1x1 convolutions that follow it.
"""

from collections.abc import Callable
from typing import Any

import numpy as np


def rearranged(p_net: Any) -> Callable[[Any], tuple[Any, Any]]:
    """P-Net as a function from images to its two maps.

    The images are float32 of shape (n, height, width, 3), normalised to -1..1.  The maps are the four offsets,
    (n, rows, columns, 4), and the confidence that a cell shows a face, (n, rows, columns); they differ from the
    package's by rounding (1e-6).

    Args:
        p_net: ``mtcnn.network.pnet.PNet`` with its weights.
    """
    import tensorflow as tf

    weights = {layer.name: layer.get_weights() for layer in p_net.layers}
    slopes1, slopes2, slopes3 = (weights[name][0].ravel() for name in ("prelu1", "prelu2", "prelu3"))
    rising, falling = np.flatnonzero(slopes1 >= 0), np.flatnonzero(slopes1 < 0)
    order = np.concatenate([rising, falling])
    kernel, bias = (np.concatenate([part[..., order], -part[..., falling]], axis=-1) for part in weights["conv1"])
    kernel2, bias2 = weights["conv2"]
    kernel3, bias3 = weights["conv3"]
    (to_offsets, offsets_bias), (to_classes, classes_bias) = weights["conv4-1"], weights["conv4-2"]
    heads = np.concatenate([to_offsets, to_classes], axis=-1)
    heads_bias = np.concatenate([offsets_bias, classes_bias])

    def conv(maps: Any, kernel: Any, bias: Any) -> Any:
        return tf.nn.bias_add(tf.nn.conv2d(maps, kernel, 1, "VALID"), bias)

    def prelu(values: Any, slopes: Any) -> Any:
        return tf.maximum(values, 0) + slopes * tf.minimum(values, 0)

    def network(images: Any) -> tuple[Any, Any]:
        pooled = tf.nn.max_pool2d(conv(images, kernel, bias), 2, 2, "SAME")
        largest_rising, largest_falling, smallest_negated = tf.split(
            pooled, [len(rising), len(falling), len(falling)], axis=-1
        )
        maps = tf.concat(
            [
                prelu(largest_rising, slopes1[rising]),
                tf.maximum(prelu(largest_falling, slopes1[falling]), prelu(-smallest_negated, slopes1[falling])),
            ],
            axis=-1,
        )
        maps = prelu(conv(maps, kernel2[:, :, order], bias2), slopes2)
        maps = conv(maps, kernel3, bias3)
        # As convolutions: a matrix product crashes in oneDNN for a batch of images with a single row of cells.
        outputs = conv(maps, heads * slopes3[:, None], heads_bias)
        outputs += tf.nn.conv2d(tf.nn.relu(maps), heads * (1 - slopes3)[:, None], 1, "VALID")
        return outputs[..., :4], tf.nn.softmax(outputs[..., 4:])[..., 1]

    return network
