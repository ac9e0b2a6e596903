"""The networks: sizes as published, inputs and outputs as promised."""

from pathlib import Path

import numpy as np
import pytest

from dflib.errors import ModelError
from dflib.models import networks


def trainable(network: object) -> int:
    return sum(int(np.prod(weight.shape)) for weight in network.trainable_weights)  # type: ignore[attr-defined]


def test_meso4_has_the_published_number_of_parameters() -> None:
    network = networks.build("meso4", 256)
    assert network.count_params() == 28_073
    assert trainable(network) == 27_977


def test_efficientnetb0_is_the_backbone_with_the_head_of_s4() -> None:
    network = networks.build("efficientnetb0", 128)
    # 4,049,571 of Keras Applications' EfficientNetB0 without top, and the three dense layers.
    assert network.count_params() == 4_049_571 + (1280 * 512 + 512) + (512 * 128 + 128) + (128 + 1)
    assert network.input_shape == (None, 128, 128, 3)


@pytest.mark.parametrize("name", networks.NETWORKS)
def test_bytes_and_floats_give_the_same_probability(name: str) -> None:
    network = networks.build(name, 64)
    images = np.random.default_rng(0).integers(0, 255, (3, 64, 64, 3), np.uint8)
    from_bytes = network(images, training=False).numpy()
    assert from_bytes.shape == (3, 1)
    assert ((from_bytes > 0) & (from_bytes < 1)).all()
    np.testing.assert_allclose(from_bytes, network(images.astype(np.float32), training=False).numpy(), atol=1e-6)


def test_meso4_scales_its_input_itself() -> None:
    network = networks.build("meso4", 32)
    first = network.layers[1]
    assert first(np.array([[0.0, 255.0]])).numpy().tolist() == [[0.0, 1.0]]


def test_a_backbone_file_gives_what_keras_gives_with_its_own_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keras' own loading, with its download put off to a file of made weights, is the reference."""
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


@pytest.mark.parametrize(
    ("name", "size", "message"),
    [("resnet50", 128, "one of meso4"), ("meso4", 8, "too small"), ("efficientnetb0", 16, "too small")],
)
def test_what_cannot_be_built_is_an_error(name: str, size: int, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        networks.build(name, size)


def test_a_backbone_for_a_network_without_one_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no backbone"):
        networks.build("meso4", 64, tmp_path / "x.h5")
