"""A step of training whose batch goes through the network in parts, for batches larger than a GPU's memory."""

from typing import Any


def in_parts(model: Any, parts: int) -> Any:
    """The same network, layers and weights shared, whose step takes its batch in some parts of it, one after another.

    The gradients are those of the whole batch.  What looks at a batch as a whole (batch normalisation) looks at a part.

    Args:
        model: a functional ``tf_keras.Model``, not compiled; given back as it is for one part.
        parts: 1 or more. Each batch on a device has to be a multiple of it.
    """
    if parts == 1:
        return model
    import tensorflow as tf
    import tf_keras

    class InParts(tf_keras.Model):  # type: ignore[misc]
        def train_step(self, data: Any) -> Any:
            x, y, weights = tf_keras.utils.unpack_x_y_sample_weight(data)
            tf.debugging.assert_equal(tf.shape(x)[0] % parts, 0, "a batch is no multiple of train.accumulate")
            size = tf.shape(x)[0] // parts
            sums = [tf.zeros_like(variable) for variable in self.trainable_variables]
            for part in range(parts):
                own = slice(part * size, (part + 1) * size)
                wanted, weighed = y[own], None if weights is None else weights[own]
                # Not before the part before it is done: only one of them needs memory.
                with tf.control_dependencies(sums), tf.GradientTape() as tape:
                    faces = tf.identity(x[own])
                    given = self(faces, training=True)
                    loss = self.compute_loss(faces, wanted, given, weighed) / parts
                    scaled = getattr(self.optimizer, "get_scaled_loss", lambda loss: loss)(loss)
                gradients = tape.gradient(scaled, self.trainable_variables)
                sums = [total + gradient for total, gradient in zip(sums, gradients, strict=True)]
                self.compute_metrics(faces, wanted, given, weighed)
            sums = getattr(self.optimizer, "get_unscaled_gradients", lambda gradients: gradients)(sums)
            self.optimizer.apply_gradients(zip(sums, self.trainable_variables, strict=True))
            return self.get_metrics_result()

    return InParts(model.inputs, model.outputs, name=model.name)
