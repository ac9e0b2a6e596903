"""SavedModels: the direction is turned in the graph, and only our own kind is loaded."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dflib.errors import ModelError
from dflib.models import networks, saved


@pytest.fixture(scope="module")
def network() -> Any:
    return networks.build("meso4", 48)


@pytest.fixture
def images() -> np.ndarray:
    return np.random.default_rng(7).integers(0, 255, (5, 48, 48, 3), np.uint8)


@pytest.mark.parametrize("positive", ["fake", "real"])
def test_what_comes_out_is_p_fake(network: Any, images: np.ndarray, tmp_path: Path, positive: Any) -> None:
    saved.save(network, tmp_path / "model", 48, positive)
    p_fake = saved.load(tmp_path / "model")(images)
    assert p_fake.shape == (5,)
    assert p_fake.dtype == np.float32
    p_positive = network(images, training=False).numpy()[:, 0]
    np.testing.assert_allclose(p_fake, p_positive if positive == "fake" else 1 - p_positive, atol=1e-6)
    assert np.ptp(p_fake) > 1e-4


def test_dropout_and_batch_statistics_play_no_part(network: Any, images: np.ndarray, tmp_path: Path) -> None:
    saved.save(network, tmp_path / "model", 48, "fake")
    score = saved.load(tmp_path / "model")
    np.testing.assert_allclose(score(images)[:2], score(images[:2]), atol=1e-6)
    assert np.array_equal(score(images), score(images))


def test_a_network_of_another_size_is_not_saved(network: Any, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"takes \(None, 48, 48, 3\)"):
        saved.save(network, tmp_path / "model", 64, "fake")


def test_no_saved_model_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no SavedModel"):
        saved.load(tmp_path)


def test_a_damaged_saved_model_is_an_error(network: Any, tmp_path: Path) -> None:
    saved.save(network, tmp_path / "model", 48, "fake")
    (tmp_path / "model" / "saved_model.pb").write_bytes(b"\x00garbage")
    with pytest.raises(ModelError, match="no SavedModel"):
        saved.load(tmp_path / "model")


def test_a_saved_model_of_another_kind_is_an_error(tmp_path: Path) -> None:
    import tensorflow as tf

    module = tf.Module()
    module.half = tf.function(lambda x: {"half": x / 2}, input_signature=[tf.TensorSpec([None], tf.float32)])
    tf.saved_model.save(module, str(tmp_path / "other"), signatures={"serving_default": module.half})
    with pytest.raises(ModelError, match="not one that gives p_fake"):
        saved.load(tmp_path / "other")
