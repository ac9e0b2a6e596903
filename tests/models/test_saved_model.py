"""SavedModels return p_fake whatever the positive class is, and only those of dflib are loaded."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dflib.errors import ModelError
from dflib.models import networks, saved_model


@pytest.fixture(scope="module")
def network() -> Any:
    return networks.build("meso4", 48)


@pytest.fixture
def images() -> np.ndarray:
    return np.random.default_rng(7).integers(0, 255, (5, 48, 48, 3), np.uint8)


@pytest.mark.parametrize("positive", ["fake", "real"])
def test_load_returns_p_fake_for_either_positive_class(
    network: Any, images: np.ndarray, tmp_path: Path, positive: Any
) -> None:
    saved_model.save(network, tmp_path / "model", 48, positive)
    p_fake = saved_model.load(tmp_path / "model")(images)
    assert p_fake.shape == (5,)
    assert p_fake.dtype == np.float32
    p_positive = network(images, training=False).numpy()[:, 0]
    np.testing.assert_allclose(p_fake, p_positive if positive == "fake" else 1 - p_positive, atol=1e-6)
    assert np.ptp(p_fake) > 1e-4


def test_score_uses_neither_dropout_nor_batch_statistics(network: Any, images: np.ndarray, tmp_path: Path) -> None:
    saved_model.save(network, tmp_path / "model", 48, "fake")
    score = saved_model.load(tmp_path / "model")
    np.testing.assert_allclose(score(images)[:2], score(images[:2]), atol=1e-6)
    assert np.array_equal(score(images), score(images))


def test_save_refuses_a_network_of_another_size(network: Any, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"its input is \(None, 48, 48, 3\)"):
        saved_model.save(network, tmp_path / "model", 64, "fake")


def test_load_refuses_a_folder_without_saved_model(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="can't load a SavedModel"):
        saved_model.load(tmp_path)


def test_load_refuses_a_damaged_saved_model(network: Any, tmp_path: Path) -> None:
    saved_model.save(network, tmp_path / "model", 48, "fake")
    (tmp_path / "model" / "saved_model.pb").write_bytes(b"\x00garbage")
    with pytest.raises(ModelError, match="can't load a SavedModel"):
        saved_model.load(tmp_path / "model")


def test_load_refuses_a_saved_model_with_another_signature(tmp_path: Path) -> None:
    import tensorflow as tf

    module = tf.Module()
    module.half = tf.function(lambda x: {"half": x / 2}, input_signature=[tf.TensorSpec([None], tf.float32)])
    tf.saved_model.save(module, str(tmp_path / "other"), signatures={"serving_default": module.half})
    with pytest.raises(ModelError, match="does not return p_fake"):
        saved_model.load(tmp_path / "other")
