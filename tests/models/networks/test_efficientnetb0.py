"""EfficientNetB0: number of parameters, and its backbone against that of Keras Applications."""

from pathlib import Path

import numpy as np
import pytest

from dflib.errors import ModelError
from dflib.models import networks


def test_efficientnetb0_is_the_backbone_with_the_head_of_s4() -> None:
    network = networks.build("efficientnetb0", 128)
    # 4,049,571 of Keras Applications' EfficientNetB0 without top, and the three dense layers.
    assert network.count_params() == 4_049_571 + (1280 * 512 + 512) + (512 * 128 + 128) + (128 + 1)
    assert network.input_shape == (None, 128, 128, 3)


def test_backbone_file_gives_the_output_of_keras_with_its_own_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reference loads the weights as Keras does; its download is replaced by a file of generated weights."""
    import tf_keras
    from tf_keras.src.applications import efficientnet as keras_efficientnet

    file = tmp_path / "backbone.h5"
    made = tf_keras.applications.EfficientNetB0(include_top=False, weights=None, input_shape=(64, 64, 3), pooling="max")
    normalization = next(layer for layer in made.layers if layer.name.startswith("normalization"))
    normalization.set_weights([np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225]), np.int64(0)])
    made.save_weights(file)
    monkeypatch.setattr(keras_efficientnet.data_utils, "get_file", lambda *args, **kwargs: str(file))
    reference = tf_keras.applications.EfficientNetB0(
        include_top=False, weights="imagenet", input_shape=(64, 64, 3), pooling="max"
    )
    network = networks.build("efficientnetb0", 64, file)
    backbone = tf_keras.Model(network.input, network.layers[-5].output)
    images = np.random.default_rng(1).integers(0, 255, (2, 64, 64, 3), np.uint8).astype(np.float32)
    expected = reference(images, training=False).numpy()
    assert np.abs(expected).max() > 1e-6
    np.testing.assert_allclose(backbone(images, training=False).numpy(), expected, rtol=1e-3, atol=1e-6)


def test_backbone_file_of_another_network_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "meso4.h5"
    networks.build("meso4", 64).save_weights(file)
    with pytest.raises(ModelError, match=r"meso4\.h5: holds 10 layers with weights"):
        networks.build("efficientnetb0", 64, file)
