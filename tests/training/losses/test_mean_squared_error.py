"""Mean squared error against its formula."""

import numpy as np
import pytest

from dflib.training import losses


def test_mean_squared_error_is_the_weighted_mean_of_squared_differences() -> None:
    labels, p_fake = np.array([[1.0], [0.0], [1.0]], "f4"), np.array([[0.9], [0.2], [0.3]], "f4")
    weights = np.array([1.0, 2.0, 0.5], "f4")
    expected = np.mean([0.1**2, 2 * 0.2**2, 0.5 * 0.7**2])
    found = losses.load("mean_squared_error").build()(labels, p_fake, weights)
    assert float(found) == pytest.approx(expected, rel=1e-5)
