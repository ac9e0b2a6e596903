"""Meso4: the published number of parameters, and its scaling."""

import numpy as np

from dflib.models import networks


def test_meso4_has_the_published_number_of_parameters() -> None:
    network = networks.build("meso4", 256)
    assert network.count_params() == 28_073
    assert sum(int(np.prod(weight.shape)) for weight in network.trainable_weights) == 27_977


def test_meso4_scales_its_input_to_0_1() -> None:
    network = networks.build("meso4", 32)
    first = network.layers[1]
    assert first(np.array([[0.0, 255.0]])).numpy().tolist() == [[0.0, 1.0]]
