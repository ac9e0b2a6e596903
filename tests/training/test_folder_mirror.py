"""The remote copy of a work folder: at any time it holds all the files that its state refers to."""

from pathlib import Path

import pytest

from dflib.errors import StorageError
from dflib.storage import Storage
from dflib.training.folder_mirror import FolderMirror


class RecordingStorage(Storage):
    """Records writes (``+name``) and deletions (``-name``), and fails to write the file ``fails_at``."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[str] = []
        self.fails_at = ""

    def write(self, uri: str, content: bytes) -> None:
        name = uri.rpartition("/")[2]
        if name == self.fails_at:
            raise StorageError(f"{uri}: no")
        self.calls.append(f"+{name}")
        super().write(uri, content)

    def delete(self, uri: str) -> None:
        self.calls.append(f"-{uri.rpartition('/')[2]}")
        super().delete(uri)


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    local, remote = tmp_path / "local", tmp_path / "remote"
    local.mkdir()
    remote.mkdir()
    return local, remote


def replace_files(folder: Path, **files: str) -> None:
    for path in folder.iterdir():
        path.unlink()
    for name, content in files.items():
        (folder / name).write_text(content)


def test_send_uploads_the_state_last_and_deletes_after_it(folders: tuple[Path, Path]) -> None:
    local, remote = folders
    storage = RecordingStorage()
    mirror = FolderMirror(storage, local, f"file://{remote}")
    replace_files(local, aaa_state="1", checkpoint_1="one", log="x")
    mirror.send(last="aaa_state")
    assert storage.calls == ["+checkpoint_1", "+log", "+aaa_state"]
    storage.calls.clear()
    (local / "checkpoint_1").unlink()
    (local / "checkpoint_2").write_text("two")
    (local / "aaa_state").write_text("22")
    mirror.send(last="aaa_state")
    assert storage.calls == ["+checkpoint_2", "+aaa_state", "-checkpoint_1"], "unchanged files are not sent again"
    assert {path.name: path.read_text() for path in remote.iterdir()} == {
        "aaa_state": "22",
        "checkpoint_2": "two",
        "log": "x",
    }


def test_send_keeps_the_files_of_the_previous_state_when_it_fails(folders: tuple[Path, Path]) -> None:
    local, remote = folders
    storage = RecordingStorage()
    replace_files(local, state="1", checkpoint_1="one")
    FolderMirror(storage, local, f"file://{remote}").send(last="state")
    replace_files(local, state="22", checkpoint_2="two")
    storage.fails_at = "state"
    with pytest.raises(StorageError):
        FolderMirror(storage, local, f"file://{remote}").send(last="state")
    assert (remote / "state").read_text() == "1" and (remote / "checkpoint_1").read_text() == "one"
    # A new process takes the remote files into account.
    storage.fails_at = ""
    FolderMirror(storage, local, f"file://{remote}").send(last="state")
    assert {path.name for path in remote.iterdir()} == {"state", "checkpoint_2"}
