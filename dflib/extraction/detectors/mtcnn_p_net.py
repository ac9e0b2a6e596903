"""P-Net of the mtcnn package, its sums in another order: an eighth less time for the same offsets and confidence.

P-Net sees every pixel of a pyramid, with few channels, so most of its time goes into carrying maps through memory.
Two identities leave out most of the passes over the large ones.  With prelu(x) = max(x, 0) + a min(x, 0), a a channel:

* The largest prelu(x) of a window is that of the largest x where a >= 0, and of the largest or the smallest x where
  a < 0.  So conv1 is pooled before prelu1, which sees a quarter of its map; the smallest x is the largest of -x, for
  which conv1 has more channels.
* prelu(x) = a x + (1 - a) max(x, 0), so prelu3 is part of the 1x1 convolutions behind it.
"""

from collections.abc import Callable
from typing import Any

import numpy as np


def rearranged(p_net: Any) -> Callable[[Any], tuple[Any, Any]]:
    """The network as a function of pictures, float32 of shape (n, height, width, 3), to its two maps.

    These are the four offsets, (n, rows, columns, 4), and the confidence that a cell shows a face, (n, rows, columns);
    they differ from the package's by rounding (1e-6).

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

    def conv(pictures: Any, kernel: Any, bias: Any) -> Any:
        return tf.nn.bias_add(tf.nn.conv2d(pictures, kernel, 1, "VALID"), bias)

    def prelu(values: Any, slopes: Any) -> Any:
        return tf.maximum(values, 0) + slopes * tf.minimum(values, 0)

    def network(pictures: Any) -> tuple[Any, Any]:
        pooled = tf.nn.max_pool2d(conv(pictures, kernel, bias), 2, 2, "SAME")
        largest_rising, largest_falling, smallest_turned = tf.split(
            pooled, [len(rising), len(falling), len(falling)], axis=-1
        )
        maps = tf.concat(
            [
                prelu(largest_rising, slopes1[rising]),
                tf.maximum(prelu(largest_falling, slopes1[falling]), prelu(-smallest_turned, slopes1[falling])),
            ],
            axis=-1,
        )
        maps = prelu(conv(maps, kernel2[:, :, order], bias2), slopes2)
        maps = conv(maps, kernel3, bias3)
        # As convolutions: a product of matrices crashes in oneDNN where several pictures give one row of cells.
        given = conv(maps, heads * slopes3[:, None], heads_bias)
        given += tf.nn.conv2d(tf.nn.relu(maps), heads * (1 - slopes3)[:, None], 1, "VALID")
        return given[..., :4], tf.nn.softmax(given[..., 4:])[..., 1]

    return network
