"""Binary cross-entropy against its formula."""

import numpy as np
import pytest

from dflib.training import losses


def test_binary_crossentropy_is_the_weighted_mean_of_the_negative_log_likelihood() -> None:
    labels, p_fake = np.array([[1.0], [0.0], [1.0]], "f4"), np.array([[0.9], [0.2], [0.3]], "f4")
    weights = np.array([1.0, 2.0, 0.5], "f4")
    expected = -np.mean([np.log(0.9), 2 * np.log(0.8), 0.5 * np.log(0.3)])
    found = losses.load("binary_crossentropy").build()(labels, p_fake, weights)
    assert float(found) == pytest.approx(expected, rel=1e-5)
