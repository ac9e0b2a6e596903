"""What all networks of the catalog promise. Each has a test file of its own in ``networks/``."""

from pathlib import Path

import numpy as np
import pytest

from dflib.errors import ModelError
from dflib.models import networks
from dflib.parts.catalog import NETWORKS

FACE_NETWORKS = [name for name in NETWORKS.names if networks.load(name).input == "face"]


@pytest.mark.parametrize("name", NETWORKS.names)
def test_part_is_a_network(name: str) -> None:
    part = networks.load(name)
    assert isinstance(part, networks.Network)
    assert 0 < part.smallest_size <= part.published_size


@pytest.mark.parametrize("name", FACE_NETWORKS)
def test_build_returns_a_probability_for_uint8_and_float_images(name: str) -> None:
    size = networks.load(name).smallest_size
    network = networks.build(name, size)
    assert network.input_shape == (None, size, size, 3)
    images = np.random.default_rng(0).integers(0, 255, (3, size, size, 3), np.uint8)
    from_bytes = network(images, training=False).numpy()
    assert from_bytes.shape == (3, 1) and from_bytes.dtype == np.float32
    assert ((from_bytes > 0) & (from_bytes < 1)).all()
    np.testing.assert_allclose(from_bytes, network(images.astype(np.float32), training=False).numpy(), atol=1e-6)


@pytest.mark.parametrize("name", FACE_NETWORKS)
def test_build_computes_the_probability_in_float32_under_mixed_precision(name: str) -> None:
    import tf_keras

    tf_keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        layer = networks.build(name, networks.load(name).smallest_size).layers[-1]
    finally:
        tf_keras.mixed_precision.set_global_policy("float32")
    assert layer.compute_dtype == "float32"


@pytest.mark.parametrize("name", NETWORKS.names)
def test_build_synchronizes_batch_normalization_only_where_the_network_can(name: str) -> None:
    import tf_keras

    part = networks.load(name)
    for asked in (False, True):
        network = networks.build(name, part.smallest_size, synchronized=asked)
        layers = [layer for layer in network.layers if isinstance(layer, tf_keras.layers.BatchNormalization)]
        found = {layer.synchronized for layer in layers}
        assert found <= {asked and part.synchronized_batch_norm}
        assert layers or not part.synchronized_batch_norm


@pytest.mark.parametrize("name", NETWORKS.names)
def test_build_refuses_an_input_below_the_smallest(name: str) -> None:
    smallest = networks.load(name).smallest_size
    with pytest.raises(ModelError, match=f"set view.size to {smallest} or more"):
        networks.build(name, smallest - 1)


@pytest.mark.parametrize("name", [name for name in NETWORKS.names if networks.load(name).backbone is None])
def test_build_refuses_a_backbone_for_a_network_without_one(name: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=f"{name} has no backbone"):
        networks.build(name, 256, tmp_path / "x.h5")


def test_build_refuses_an_unknown_network() -> None:
    with pytest.raises(ModelError, match="unknown network 'meso5'; did you mean meso4"):
        networks.build("meso5", 128)
