"""Storage: the same behaviour on a local disk and on an S3 server."""

import errno
import os
import pickle
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import boto3
import pytest

from dflib import uris
from dflib.errors import CredentialsError, StorageError
from dflib.storage import UNREADABLE, Storage, files
from dflib.storage import s3_client as s3
from dflib.storage.scheme import Entry
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


def test_write_read_range_and_stat_agree(place: tuple[Storage, str]) -> None:
    storage, root = place
    uri = uris.join(root, "a/b c%20d.bin")
    storage.write(uri, b"0123456789")
    assert storage.read(uri) == b"0123456789"
    assert storage.read_range(uri, 2, 3) == b"234"
    assert storage.read_range(uri, 8, 100) == b"89"
    assert storage.read_range(uri, 5, 0) == b""
    assert storage.stat(uri).size == 10


def test_stat_etag_changes_with_the_content(place: tuple[Storage, str]) -> None:
    storage, root = place
    uri = uris.join(root, "x")
    storage.write(uri, b"one")
    first = storage.stat(uri).etag
    assert storage.stat(uri).etag == first
    storage.write(uri, b"two")
    assert storage.stat(uri).etag != first


def test_list_files_and_glob_find_names_in_order(place: tuple[Storage, str]) -> None:
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
    later = [entry.uri for entry in storage.list_files(root, after=f"{root}/c0/b.txt")]
    assert later == [f"{root}/c1/a.zip", f"{root}/d/deep/er/a.zip"]


def test_glob_takes_a_part_that_exists_literally_as_it_is(place: tuple[Storage, str]) -> None:
    storage, root = place
    for name in ("[DFDC] part 0/a.zip", "[DFDC] part 0/b[1].zip", "D/a.zip", "b1.zip", "q?.zip", "qq.zip"):
        storage.write(uris.join(root, name), b"x")
    assert storage.glob(f"{root}/[DFDC] part 0") == [f"{root}/[DFDC] part 0"]
    assert storage.glob(f"{root}/[DFDC] part 0/*.zip") == [
        f"{root}/[DFDC] part 0/a.zip",
        f"{root}/[DFDC] part 0/b[1].zip",
    ]
    assert storage.glob(f"{root}/*/b[1].zip") == [f"{root}/[DFDC] part 0/b[1].zip"]
    assert storage.glob(f"{root}/[DF]") == [f"{root}/D"]
    assert storage.glob(f"{root}/q?.zip") == [f"{root}/q?.zip"]


def test_list_everything_has_hidden_files(place: tuple[Storage, str]) -> None:
    storage, root = place
    written = [".hidden", "a/.b/c.mp4", "a/d.mp4"]
    for name in written:
        storage.write(uris.join(root, name), b"x")
    assert sorted(entry.uri.removeprefix(f"{root}/") for entry in storage.list_everything(root)) == written
    assert list(storage.list_everything(f"{root}/nothing")) == []


def test_list_everything_follows_links_to_folders_once(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    (root / "b").mkdir(parents=True)
    (root / "b" / "x.mp4").write_bytes(b"x")
    (outside / "deep").mkdir(parents=True)
    (outside / "deep" / "y.mp4").write_bytes(b"yy")
    (root / "a").symlink_to(root / "b")  # listed already as b
    (root / "b" / "up").symlink_to(root)
    (root / "o").symlink_to(outside)
    (root / "p").symlink_to(outside / "deep")
    (outside / "back").symlink_to(root)
    (root / "file.mp4").symlink_to(outside / "deep" / "y.mp4")
    (root / "nowhere").symlink_to("missing")
    (root / "circle").symlink_to("circle")
    os.mkfifo(root / "pipe")
    found = {
        entry.uri.removeprefix(f"file://{root}/"): entry.size for entry in Storage().list_everything(f"file://{root}")
    }
    assert found == {"b/x.mp4": 1, "o/deep/y.mp4": 2, "file.mp4": 2, "nowhere": -1, "circle": -1, "pipe": -1}


def test_list_everything_does_not_pass_over_a_closed_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("closed", "vanished", "open"):
        (tmp_path / name).mkdir()
    (tmp_path / "open" / "a.mp4").write_bytes(b"a")
    scandir = os.scandir

    def refuse(path: str) -> object:
        if path.endswith("closed"):
            raise PermissionError(errno.EACCES, "Permission denied")
        if path.endswith("vanished"):
            raise FileNotFoundError(errno.ENOENT, "No such file or directory")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    found = {
        entry.uri.removeprefix(f"file://{tmp_path}/"): entry.size
        for entry in Storage().list_everything(f"file://{tmp_path}")
    }
    assert found == {"closed": UNREADABLE, "open/a.mp4": 1}
    with pytest.raises(StorageError, match="closed: Permission denied"):
        list(Storage().list_everything(f"file://{tmp_path}/closed"))


def test_folders_are_uploaded_downloaded_and_deleted(place: tuple[Storage, str], tmp_path: Path) -> None:
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
    storage.delete_folder(f"{root}/model")


def test_a_folder_above_the_limits_is_refused_before_anything_is_read(
    place: tuple[Storage, str], tmp_path: Path
) -> None:
    storage, root = place
    for name in ("a", "b/c/d"):
        storage.write(f"{root}/model/{name}", b"1234")
    for limits, message in (((3, None), "more than 3 files and folders"), ((None, 7), "more than 7 bytes")):
        before = storage.counters.bytes_read
        with pytest.raises(StorageError, match=message):
            storage.download_folder(f"{root}/model", tmp_path / "down", *limits)
        assert storage.counters.bytes_read == before and not (tmp_path / "down").exists()
    storage.download_folder(f"{root}/model", tmp_path / "down", 4, 8)
    assert (tmp_path / "down/b/c/d").read_bytes() == b"1234"


def test_folders_are_copied_in_blocks_that_fit_together(
    place: tuple[Storage, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage, root = place
    monkeypatch.setattr("dflib.storage.storage._BLOCK", 4)
    for size in (0, 3, 4, 5, 8, 9):
        storage.write(f"{root}/model/{size}", b"012345678"[:size])
    storage.download_folder(f"{root}/model", tmp_path / "down")
    assert [(tmp_path / f"down/{size}").read_bytes() for size in (0, 3, 4, 5, 8, 9)] == [
        b"012345678"[:size] for size in (0, 3, 4, 5, 8, 9)
    ]
    listed = [Entry(f"{root}/model/9", size, "") for size in (8, 10)]
    for entry in listed:
        monkeypatch.setattr(storage, "list_files", lambda uri, entry=entry: iter([entry]))
        with pytest.raises(StorageError, match="model/9: was changed while it was copied"):
            storage.download_folder(f"{root}/model", tmp_path / "again")


def test_missing_objects_are_named_in_errors(place: tuple[Storage, str]) -> None:
    storage, root = place
    for call in (storage.stat, storage.read, lambda uri: storage.read_range(uri, 0, 1)):
        with pytest.raises(StorageError, match="missing"):
            call(f"{root}/missing")


def test_every_operation_is_counted(place: tuple[Storage, str]) -> None:
    storage, root = place
    operations = (
        lambda: storage.write(f"{root}/x", b"0123456789"),
        lambda: storage.stat(f"{root}/x"),
        lambda: storage.read_range(f"{root}/x", 0, 4),
        lambda: storage.read(f"{root}/x"),
        lambda: list(storage.list_files(root)),
        lambda: storage.delete(f"{root}/x"),
    )
    for number, operation in enumerate(operations, 1):
        operation()
        assert storage.counters.requests == number
    assert storage.counters.bytes_read == 4 + 10


def test_counting_adds_to_the_counters_of_the_whole(place: tuple[Storage, str]) -> None:
    whole, root = place
    part = whole.counting()
    part.write(f"{root}/x", b"1")
    part.read(f"{root}/x")
    whole.stat(f"{root}/x")
    assert (part.counters.requests, whole.counters.requests, whole.counters.bytes_read) == (2, 3, 1)


def test_files_are_read_by_seeking_and_through_pyarrows_file_system(place: tuple[Storage, str]) -> None:
    storage, root = place
    storage.write(f"{root}/x", b"0123456789")
    with files.open_file(storage, f"{root}/x") as file:
        file.seek(-4, os.SEEK_END)
        assert (file.tell(), file.read(2), file.read()) == (6, b"67", b"89")
    path = urlsplit(files.file_url(f"{root}/x")).path
    system = files.filesystem(storage, f"{root}/x")
    if system is None:
        assert Path(path).read_bytes() == b"0123456789"
    else:
        assert system.isfile(path) and not system.isfile(f"{path}y") and system.isdir(path.rpartition("/")[0])
        assert system.open(path).read(3) == b"012"


def test_storage_is_pickled_without_its_counters(place: tuple[Storage, str]) -> None:
    storage, root = place
    storage.write(f"{root}/x", b"1")
    copy = pickle.loads(pickle.dumps(storage))
    assert copy.read(f"{root}/x") == b"1"
    assert (copy.counters.requests, copy.counters.bytes_read) == (1, 1)


def test_file_errors_are_storage_errors(tmp_path: Path) -> None:
    storage, root = Storage(), f"file://{tmp_path}"
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("x")
    storage.delete(f"{root}/missing")
    with pytest.raises(StorageError, match=rf"^{root}/folder: Is a directory$"):
        storage.delete(f"{root}/folder")
    with pytest.raises(StorageError, match=rf"^{root}/file: Not a directory$"):
        storage.delete_folder(f"{root}/file")
    with pytest.raises(StorageError, match=rf"^{root}/file/x: (Not a directory|File exists)$"):
        storage.write(f"{root}/file/x", b"")
    assert (tmp_path / "file").read_text() == "x" and (tmp_path / "folder").is_dir()


def test_delete_folder_raises_what_can_not_be_deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "folder" / "sub").mkdir(parents=True)

    def refuse(*args: object, **keywords: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "rmdir", refuse)
    with pytest.raises(StorageError, match=rf"^file://{tmp_path}/folder: Permission denied$"):
        Storage().delete_folder(f"file://{tmp_path}/folder")


def test_delete_folder_goes_on_when_files_vanish(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a", "b"):
        (tmp_path / "folder").mkdir(exist_ok=True)
        (tmp_path / "folder" / name).write_text(name)
    real, vanished = os.unlink, []

    def unlink(path: str, *args: object, **keywords: object) -> None:
        real(path, *args, **keywords)  # type: ignore[arg-type]
        if not vanished:
            vanished.append(path)
            raise FileNotFoundError(errno.ENOENT, "No such file or directory")

    monkeypatch.setattr(os, "unlink", unlink)
    Storage().delete_folder(f"file://{tmp_path}/folder")
    assert vanished and not (tmp_path / "folder").exists()


def test_file_scheme_has_no_conditional_writes(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="file:// has no conditional writes"):
        Storage().write_if(f"file://{tmp_path}/x", b"", None)


def test_unreachable_server_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(StorageError, match=r"s3\.endpoint"):
        Storage("http://127.0.0.1:9", "us-east-1", path_style=True).read("s3://bucket/k")


def test_write_if_writes_only_the_known_version() -> None:
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


def test_requests_survive_faults_of_the_server() -> None:
    """The proxy answers with errors before it passes a request on, and breaks answers off in the middle."""
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


def test_retries_equal_errors_and_broken_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """For every kind of request, in several threads that share a client, each with its own counters."""
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
                    # Another storage makes requests between the entries of a list.
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
            # Threads whose requests do not fail count no retries of the others.
            assert all(part.counters.retries == 0 for part in parts[1::2])
            own, others = sum(part.counters.retries for part in parts), beside.counters.retries
            given = faults.counts["500"] + faults.counts["503"] + faults.counts["cut"]
            assert own > 0 < others and own + others == whole.counters.retries == given
            # A list, reads beside it, stats, write_if, read_versioned, write, read and delete, each counted once.
            assert whole.counters.requests == 8 * (1 + 5 + 5 + 1 + 1 + 1 + 1 + 1)


def test_retries_of_failed_requests_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests answered with errors, broken off, and never answered."""
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


def test_broken_error_answers_are_retried_and_explained(monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_answer_that_always_breaks_off_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    with s3_server("faults") as endpoint, fault_proxy(endpoint, Faults(cuts=1)) as failing:
        storage = Storage(failing, "us-east-1", path_style=True)
        storage.write("s3://faults/x", b"0123456789")
        with pytest.raises(StorageError, match="s3://faults/x"):
            storage.read("s3://faults/x")


def test_refused_credentials_are_explained_without_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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
