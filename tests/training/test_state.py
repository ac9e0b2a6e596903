"""The state of a training: the best epoch, when it is finished, and its file."""

from pathlib import Path

import pytest

from dflib.config import TrainConfig
from dflib.errors import TrainingError
from dflib.training.spec import Epoch
from dflib.training.state import TrainingState
from tests.training.synthetic_faces import configuration


def state_after(*losses: float) -> tuple[TrainingState, list[bool]]:
    """The state after epochs with these validation losses, and whether each was the best so far."""
    state = TrainingState()
    improved = [state.add(Epoch(n, 1, 0.5, loss, 1 - loss, 1), "val_loss") for n, loss in enumerate(losses, 1)]
    return state, improved


def test_finished_after_patience_epochs_without_improvement() -> None:
    settings = configuration(Path("/nowhere")).train.model_dump() | {"patience": 2, "epochs": 9}
    train = TrainConfig.model_validate(settings)
    state, improved = state_after(0.5, 0.4, 0.4)
    assert improved == [True, True, False] and state.best == 2 and not state.finished(train)
    assert state_after(0.5, 0.4, 0.4, 0.45)[0].finished(train)
    assert not state_after(0.5, 0.4, 0.4, 0.3)[0].finished(train)
    assert state_after(*[1 - n / 10 for n in range(9)])[0].finished(train)


def test_add_prefers_the_higher_val_accuracy() -> None:
    state = TrainingState()
    epochs = [Epoch(n, 1, 0.5, 1, accuracy, 1) for n, accuracy in enumerate((0.5, 0.7, 0.6), 1)]
    assert [state.add(epoch, "val_accuracy") for epoch in epochs] == [True, True, False] and state.best == 2


def test_read_returns_what_write_wrote(tmp_path: Path) -> None:
    assert TrainingState.read(tmp_path) == TrainingState()
    state, _ = state_after(0.5, 0.4)
    state.step, state.seconds, state.sums, state.unreadable = 3, 1.5, [2.0, 8.0], {"train": 1}
    state.write(tmp_path)
    assert TrainingState.read(tmp_path) == state
    assert [path.name for path in tmp_path.iterdir()] == ["state.json"]


@pytest.mark.parametrize("content", ["{", "[]", '{"history": []}', '{"history": [{}], "step": 1}'])
def test_parse_rejects_other_content(content: str) -> None:
    with pytest.raises(ValueError):
        TrainingState.parse(content.encode())


def test_read_rejects_the_work_folder_of_an_earlier_version(tmp_path: Path) -> None:
    (tmp_path / "state.json").write_text('{"history": [], "best": 0, "unreadable": {}}')
    with pytest.raises(TrainingError, match=r"state.json: cannot resume from this file .* delete the work folder"):
        TrainingState.read(tmp_path)
