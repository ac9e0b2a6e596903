"""Gradient accumulation: a batch passes through the network in micro-batches, if it is too large for a GPU's memory."""

from typing import Any


def with_accumulation(model: Any, micro_batches: int) -> Any:
    """The same network, sharing layers and weights, whose training step accumulates gradients over micro-batches.

    The gradients are those of the whole batch.  Layers that use statistics of the batch (batch normalisation) see one
    micro-batch at a time.

    Args:
        model: a functional ``tf_keras.Model``, not compiled.
        micro_batches: 1 or more; the batch on each device must be a multiple of it. With 1, ``model`` itself is
            returned.
    """
    if micro_batches == 1:
        return model
    import tensorflow as tf
    import tf_keras

    class AccumulatingModel(tf_keras.Model):  # type: ignore[misc]
        def train_step(self, data: Any) -> Any:
            x, y, weights = tf_keras.utils.unpack_x_y_sample_weight(data)
            tf.debugging.assert_equal(
                tf.shape(x)[0] % micro_batches, 0, "the batch is not a multiple of train.accumulate"
            )
            size = tf.shape(x)[0] // micro_batches
            sums = [tf.zeros_like(variable) for variable in self.trainable_variables]
            for number in range(micro_batches):
                rows = slice(number * size, (number + 1) * size)
                labels, row_weights = y[rows], None if weights is None else weights[rows]
                # Wait for the previous micro-batch, so that only one occupies memory at a time.
                with tf.control_dependencies(sums), tf.GradientTape() as tape:
                    images = tf.identity(x[rows])
                    outputs = self(images, training=True)
                    loss = self.compute_loss(images, labels, outputs, row_weights) / micro_batches
                    scaled = getattr(self.optimizer, "get_scaled_loss", lambda loss: loss)(loss)
                gradients = tape.gradient(scaled, self.trainable_variables)
                sums = [total + gradient for total, gradient in zip(sums, gradients, strict=True)]
                self.compute_metrics(images, labels, outputs, row_weights)
            sums = getattr(self.optimizer, "get_unscaled_gradients", lambda gradients: gradients)(sums)
            self.optimizer.apply_gradients(zip(sums, self.trainable_variables, strict=True))
            return self.get_metrics_result()

    return AccumulatingModel(model.inputs, model.outputs, name=model.name)
