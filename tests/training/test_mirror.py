"""The copy of a work folder elsewhere: at any moment it holds what its state speaks of."""

from pathlib import Path

import pytest

from dflib.errors import StorageError
from dflib.storage import Storage
from dflib.training.launch import Mirror


class Noting(Storage):
    """Notes what is written and deleted, and fails at one name."""

    def __init__(self) -> None:
        super().__init__()
        self.did: list[str] = []
        self.fails_at = ""

    def write(self, uri: str, content: bytes) -> None:
        name = uri.rpartition("/")[2]
        if name == self.fails_at:
            raise StorageError(f"{uri}: no")
        self.did.append(f"+{name}")
        super().write(uri, content)

    def delete(self, uri: str) -> None:
        self.did.append(f"-{uri.rpartition('/')[2]}")
        super().delete(uri)


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    return here, there


def fill(folder: Path, **files: str) -> None:
    for path in folder.iterdir():
        path.unlink()
    for name, content in files.items():
        (folder / name).write_text(content)


def test_the_state_is_sent_last_and_only_then_is_the_old_deleted(folders: tuple[Path, Path]) -> None:
    here, there = folders
    storage = Noting()
    mirror = Mirror(storage, here, f"file://{there}")
    fill(here, aaa_state="1", checkpoint_1="one", log="x")
    mirror.send(last="aaa_state")
    assert storage.did == ["+checkpoint_1", "+log", "+aaa_state"]
    storage.did.clear()
    (here / "checkpoint_1").unlink()
    (here / "checkpoint_2").write_text("two")
    (here / "aaa_state").write_text("22")
    mirror.send(last="aaa_state")
    assert storage.did == ["+checkpoint_2", "+aaa_state", "-checkpoint_1"], "what did not change is not sent again"
    assert {path.name: path.read_text() for path in there.iterdir()} == {
        "aaa_state": "22",
        "checkpoint_2": "two",
        "log": "x",
    }


def test_what_breaks_off_leaves_what_the_old_state_speaks_of(folders: tuple[Path, Path]) -> None:
    here, there = folders
    storage = Noting()
    fill(here, state="1", checkpoint_1="one")
    Mirror(storage, here, f"file://{there}").send(last="state")
    fill(here, state="22", checkpoint_2="two")
    storage.fails_at = "state"
    with pytest.raises(StorageError):
        Mirror(storage, here, f"file://{there}").send(last="state")
    assert (there / "state").read_text() == "1" and (there / "checkpoint_1").read_text() == "one"
    # Another process, which finds what lies there, mends it.
    storage.fails_at = ""
    Mirror(storage, here, f"file://{there}").send(last="state")
    assert {path.name for path in there.iterdir()} == {"state", "checkpoint_2"}
