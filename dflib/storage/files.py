"""Storage as other libraries want it: Python files to seek in, and the file system that Petastorm takes."""

import io
from typing import Any, BinaryIO

from dflib.errors import MissingError
from dflib.storage.scheme import local_path, scheme_of
from dflib.storage.storage import Storage


def open_file(storage: Storage, uri: str) -> BinaryIO:
    """A file to seek and read in.

    Raises:
        StorageError: it does not exist or can't be read.
        OSError: the same, for a path of this machine.
    """
    path = local_path(uri)
    return Ranges(storage, uri) if path is None else path.open("rb")  # type: ignore[return-value]


def file_url(uri: str) -> str:
    """The URI as Petastorm takes it beside :func:`filesystem`.

    Petastorm asks for s3fs or gcsfs as soon as it sees their schemes, even when it is passed a file system; so what is
    not on this machine is named by a path below that file system's root.
    """
    return uri if local_path(uri) is not None else f"file:///{uri.partition('://')[2]}"


def filesystem(storage: Storage, uri: str) -> Any:
    """The ``filesystem=`` of Petastorm for files beside ``uri``; None (its own choice) for paths of this machine.

    Petastorm's own way to S3 ends in an error of pyarrow 14, and its ``filesystem=`` takes only the interface that
    pyarrow had before ``pyarrow.fs``.  It reads through ``storage`` and not through pyarrow's own client, so that
    credentials, endpoint, retries and counters are those of everything else.
    """
    if local_path(uri) is not None:
        return None
    from pyarrow import filesystem as legacy

    name = scheme_of(uri).name

    class Files(legacy.FileSystem):  # type: ignore[misc]
        """The few calls that reading a list of files makes; paths are ``/bucket/key``."""

        def open(self, path: str, mode: str = "rb") -> Any:
            return Ranges(storage, f"{name}://{path.lstrip('/')}")

        def isfile(self, path: str) -> bool:
            try:
                storage.stat(f"{name}://{path.lstrip('/')}")
            except MissingError:
                return False
            return True

        exists = isfile

        def isdir(self, path: str) -> bool:
            return any(True for _ in storage.list_files(f"{name}://{path.lstrip('/')}"))

    return Files()


class Ranges(io.RawIOBase):
    """An object as a file to seek and read in: one request a read, which for Parquet is a column of a row group."""

    def __init__(self, storage: Storage, uri: str) -> None:
        super().__init__()
        self._storage, self._uri, self._place = storage, uri, 0
        self._size = storage.stat(uri).size

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._place = max(0, {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._size}[whence] + offset)
        return self._place

    def read(self, size: int | None = -1) -> bytes:
        left = max(0, self._size - self._place)
        content = self._storage.read_range(
            self._uri, self._place, left if size is None or size < 0 else min(size, left)
        )
        self._place += len(content)
        return content
