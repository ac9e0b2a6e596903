"""Bytes behind URIs: local files and S3, read by range, written whole.

How S3 is reached stands in :mod:`dflib.storage.s3_client`.  A :class:`Storage` is small and can be pickled: executors
get it in the closure of a task and make their own client.  It counts its requests, bytes and retries, so that a job
can say what it read, and how often in vain.
"""

import fnmatch
import logging
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

from dflib import uris
from dflib.errors import StorageError
from dflib.storage import s3_client as s3

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Entry:
    """One object or file: its URI, its size in bytes, and an etag that changes when its content does."""

    uri: str
    size: int
    etag: str


@dataclass(frozen=True)
class Versioned:
    """An object as it was read: its content, the etag of it, and the seconds since it was written.

    The age is told by the server's clock alone, to the second.
    """

    content: bytes
    etag: str
    age: float


@dataclass
class Counters:
    """What a Storage did since it was made; one a Storage, safe between threads.

    Attributes:
        requests: that were answered, each once, however often it was tried.
        bytes_read: of their answers.
        retries: tries beyond the first of each request, answered or not in the end: boto3's, and those of answers
            that broke off.
        whole: is told everything that these are told.
    """

    requests: int = 0
    bytes_read: int = 0
    retries: int = 0
    whole: "Counters | None" = None
    _lock: Any = field(default_factory=threading.Lock, repr=False)

    def add(self, bytes_read: int = 0) -> None:
        """One request was answered."""
        with self._lock:
            self.requests += 1
            self.bytes_read += bytes_read
        if self.whole is not None:
            self.whole.add(bytes_read)

    def retried(self) -> None:
        """A request was tried once more."""
        with self._lock:
            self.retries += 1
        if self.whole is not None:
            self.whole.retried()


class Storage:
    """Reads and writes URIs. Endpoint, region and path style are those of the configuration's ``s3``."""

    def __init__(self, endpoint: str | None = None, region: str | None = None, path_style: bool = False) -> None:
        self.endpoint = endpoint
        self.region = region
        self.path_style = path_style
        self.counters = Counters()

    def counting(self) -> "Storage":
        """The same with counters of its own, as a part of this one's; connections belong to the process."""
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
            StorageError: it is not there or can't be read.
        """
        if uris.is_local(uri):
            path = uris.local_path(uri)
            try:
                info = path.stat()
            except OSError as error:
                raise StorageError(f"{uri}: {error.strerror}") from error
            self.counters.add()
            return Entry(uri, info.st_size, f"{info.st_size}-{info.st_mtime_ns}")
        bucket, key = uris.bucket_and_key(uri)
        with self._explained(uri):
            head = self._s3.head_object(Bucket=bucket, Key=key)
        self.counters.add()
        return Entry(uri, head["ContentLength"], head["ETag"].strip('"'))

    def list_files(self, uri: str) -> Iterator[Entry]:
        """All objects below a folder, deep, in name order; nothing when there is no such folder.

        Local links are followed to files but not to folders; hidden files are left out.
        """
        if uris.is_local(uri):
            root = uris.local_path(uri)
            self.counters.add()
            for folder, folders, files in os.walk(root):
                folders[:] = sorted(name for name in folders if not name.startswith("."))
                for name in sorted(files):
                    path = Path(folder) / name
                    if name.startswith(".") or not path.is_file():
                        continue
                    info = path.stat()
                    yield Entry(f"file://{path}", info.st_size, f"{info.st_size}-{info.st_mtime_ns}")
            return
        bucket, key = uris.bucket_and_key(uri)
        prefix = key.rstrip("/") + "/" if key else ""
        yield from self._list_prefix(bucket, prefix)

    def glob(self, pattern: str) -> list[str]:
        """URIs of the files and folders that a pattern names, sorted; the URI itself when it holds no wildcard.

        ``*``, ``?`` and ``[…]`` match within one part of the path.
        """
        if not any(mark in pattern for mark in "*?["):
            return [pattern]
        if uris.is_local(pattern):
            path = uris.local_path(pattern)
            self.counters.add()
            return sorted(f"file://{found}" for found in Path(path.anchor).glob(str(path.relative_to(path.anchor))))
        bucket, key = uris.bucket_and_key(pattern)
        parts = key.split("/")
        first = next(number for number, part in enumerate(parts) if any(mark in part for mark in "*?["))
        prefix = "/".join(parts[:first])
        found = set()
        for entry in self._list_prefix(bucket, prefix + "/" if prefix else ""):
            entry_parts = uris.bucket_and_key(entry.uri)[1].split("/")[: len(parts)]
            if len(entry_parts) == len(parts) and all(map(fnmatch.fnmatchcase, entry_parts, parts)):
                found.add(f"s3://{bucket}/{'/'.join(entry_parts)}")
        return sorted(found)

    def read_range(self, uri: str, offset: int, length: int) -> bytes:
        """``length`` bytes from ``offset`` in one request; fewer only at the end of the object.

        Raises:
            StorageError: it is not there or can't be read.
        """
        if length <= 0:
            return b""
        if uris.is_local(uri):
            try:
                with uris.local_path(uri).open("rb") as file:
                    file.seek(offset)
                    content = file.read(length)
            except OSError as error:
                raise StorageError(f"{uri}: {error.strerror}") from error
        else:
            content, _ = self._get(uri, Range=f"bytes={offset}-{offset + length - 1}")
        self.counters.add(len(content))
        return content

    def read(self, uri: str) -> bytes:
        """The whole object in one request.

        Raises:
            StorageError: it is not there or can't be read.
        """
        if uris.is_local(uri):
            try:
                content = uris.local_path(uri).read_bytes()
            except OSError as error:
                raise StorageError(f"{uri}: {error.strerror}") from error
        else:
            content, _ = self._get(uri)
        self.counters.add(len(content))
        return content

    def read_versioned(self, uri: str, length: int | None = None) -> Versioned | None:
        """An object on S3, or its first ``length`` bytes, with its etag and age; None when it is not there.

        Raises:
            StorageError: it can't be read.
        """
        try:
            content, answer = self._get(uri, **({} if length is None else {"Range": f"bytes=0-{length - 1}"}))
        except StorageError as error:
            if _code(error.__cause__) in ("NoSuchKey", "404"):
                return None
            raise
        self.counters.add(len(content))
        told = answer["ResponseMetadata"]["HTTPHeaders"].get("date")
        if told is None:
            raise StorageError(f"{uri}: the S3 server does not say what time it is (Date), so the object has no age")
        return Versioned(
            content, answer["ETag"], (parsedate_to_datetime(told) - answer["LastModified"]).total_seconds()
        )

    def write_if(self, uri: str, content: bytes, etag: str | None) -> str | None:
        """Writes an object on S3 if it is still the one with this etag, or, without one, if there is none.

        Of several who try at once, one succeeds.  A try of which the answer was lost is made again, and then finds
        what it wrote itself: what was written must tell who did.

        Returns:
            The new etag, or None when it was not written.

        Raises:
            StorageError: it can't be written, or the server knows no conditional writes.
        """
        bucket, key = uris.bucket_and_key(uri)
        condition = {"IfNoneMatch": "*"} if etag is None else {"IfMatch": etag}
        self.counters.add()
        try:
            with self._explained(uri):
                return str(self._s3.put_object(Bucket=bucket, Key=key, Body=content, **condition)["ETag"])
        except StorageError as error:
            # 412: another came first; 409: another is at it; 404: it was deleted.
            if _code(error.__cause__) in ("PreconditionFailed", "ConditionalRequestConflict", "NoSuchKey", "412"):
                return None
            raise

    def write(self, uri: str, content: bytes) -> None:
        """Writes an object whole: a reader sees the old or the new content, never a part.

        Raises:
            StorageError: it can't be written.
        """
        if uris.is_local(uri):
            path = uris.local_path(uri)
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=".writing-")
                with os.fdopen(descriptor, "wb") as file:
                    file.write(content)
                Path(temporary).chmod(0o644)
                Path(temporary).replace(path)
            except OSError as error:
                raise StorageError(f"{uri}: {error.strerror}") from error
            return
        bucket, key = uris.bucket_and_key(uri)
        with self._explained(uri):
            self._s3.put_object(Bucket=bucket, Key=key, Body=content)

    def upload_folder(self, folder: Path, uri: str) -> None:
        """Copies all files of a local folder below ``uri``."""
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                self.write(uris.join(uri, path.relative_to(folder).as_posix()), path.read_bytes())

    def download_folder(self, uri: str, folder: Path) -> None:
        """Copies all objects below ``uri`` into a local folder.

        Raises:
            StorageError: there are none, or the name of one leads out of the folder.
        """
        entries = list(self.list_files(uri))
        if not entries:
            raise StorageError(f"{uri}: there is no such folder, or it is empty")
        for entry in entries:
            target = folder / entry.uri.removeprefix(uri.rstrip("/") + "/")
            # Keys are free text: one that climbs out, or is absolute, must not be written where it points.
            if not target.resolve().is_relative_to(folder.resolve()):
                raise StorageError(f"{entry.uri}: its name leads out of the folder; remove the object")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(self.read(entry.uri))

    def delete(self, uri: str) -> None:
        """Deletes one object or file; nothing happens when it is not there.

        Raises:
            StorageError: it can't be deleted.
        """
        if uris.is_local(uri):
            uris.local_path(uri).unlink(missing_ok=True)
            return
        bucket, key = uris.bucket_and_key(uri)
        with self._explained(uri):
            self._s3.delete_object(Bucket=bucket, Key=key)

    def delete_folder(self, uri: str) -> None:
        """Deletes everything below ``uri``; nothing happens when there is nothing."""
        if uris.is_local(uri):
            shutil.rmtree(uris.local_path(uri), ignore_errors=True)
            return
        bucket, key = uris.bucket_and_key(uri)
        for entry in reversed(list(self._list_prefix(bucket, key.rstrip("/") + "/", marks=True))):
            self.delete(entry.uri)

    def _list_prefix(self, bucket: str, prefix: str, marks: bool = False) -> Iterator[Entry]:
        """Objects whose key begins so; with ``marks`` also the empty ones that the JVM makes for folders."""
        pages = iter(self._s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix))
        while True:
            # Around each request alone: what the reader of these entries asks in between is not this one's.
            with self._explained(f"s3://{bucket}/{prefix}"):
                page = next(pages, None)
            if page is None:
                return
            self.counters.add()
            for item in page.get("Contents", []):
                if marks or not item["Key"].endswith("/"):
                    yield Entry(f"s3://{bucket}/{item['Key']}", item["Size"], item["ETag"].strip('"'))

    @property
    def _s3(self) -> Any:
        return s3.client(self.endpoint, self.region, self.path_style, os.getpid())

    def _get(self, uri: str, **asked: str) -> tuple[bytes, dict[str, Any]]:
        """Content and answer of one GET.  boto3 tries again until an answer begins, and not when it breaks off."""
        from botocore.exceptions import HTTPClientError, IncompleteReadError

        bucket, key = uris.bucket_and_key(uri)
        with self._explained(uri):
            attempts = s3.attempts()
            for attempt in range(attempts):
                answer = self._s3.get_object(Bucket=bucket, Key=key, **asked)
                try:
                    return answer["Body"].read(), answer
                except (HTTPClientError, IncompleteReadError) as error:
                    if attempt == attempts - 1:
                        raise
                    log.info("%s: reading broke off, trying again: %s", uri, error)
                    time.sleep(min(0.1 * 2**attempt, 5))
                    self.counters.retried()
        raise AssertionError("the loop returns or raises")

    @contextmanager
    def _explained(self, uri: str) -> Iterator[None]:
        """Around what boto3 is asked: its retries are counted, its errors are a StorageError."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            with s3.retries(self.counters.retried):
                yield
        except (ClientError, BotoCoreError) as error:
            raise s3.explained(uri, error) from error


def _code(error: BaseException | None) -> str:
    """The code of S3's answer; empty when the error is no answer."""
    return str(getattr(error, "response", {}).get("Error", {}).get("Code", ""))
