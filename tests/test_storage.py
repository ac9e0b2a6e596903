"""Storage: the same behaviour on a local disk and on an S3 server."""

import pickle
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest

from dflib import uris
from dflib.errors import StorageError
from dflib.storage import Storage
from tests.s3_server import s3_server


@pytest.fixture(scope="module")
def s3_endpoint() -> Iterator[str]:
    with s3_server() as endpoint:
        yield endpoint


@pytest.fixture(params=["local", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Storage, str]:
    """A storage and an empty folder on it."""
    if request.param == "local":
        return Storage(), f"file://{tmp_path}"
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    endpoint = request.getfixturevalue("s3_endpoint")
    bucket = f"b{abs(hash(request.node.name)) % 10**9}"
    boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1").create_bucket(Bucket=bucket)
    return Storage(endpoint, "us-east-1", path_style=True), f"s3://{bucket}/folder"


def test_write_read_range_and_stat(place: tuple[Storage, str]) -> None:
    storage, root = place
    uri = uris.join(root, "a/b c%20d.bin")
    storage.write(uri, b"0123456789")
    assert storage.read(uri) == b"0123456789"
    assert storage.read_range(uri, 2, 3) == b"234"
    assert storage.read_range(uri, 8, 100) == b"89"
    assert storage.read_range(uri, 5, 0) == b""
    assert storage.stat(uri).size == 10


def test_etag_changes_with_the_content(place: tuple[Storage, str]) -> None:
    storage, root = place
    uri = uris.join(root, "x")
    storage.write(uri, b"one")
    first = storage.stat(uri).etag
    assert storage.stat(uri).etag == first
    storage.write(uri, b"two")
    assert storage.stat(uri).etag != first


def test_list_and_glob(place: tuple[Storage, str]) -> None:
    storage, root = place
    for name in ("c0/a.zip", "c0/b.txt", "c1/a.zip", "d/deep/er/a.zip"):
        storage.write(uris.join(root, name), b"x")
    below = [entry.uri.removeprefix(root + "/") for entry in storage.list_files(root)]
    assert below == ["c0/a.zip", "c0/b.txt", "c1/a.zip", "d/deep/er/a.zip"]
    assert storage.glob(f"{root}/c*/*.zip") == [f"{root}/c0/a.zip", f"{root}/c1/a.zip"]
    assert storage.glob(f"{root}/c?") == [f"{root}/c0", f"{root}/c1"]
    assert storage.glob(f"{root}/nothing*") == []
    assert storage.glob(f"{root}/c0") == [f"{root}/c0"]
    assert list(storage.list_files(f"{root}/nothing")) == []


def test_folders_go_up_down_and_away(place: tuple[Storage, str], tmp_path: Path) -> None:
    storage, root = place
    (tmp_path / "up" / "sub").mkdir(parents=True)
    (tmp_path / "up" / "sub" / "f").write_bytes(b"1")
    (tmp_path / "up" / "g").write_bytes(b"2")
    storage.upload_folder(tmp_path / "up", f"{root}/model")
    storage.download_folder(f"{root}/model", tmp_path / "down")
    assert (tmp_path / "down/sub/f").read_bytes() == b"1"
    assert (tmp_path / "down/g").read_bytes() == b"2"
    storage.delete_folder(f"{root}/model")
    with pytest.raises(StorageError, match="no such folder"):
        storage.download_folder(f"{root}/model", tmp_path / "again")


def test_what_is_missing_is_named(place: tuple[Storage, str]) -> None:
    storage, root = place
    for call in (storage.stat, storage.read, lambda uri: storage.read_range(uri, 0, 1)):
        with pytest.raises(StorageError, match="missing"):
            call(f"{root}/missing")


def test_requests_and_bytes_are_counted(place: tuple[Storage, str]) -> None:
    storage, root = place
    storage.write(f"{root}/x", b"0123456789")
    before = (storage.counters.requests, storage.counters.bytes_read)
    storage.stat(f"{root}/x")
    storage.read_range(f"{root}/x", 0, 4)
    assert (storage.counters.requests - before[0], storage.counters.bytes_read - before[1]) == (2, 4)


def test_it_travels_to_executors(place: tuple[Storage, str]) -> None:
    storage, root = place
    storage.write(f"{root}/x", b"1")
    copy = pickle.loads(pickle.dumps(storage))
    assert copy.read(f"{root}/x") == b"1"
    assert (copy.counters.requests, copy.counters.bytes_read) == (1, 1)


def test_an_s3_that_does_not_answer_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(StorageError, match=r"s3\.endpoint"):
        Storage("http://127.0.0.1:9", "us-east-1", path_style=True).read("s3://b/k")
