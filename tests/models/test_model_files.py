"""Private, verified copies of SavedModels; the files here are any bytes, since nothing is loaded."""

import errno
import hashlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from dflib.errors import DflibError, ModelError, StorageError
from dflib.models import model_files
from dflib.models.model_files import folder_sha256, verified_copy
from dflib.storage import Storage
from tests.s3_server import s3_server

FILES = {"saved_model.pb": b"graph", "variables/variables.index": b"index", "variables/variables.data-0": b"data" * 9}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, content in FILES.items():
        path = tmp_path / "model" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return tmp_path / "model"


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    return tmp_path / "tmp"


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_folder_sha256_is_that_of_paths_lengths_and_contents(folder: Path) -> None:
    whole = b"".join(f"{name}\0{len(FILES[name])}\0".encode() + FILES[name] for name in sorted(FILES))
    assert folder_sha256(folder) == hashlib.sha256(whole).hexdigest()


def test_verified_copy_is_private_and_deleted(folder: Path, temporary: Path) -> None:
    os.umask(os.umask(0))
    for path in folder.rglob("*"):
        path.chmod(0o777)
    with verified_copy(Storage(), f"file://{folder}", folder_sha256(folder)) as copy:
        assert contents(copy) == FILES and copy != folder
        assert copy.stat().st_mode & 0o077 == copy.parent.stat().st_mode & 0o077 == 0
        (folder / "saved_model.pb").write_bytes(b"other")
        assert contents(copy) == FILES
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("change", ["content", "more", "less", "renamed"])
def test_verified_copy_refuses_changed_files(folder: Path, temporary: Path, change: str) -> None:
    sha256, graph = folder_sha256(folder), folder / "saved_model.pb"
    if change == "content":
        graph.write_bytes(b"grapx")
    elif change == "more":
        (folder / "assets.txt").write_bytes(b"")
    elif change == "less":
        graph.unlink()
    else:
        graph.rename(folder / "saved_model.pbtxt")
    with (
        pytest.raises(ModelError, match="differ from the registered ones"),
        verified_copy(Storage(), f"file://{folder}", sha256),
    ):
        pass
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("kind", ["file", "folder", "outside", "broken", "pipe", "many", "folders"])
def test_verified_copy_refuses_links_and_special_files(folder: Path, tmp_path: Path, kind: str) -> None:
    sha256 = folder_sha256(folder)
    index = folder / "variables" / "variables.index"
    if kind == "file":  # the same bytes, so the same hash
        (tmp_path / "elsewhere").write_bytes(index.read_bytes())
        index.unlink()
        index.symlink_to(tmp_path / "elsewhere")
        assert folder_sha256(folder) == sha256
    elif kind == "folder":
        shutil.move(folder / "variables", tmp_path / "moved")
        (folder / "variables").symlink_to(tmp_path / "moved")
    elif kind == "outside":
        (folder / "passwords").symlink_to("/etc/passwd")
    elif kind == "broken":
        (folder / "nothing").symlink_to(tmp_path / "nothing")
    elif kind == "pipe":
        os.mkfifo(folder / "pipe")
    elif kind == "many":
        for number in range(model_files.MAX_FILES):
            (folder / str(number)).touch()
    else:
        for number in range(model_files.MAX_FILES):
            (folder / str(number)).mkdir()
    with (
        pytest.raises(ModelError, match=r"link|special file|more than 100 files"),
        verified_copy(Storage(), f"file://{folder}", sha256),
    ):
        pass


def test_verified_copy_of_a_folder_behind_a_link(folder: Path, tmp_path: Path) -> None:
    """models.root may be a link."""
    (tmp_path / "root").symlink_to(tmp_path)
    with verified_copy(Storage(), f"file://{tmp_path}/root/model", folder_sha256(folder)) as copy:
        assert contents(copy) == FILES


def test_verified_copy_names_what_is_missing(tmp_path: Path) -> None:
    with (
        pytest.raises(StorageError, match="nowhere: the model can't be copied"),
        verified_copy(Storage(), f"file://{tmp_path}/nowhere", "0" * 64),
    ):
        pass


@pytest.fixture
def s3() -> Iterator[Storage]:
    with s3_server("models") as endpoint:
        yield Storage(endpoint, "us-east-1", path_style=True)


def test_files_of_s3_are_fetched_once_and_again_when_they_are_damaged(
    s3: Storage, folder: Path, temporary: Path
) -> None:
    sha256, uri = folder_sha256(folder), "s3://models/m1"
    s3.upload_folder(folder, uri)
    for _ in range(2):
        with verified_copy(s3, uri, sha256) as copy:
            assert contents(copy) == FILES
        requests = s3.counters.requests
    with verified_copy(s3, uri, sha256):
        assert s3.counters.requests == requests
    (kept,) = temporary.iterdir()
    assert [path.name for path in kept.iterdir()] == [sha256] and kept.stat().st_mode & 0o077 == 0
    (kept / sha256 / "saved_model.pb").write_bytes(b"damaged")
    with verified_copy(s3, uri, sha256) as copy:
        assert contents(copy) == FILES and s3.counters.requests > requests
    assert contents(kept / sha256) == FILES
    s3.write("s3://models/m2/saved_model.pb", b"other")
    with (
        pytest.raises(ModelError, match="differ from the registered ones"),
        verified_copy(s3, "s3://models/m2", "ab" * 32),
    ):
        pass
    # Objects of which one has the name of another's folder.
    s3.write("s3://models/m3/saved_model.pb", b"other")
    s3.write("s3://models/m3/saved_model.pb/x", b"other")
    with pytest.raises(DflibError), verified_copy(s3, "s3://models/m3", "cd" * 32):
        pass
    assert [path.name for path in kept.iterdir()] == [sha256]


@pytest.mark.parametrize("sha256", ["/tmp/victim", "../victim", "", ".", "a" * 63, "A" * 64, "a" * 64 + "\n"])
def test_what_is_no_hash_names_no_folder(s3: Storage, temporary: Path, tmp_path: Path, sha256: str) -> None:
    (tmp_path / "victim").mkdir()
    (tmp_path / "victim" / "file").touch()
    sha256 = sha256.replace("/tmp", str(tmp_path))
    s3.write("s3://models/m/saved_model.pb", b"graph")
    with pytest.raises(ModelError, match="no SHA-256 of 64"), verified_copy(s3, "s3://models/m", sha256):
        pass
    assert (tmp_path / "victim" / "file").exists() and list(temporary.iterdir()) == []


@pytest.mark.parametrize(("name", "size"), [("many", 1), ("large", 9), ("deep", 1)])
def test_a_remote_model_above_the_limits_is_not_fetched(
    s3: Storage, monkeypatch: pytest.MonkeyPatch, name: str, size: int
) -> None:
    monkeypatch.setattr(model_files, "MAX_FILES", 5)
    monkeypatch.setattr(model_files, "MAX_BYTES", 8)
    for number in range(6 if name == "many" else 1):
        below = "a/b/c/d/e/" if name == "deep" else ""
        s3.write(f"s3://models/m/{below}{number}", b"x" * size)
    with (
        pytest.raises(StorageError, match="s3://models/m: has more than"),
        verified_copy(s3, "s3://models/m", "0" * 64),
    ):
        pass
    assert s3.counters.bytes_read == 0


def no_space(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_for_what_is_kept_is_a_warning(
    s3: Storage, folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    s3.upload_folder(folder, "s3://models/m1")
    monkeypatch.setattr("shutil.copytree", no_space)
    with verified_copy(s3, "s3://models/m1", folder_sha256(folder)) as copy:
        assert contents(copy) == FILES
    assert "s3://models/m1: no copy is kept in" in caplog.text and "No space left" in caplog.text


def test_a_full_disk_for_the_copy_names_the_disk_and_leaves_what_is_kept(
    s3: Storage, folder: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    s3.upload_folder(folder, "s3://models/m1")
    sha256 = folder_sha256(folder)
    with verified_copy(s3, "s3://models/m1", sha256):
        pass
    monkeypatch.setattr("shutil.copyfileobj", no_space)
    for uri in ("s3://models/m1", f"file://{folder}"):
        with pytest.raises(StorageError, match=f"{temporary}: .*No space left.*TMPDIR"), verified_copy(s3, uri, sha256):
            pass
    (kept,) = temporary.iterdir()
    assert contents(kept / sha256) == FILES


def test_folder_sha256_reads_in_blocks(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = folder_sha256(folder)
    monkeypatch.setattr(model_files, "_BLOCK", 2)
    monkeypatch.delattr(Path, "read_bytes")
    assert folder_sha256(folder) == before
