"""Storage: the same behaviour on a local disk and on an S3 server."""

import os
import pickle
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import boto3
import pytest

from dflib import uris
from dflib.errors import CredentialsError, StorageError
from dflib.storage import Storage
from dflib.storage import s3_client as s3
from tests.fault_proxy import Faults, fault_proxy
from tests.s3_server import checking_server, s3_server


@pytest.fixture(autouse=True)
def no_client_of_another_test() -> None:
    """A client keeps the number of tries and the credentials with which it was made, and servers may share a port."""
    s3.client.cache_clear()


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
        Storage("http://127.0.0.1:9", "us-east-1", path_style=True).read("s3://bucket/k")


def test_conditional_writes() -> None:
    with s3_server("conditions") as endpoint:
        storage, uri = Storage(endpoint, "us-east-1", path_style=True), "s3://conditions/x"
        assert storage.read_versioned(uri) is None
        assert storage.write_if(uri, b"none there", '"0"') is None
        first = storage.write_if(uri, b"one", None)
        assert first is not None and storage.write_if(uri, b"two", None) is None
        second = storage.write_if(uri, b"three", first)
        assert second is not None and storage.write_if(uri, b"four", first) is None
        found = storage.read_versioned(uri)
        assert found is not None and (found.content, found.etag) == (b"three", second) and 0 <= found.age < 30
        head = storage.read_versioned(uri, 2)
        assert head is not None and head.content == b"th"
        storage.delete(uri)
        assert storage.read_versioned(uri) is None
        with pytest.raises(StorageError, match="NoSuchBucket"):
            storage.write_if("s3://nowhere/x", b"", None)


def test_faults_of_the_server_are_outlived() -> None:
    """Errors are answered before a request is heard, and answers break off in the middle."""
    with s3_server("faults") as endpoint:
        content = os.urandom(300_000)
        Storage(endpoint, "us-east-1", path_style=True).write("s3://faults/x", content)
        faults = Faults(errors=0.05, cuts=0.3, seed=1)
        with fault_proxy(endpoint, faults) as failing:
            storage = Storage(failing, "us-east-1", path_style=True)
            for offset in range(0, 300_000, 20_000):
                assert storage.read_range("s3://faults/x", offset, 20_000) == content[offset : offset + 20_000]
            assert storage.read("s3://faults/x") == content
            storage.write("s3://faults/y", content)
        assert faults.counts["cut"] >= 3 and faults.counts["500"] + faults.counts["503"] >= 1


def test_retries_are_as_many_as_errors_and_cuts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of every kind of request, in several threads that share a client, each with counters of its own."""
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    with s3_server("faults") as endpoint:
        sound = Storage(endpoint, "us-east-1", path_style=True)
        for place in ("unlucky", "lucky"):
            for number in range(5):
                sound.write(f"s3://faults/{place}/there/{number}", b"0123456789" * 100)
        faults = Faults(errors=0.15, cuts=0.1, seed=3, only="/unlucky")
        with fault_proxy(endpoint, faults) as failing:
            whole = Storage(failing, "us-east-1", path_style=True)
            beside = whole.counting()

            def ask(number: int) -> Storage:
                storage, place = whole.counting(), "s3://faults/" + ("lucky" if number % 2 else "unlucky")
                for entry in storage.list_files(f"{place}/there"):
                    # Between the entries of a list another one asks.
                    assert beside.read_range("s3://faults/unlucky/there/0", 5, 200) == (b"0123456789" * 100)[5:205]
                    storage.stat(entry.uri)
                uri = f"{place}/mine/{number}"
                etag = storage.write_if(uri, b"one" * 50, None)
                versioned = storage.read_versioned(uri, 100)
                assert versioned is not None and versioned.etag == etag
                storage.write(uri, b"two" * 50)
                assert storage.read(uri) == b"two" * 50
                storage.delete(uri)
                return storage

            with ThreadPoolExecutor(4) as pool:
                parts = list(pool.map(ask, range(8)))
            assert sound.counters.retries == 0
            # The threads whose requests do not fail count none of what happens beside them.
            assert all(part.counters.retries == 0 for part in parts[1::2])
            own, others = sum(part.counters.retries for part in parts), beside.counters.retries
            given = faults.counts["500"] + faults.counts["503"] + faults.counts["cut"]
            assert own > 0 < others and own + others == whole.counters.retries == given
            # Requests are counted once, whatever they took.
            assert whole.counters.requests == 8 * (1 + 5 + 5 + 1 + 1 + 1)


def test_tries_of_a_request_that_fails_in_the_end_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Answered with errors, broken off, and never answered."""
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    with s3_server("faults") as endpoint:
        Storage(endpoint, "us-east-1", path_style=True).write("s3://faults/x", b"0123456789")
        for faults in (Faults(errors=1), Faults(cuts=1)):
            with fault_proxy(endpoint, faults) as failing:
                storage = Storage(failing, "us-east-1", path_style=True)
                with pytest.raises(StorageError):
                    storage.read("s3://faults/x")
                given = faults.counts["500"] + faults.counts["503"] + faults.counts["cut"]
                assert storage.counters.retries == given - 1 == s3.ATTEMPTS - 1
        nobody = Storage("http://127.0.0.1:9", "us-east-1", path_style=True)
        with pytest.raises(StorageError):
            nobody.stat("s3://faults/x")
        assert nobody.counters.retries == s3.ATTEMPTS - 1


def test_error_answers_that_break_off_are_outlived_and_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    with s3_server("faults") as endpoint:
        Storage(endpoint, "us-east-1", path_style=True).write("s3://faults/errors/x", b"0123456789")
        faults = Faults(errors=0.4, cut_errors=True, seed=6)
        with fault_proxy(endpoint, faults) as failing:
            storage = Storage(failing, "us-east-1", path_style=True)
            for _ in range(5):
                assert storage.read("s3://faults/errors/x") == b"0123456789"
                assert [entry.uri for entry in storage.list_files("s3://faults/errors")] == ["s3://faults/errors/x"]
            assert faults.counts["500"] + faults.counts["503"] > 0
        with (
            fault_proxy(endpoint, Faults(errors=1, cut_errors=True)) as failing,
            pytest.raises(StorageError, match="s3://faults/errors/x: S3 answered 50"),
        ):
            Storage(failing, "us-east-1", path_style=True).read("s3://faults/errors/x")


def test_an_answer_that_always_breaks_off_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    with s3_server("faults") as endpoint, fault_proxy(endpoint, Faults(cuts=1)) as failing:
        storage = Storage(failing, "us-east-1", path_style=True)
        storage.write("s3://faults/x", b"0123456789")
        with pytest.raises(StorageError, match="s3://faults/x"):
            storage.read("s3://faults/x")


def test_what_s3_refuses_is_told_without_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with checking_server(tmp_path, "known", "secret", "bucket") as server:
        for key, secret in (("unknown", "hidden-1"), ("known", "hidden-2")):
            monkeypatch.setenv("AWS_ACCESS_KEY_ID", key)
            monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", secret)
            s3.client.cache_clear()
            with pytest.raises(
                CredentialsError, match=r"^s3://bucket/x: S3 refused .*check the AWS credentials"
            ) as raised:
                Storage(server.endpoint, "us-east-1", path_style=True).read("s3://bucket/x")
            assert "hidden" not in str(raised.value) and "\n" not in str(raised.value)
    s3.client.cache_clear()
