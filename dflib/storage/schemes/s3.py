"""``s3://bucket/key``: S3 and servers that speak its protocol, by boto3 (:mod:`dflib.storage.s3_client`)."""

import fnmatch
import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from dflib.errors import MissingError, StorageError
from dflib.storage import s3_client
from dflib.storage.scheme import Access, Entry, Scheme, Versioned

if TYPE_CHECKING:
    from dflib.config import Config

log = logging.getLogger(__name__)


class S3Scheme(Scheme):
    """S3.  Delta's own log store for S3A loses commits where two drivers write to one table."""

    name = "s3"
    jvm_name = "s3a"
    conditional_writes = True
    content_etags = True

    def check(self, uri: str) -> None:
        if not bucket_and_key(uri)[0]:
            raise ValueError(f"{uri}: no bucket; write s3://bucket/key")

    def spark_conf(self, config: "Config") -> dict[str, str]:
        return s3_client.spark_conf(config.s3)

    def stat(self, access: Access, uri: str) -> Entry:
        bucket, key = bucket_and_key(uri)
        with _explained(access, uri):
            head = _client(access).head_object(Bucket=bucket, Key=key)
        access.counters.add()
        return Entry(uri, head["ContentLength"], head["ETag"].strip('"'))

    def list_files(self, access: Access, uri: str, after: str | None = None) -> Iterator[Entry]:
        bucket, key = bucket_and_key(uri)
        start = None if after is None else bucket_and_key(after)[1]
        yield from self.list_prefix(access, bucket, key.rstrip("/") + "/" if key else "", after=start)

    def glob(self, access: Access, pattern: str) -> list[str]:
        bucket, key = bucket_and_key(pattern)
        parts = key.split("/")
        first = next(number for number, part in enumerate(parts) if any(mark in part for mark in "*?["))
        prefix = "/".join(parts[:first])
        found: set[tuple[str, ...]] = set()
        for entry in self.list_prefix(access, bucket, prefix + "/" if prefix else ""):
            path = tuple(bucket_and_key(entry.uri)[1].split("/")[: len(parts)])
            if len(path) == len(parts) and all(map(_matches, path, parts)):
                found.add(path)
        beginnings = {path[:number] for path in found for number in range(len(path) + 1)}
        return sorted(
            f"s3://{bucket}/{'/'.join(path)}"
            for path in found
            # A part that exists literally is no pattern.
            if not any(
                path[number] != part and (*path[:number], part) in beginnings for number, part in enumerate(parts)
            )
        )

    def read_range(self, access: Access, uri: str, offset: int, length: int) -> bytes:
        content, _ = _get(access, uri, Range=f"bytes={offset}-{offset + length - 1}")
        access.counters.add(len(content))
        return content

    def read(self, access: Access, uri: str) -> bytes:
        content, _ = _get(access, uri)
        access.counters.add(len(content))
        return content

    def read_versioned(self, access: Access, uri: str, length: int | None) -> Versioned | None:
        try:
            content, answer = _get(access, uri, **({} if length is None else {"Range": f"bytes=0-{length - 1}"}))
        except MissingError:
            return None
        access.counters.add(len(content))
        date = answer["ResponseMetadata"]["HTTPHeaders"].get("date")
        if date is None:
            raise StorageError(f"{uri}: the S3 server sends no time (Date), so the age of the object is unknown")
        age = parsedate_to_datetime(date) - answer["LastModified"]
        return Versioned(content, answer["ETag"], age.total_seconds())

    def write(self, access: Access, uri: str, content: bytes) -> None:
        bucket, key = bucket_and_key(uri)
        with _explained(access, uri):
            _client(access).put_object(Bucket=bucket, Key=key, Body=content)
        access.counters.add()

    def write_if(self, access: Access, uri: str, content: bytes, etag: str | None) -> str | None:
        bucket, key = bucket_and_key(uri)
        condition = {"IfNoneMatch": "*"} if etag is None else {"IfMatch": etag}
        access.counters.add()
        try:
            with _explained(access, uri):
                return str(_client(access).put_object(Bucket=bucket, Key=key, Body=content, **condition)["ETag"])
        except StorageError as error:
            # 412: another writer came first; 409: another write is in progress; 404: the object was deleted.
            if _code(error.__cause__) in ("PreconditionFailed", "ConditionalRequestConflict", "NoSuchKey", "412"):
                return None
            raise

    def delete(self, access: Access, uri: str) -> None:
        bucket, key = bucket_and_key(uri)
        with _explained(access, uri):
            _client(access).delete_object(Bucket=bucket, Key=key)
        access.counters.add()

    def delete_folder(self, access: Access, uri: str) -> None:
        bucket, key = bucket_and_key(uri)
        for entry in reversed(list(self.list_prefix(access, bucket, key.rstrip("/") + "/", markers=True))):
            self.delete(access, entry.uri)

    def list_prefix(
        self, access: Access, bucket: str, prefix: str, markers: bool = False, after: str | None = None
    ) -> Iterator[Entry]:
        """Objects whose key begins with ``prefix``, in order of their keys.

        Args:
            markers: also the empty objects that the JVM makes in place of folders.
            after: only keys after this one.
        """
        start = {} if after is None else {"StartAfter": after}
        pages = iter(_client(access).get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix, **start))
        while True:
            # Around each request alone: the consumer of this generator makes requests of its own in between.
            with _explained(access, f"s3://{bucket}/{prefix}"):
                page = next(pages, None)
            if page is None:
                return
            access.counters.add()
            for item in page.get("Contents", []):
                if markers or not item["Key"].endswith("/"):
                    yield Entry(f"s3://{bucket}/{item['Key']}", item["Size"], item["ETag"].strip('"'))


def _matches(name: str, part: str) -> bool:
    return name == part or fnmatch.fnmatchcase(name, part)


def bucket_and_key(uri: str) -> tuple[str, str]:
    """Bucket and key of an ``s3://`` URI."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return bucket, key


def _client(access: Access) -> Any:
    return s3_client.client(access.endpoint, access.region, access.path_style, os.getpid())


def _get(access: Access, uri: str, **request: str) -> tuple[bytes, dict[str, Any]]:
    """Content and response of one GET.  boto3 retries until a response begins, but not when its body breaks off."""
    from botocore.exceptions import HTTPClientError, IncompleteReadError

    bucket, key = bucket_and_key(uri)
    with _explained(access, uri):
        attempts = s3_client.attempts()
        for attempt in range(attempts):
            response = _client(access).get_object(Bucket=bucket, Key=key, **request)
            try:
                return response["Body"].read(), response
            except (HTTPClientError, IncompleteReadError) as error:
                if attempt == attempts - 1:
                    raise
                log.info("%s: the response broke off, retrying: %s", uri, error)
                time.sleep(min(0.1 * 2**attempt, 5))
                access.counters.retried()
    raise AssertionError("the loop returns or raises")


@contextmanager
def _explained(access: Access, uri: str) -> Iterator[None]:
    """Around calls of boto3: counts its retries and turns its errors into :class:`StorageError`."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        with s3_client.retries(access.counters.retried):
            yield
    except (ClientError, BotoCoreError) as error:
        raise s3_client.explained(uri, error) from error


def _code(error: BaseException | None) -> str:
    """The error code of a response of S3; empty when there was no response."""
    return str(getattr(error, "response", {}).get("Error", {}).get("Code", ""))


PART = S3Scheme()
