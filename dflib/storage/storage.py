"""Bytes behind URIs: read whole or by range, listed, and written whole.

A :class:`Storage` is small and can be pickled: executors get it in the closure of a task and make their own clients.
It counts requests, bytes and retries, so that a job can report them.  The operations of each scheme are in
:mod:`dflib.storage.schemes`.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dflib import uris
from dflib.errors import StorageError
from dflib.storage.counters import Counters
from dflib.storage.scheme import Access, Entry, Versioned, scheme_of

_BLOCK = 64 << 20
"""Bytes of a request when folders are copied."""


class Storage:
    """Reads and writes URIs.

    Args:
        endpoint, region, path_style: as in the configuration's ``s3``; used for ``s3://`` only.
    """

    def __init__(self, endpoint: str | None = None, region: str | None = None, path_style: bool = False) -> None:
        self.endpoint = endpoint
        self.region = region
        self.path_style = path_style
        self.counters = Counters()
        self._access = Access(endpoint, region, path_style, self.counters)

    def counting(self) -> "Storage":
        """The same storage with its own counters, which are added to this one's too; clients belong to the process."""
        part = Storage(self.endpoint, self.region, self.path_style)
        part.counters.whole = self.counters
        return part

    def __getstate__(self) -> dict[str, Any]:
        return {"endpoint": self.endpoint, "region": self.region, "path_style": self.path_style}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]

    def stat(self, uri: str) -> Entry:
        """Size and etag of one object.

        Raises:
            MissingError: it does not exist.
            StorageError: it can't be read.
        """
        return scheme_of(uri).stat(self._access, uri)

    def list_files(self, uri: str, after: str | None = None) -> Iterator[Entry]:
        """All objects below a folder, at any depth, in name order; none when there is no such folder.

        On a disk, links to files are followed, links to folders are not, and hidden files are left out.

        Args:
            after: only objects whose URI comes after this one in name order.
        """
        return scheme_of(uri).list_files(self._access, uri, after)

    def list_everything(self, uri: str) -> Iterator[Entry]:
        """As :meth:`list_files`, but nothing is left out: for folders that others have written.

        On a disk, hidden files are listed, and folders behind links are followed, each folder once: not where a link
        leads to a folder that is listed already.  What is no file, and a folder that cannot be read, have the sizes
        :data:`~dflib.storage.scheme.NO_FILE` and :data:`~dflib.storage.scheme.UNREADABLE`.

        Raises:
            StorageError: the folder itself cannot be read.
        """
        return scheme_of(uri).list_everything(self._access, uri)

    def glob(self, pattern: str) -> list[str]:
        """URIs of the files and folders that match a pattern, sorted; the URI itself when it has no wildcard.

        ``*``, ``?`` and ``[…]`` match within one part of the path.  A part that exists literally, such as a folder
        ``[DFDC] part 0``, is not a pattern.
        """
        if not any(mark in pattern for mark in "*?["):
            return [pattern]
        return scheme_of(pattern).glob(self._access, pattern)

    def read_range(self, uri: str, offset: int, length: int) -> bytes:
        """``length`` bytes from ``offset`` in one request; fewer only at the end of the object.

        Raises:
            MissingError: it does not exist.
            StorageError: it can't be read.
        """
        return scheme_of(uri).read_range(self._access, uri, offset, length) if length > 0 else b""

    def read(self, uri: str) -> bytes:
        """The whole object in one request.

        Raises:
            MissingError: it does not exist.
            StorageError: it can't be read.
        """
        return scheme_of(uri).read(self._access, uri)

    def read_versioned(self, uri: str, length: int | None = None) -> Versioned | None:
        """An object, or its first ``length`` bytes, with its etag and age; None when it does not exist.

        Raises:
            StorageError: it can't be read, or the scheme has no conditional writes.
        """
        return scheme_of(uri).read_versioned(self._access, uri, length)

    def write_if(self, uri: str, content: bytes, etag: str | None) -> str | None:
        """Writes an object if its etag is still this one, or, when ``etag`` is None, if it does not exist.

        Of several concurrent writers one succeeds.  An attempt whose response was lost is retried and then fails on
        what it wrote itself, so the content must show who wrote it.

        Returns:
            The new etag, or None when the condition did not hold.

        Raises:
            StorageError: it can't be written, or the server or the scheme has no conditional writes.
        """
        return scheme_of(uri).write_if(self._access, uri, content, etag)

    def write(self, uri: str, content: bytes) -> None:
        """Writes an object whole: readers see the old or the new content, never a part.

        Raises:
            StorageError: it can't be written.
        """
        scheme_of(uri).write(self._access, uri, content)

    def delete(self, uri: str) -> None:
        """Deletes one object or file; does nothing when it does not exist.

        Raises:
            StorageError: it can't be deleted.
        """
        scheme_of(uri).delete(self._access, uri)

    def delete_folder(self, uri: str) -> None:
        """Deletes everything below ``uri``; does nothing when there is nothing.

        Raises:
            StorageError: something can't be deleted; the rest may be gone.
        """
        scheme_of(uri).delete_folder(self._access, uri)

    def upload_folder(self, folder: Path, uri: str) -> None:
        """Copies all files of a local folder to below ``uri``."""
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                self.write(uris.join(uri, path.relative_to(folder).as_posix()), path.read_bytes())

    def download_folder(
        self, uri: str, folder: Path, max_files: int | None = None, max_bytes: int | None = None
    ) -> None:
        """Copies all objects below ``uri`` into a local folder.

        Args:
            max_files: most files and folders together; None: any number.
            max_bytes: most bytes of all files together; None: any number.

        Raises:
            StorageError: there are none, or more than the limits, when nothing is copied; the name of one leads out of
                the folder, or one was changed meanwhile.
        """
        entries, places, size = list[Entry](), set[Path](), 0
        for entry in self.list_files(uri):
            target = folder / entry.uri.removeprefix(uri.rstrip("/") + "/")
            # Keys are free text: one with ".." or an absolute path must not be written where it points.
            if not target.resolve().is_relative_to(folder.resolve()):
                raise StorageError(f"{entry.uri}: its name leads out of the folder; remove the object")
            entries.append(entry)
            places |= {target, *(parent for parent in target.parents if parent.is_relative_to(folder))} - {folder}
            size += entry.size
            if max_files is not None and len(places) > max_files:
                raise StorageError(f"{uri}: has more than {max_files} files and folders; remove what is not needed")
            if max_bytes is not None and size > max_bytes:
                raise StorageError(f"{uri}: has more than {max_bytes:,} bytes; remove what is not needed")
        if not entries:
            raise StorageError(f"{uri}: there is no such folder, or it is empty")
        for entry in entries:
            target = folder / entry.uri.removeprefix(uri.rstrip("/") + "/")
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("wb") as file:
                # In blocks, since an object may be larger than memory.  The last asks for a byte more than was listed.
                for offset in range(0, entry.size, _BLOCK):
                    wanted = min(_BLOCK, entry.size - offset)
                    last = offset + wanted == entry.size
                    block = self.read_range(entry.uri, offset, wanted + last)
                    if len(block) != wanted:
                        raise StorageError(f"{entry.uri}: was changed while it was copied; try again")
                    file.write(block)
