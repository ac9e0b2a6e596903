"""Storage schemes: chosen by the catalog, and asked for abilities only."""

import importlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from dflib import uris
from dflib.errors import StorageError
from dflib.parts import catalog
from dflib.parts.kind import Kind, Part
from dflib.storage import Storage, for_jvm, from_jvm, local_path, scheme, scheme_of
from dflib.storage.scheme import Access, Entry, Scheme


@pytest.mark.parametrize("name", catalog.SCHEMES.names)
def test_every_scheme_of_the_catalog_is_complete(name: str) -> None:
    part = catalog.SCHEMES.load(name)
    assert isinstance(part, Scheme) and part.name == name
    # Without either, two drivers would lose each other's commits.
    assert part.concurrent_commits or part.conditional_writes
    uri = f"{name}://{'' if part.local_path(f'{name}:///x') else 'bucket'}/a folder/x"
    part.check(uri)
    assert from_jvm(for_jvm(uri)) == uri


def test_abilities_of_files_and_s3() -> None:
    assert local_path("file:///a%20b/c") == Path("/a%20b/c") and local_path("s3://b/k") is None
    assert scheme_of("file:///a").concurrent_commits and not scheme_of("file:///a").conditional_writes
    assert scheme_of("s3://b/k").conditional_writes and not scheme_of("s3://b/k").concurrent_commits


def test_for_jvm_and_from_jvm_translate_schemes_and_decode() -> None:
    assert for_jvm("s3://b/k") == "s3a://b/k"
    assert for_jvm("file:///a/b") == "file:/a/b"
    assert from_jvm("s3a://b/k%20l") == "s3://b/k l"
    assert from_jvm("file:/a/b%3Dc.parquet") == "file:///a/b=c.parquet"
    assert from_jvm("file:///a/b.parquet") == "file:///a/b.parquet"
    with pytest.raises(ValueError, match=r"hdfs://n/x: .*known schemes: file://, s3://"):
        from_jvm("hdfs://n/x")


def test_named_in_finds_schemes_anywhere_in_a_configuration() -> None:
    assert scheme.named_in({"a": {"b": ("x", "s3://b/k")}, "c": [1, None, "file:///d"]}) == {"s3", "file"}
    assert scheme.named_in({"endpoint": "https://host", "a": None}) == set()


def test_operation_on_no_uri_is_refused() -> None:
    with pytest.raises(ValueError, match="/plain/path is not a URI; known schemes: file://, s3://"):
        Storage().read("/plain/path")


class Memory(Scheme):
    """A scheme that is one dictionary."""

    name = "test-memory"
    jvm_name = "jvm-memory"
    concurrent_commits = True

    def __init__(self) -> None:
        self.content: dict[str, bytes] = {}

    def check(self, uri: str) -> None:
        if uri == "test-memory://":
            raise ValueError(f"{uri}: names nothing")

    def stat(self, access: Access, uri: str) -> Entry:
        content = self.read(access, uri)
        return Entry(uri, len(content), str(hash(content)))

    def list_files(self, access: Access, uri: str, after: str | None = None) -> Iterator[Entry]:
        access.counters.add()
        yield from (Entry(name, len(self.content[name]), "") for name in sorted(self.content) if name.startswith(uri))

    def glob(self, access: Access, pattern: str) -> list[str]:
        return []

    def read_range(self, access: Access, uri: str, offset: int, length: int) -> bytes:
        return self.read(access, uri)[offset : offset + length]

    def read(self, access: Access, uri: str) -> bytes:
        if uri not in self.content:
            raise StorageError(f"{uri}: missing")
        access.counters.add(len(self.content[uri]))
        return self.content[uri]

    def write(self, access: Access, uri: str, content: bytes) -> None:
        self.content[uri] = content

    def delete(self, access: Access, uri: str) -> None:
        self.content.pop(uri, None)

    def delete_folder(self, access: Access, uri: str) -> None:
        self.content = {name: content for name, content in self.content.items() if not name.startswith(uri + "/")}


def test_new_scheme_needs_its_module_and_its_line_in_the_catalog(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = ModuleType("dflib.storage.schemes.test-memory")
    module.PART = Memory()  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    assert importlib.import_module(module.__name__) is module
    listed = Kind(
        "storage scheme", "Storage schemes", "dflib.storage.schemes", *catalog.SCHEMES, Part("test-memory", "RAM")
    )
    for place in (uris, scheme):
        monkeypatch.setattr(place, "SCHEMES", listed)
    with pytest.raises(ValueError, match="names nothing"):
        uris.to_uri("test-memory://")
    root = uris.to_uri("test-memory://models/")
    storage = Storage()
    storage.write(f"{root}/a/x", b"0123")
    storage.download_folder(root, tmp_path)
    assert (tmp_path / "a/x").read_bytes() == b"0123" and storage.counters.bytes_read == 4
    assert (for_jvm(root), from_jvm("jvm-memory://models/a%20b"), local_path(root)) == (
        "jvm-memory://models", "test-memory://models/a b", None,
    )  # fmt: skip
    with pytest.raises(StorageError, match="test-memory:// has no conditional writes"):
        storage.write_if(f"{root}/x", b"", None)


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o027, 0o640)])
def test_written_files_and_folders_honour_the_umask(tmp_path: Path, umask: int, mode: int) -> None:
    before = os.umask(umask)
    try:
        Storage().write(f"file://{tmp_path}/a/b", b"x")
    finally:
        os.umask(before)
    assert (tmp_path / "a" / "b").stat().st_mode & 0o777 == mode
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o777 & ~umask
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["b"]
