"""Losses as named parts."""

from pathlib import Path

import pytest

from dflib.errors import ConfigError
from dflib.parts import catalog
from dflib.training import losses
from tests.training.synthetic_faces import configuration


@pytest.mark.parametrize("name", catalog.LOSSES.names)
def test_load_returns_each_loss_of_the_catalog(name: str) -> None:
    loss = losses.load(name)
    assert isinstance(loss, losses.Loss)
    assert loss.build() is not loss.build()
    assert configuration(Path("/nowhere"), f"train.loss={name}").train.loss == name


def test_configuration_rejects_an_unknown_loss() -> None:
    with pytest.raises(ConfigError, match=r"train\.loss: .*did you mean mean_squared_error\?"):
        configuration(Path("/nowhere"), "train.loss=mean_square_error")
