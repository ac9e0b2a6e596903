"""Chunks on S3, read from a local server."""

import copy
import os
import zipfile
from collections.abc import Callable, Iterator

import boto3
import pytest

from dflib.config import SourcesConfig
from dflib.errors import SourceError, StorageError
from dflib.sources.discovery import find_chunks
from dflib.sources.members import read_member
from dflib.sources.readers import read_folder, read_zip
from dflib.storage import Storage
from tests.s3_server import s3_server

Put = Callable[[str, bytes], None]


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with s3_server() as endpoint:
        yield endpoint


@pytest.fixture
def s3(server: str, monkeypatch: pytest.MonkeyPatch) -> tuple[Storage, Put]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    client = boto3.client("s3", endpoint_url=server, region_name="us-east-1")
    bucket = os.urandom(4).hex()
    client.create_bucket(Bucket=bucket)
    storage = Storage(server, "us-east-1", True)
    storage.bucket = bucket  # type: ignore[attr-defined]

    def put(key: str, content: bytes) -> None:
        client.put_object(Bucket=bucket, Key=key, Body=content)

    return storage, put


def found(storage: Storage, *patterns: str):  # type: ignore[no-untyped-def]
    bucket = storage.bucket  # type: ignore[attr-defined]
    uris = tuple(f"s3://{bucket}/{pattern}".rstrip("/") for pattern in patterns)
    return find_chunks(
        storage,
        SourcesConfig(
            dataset="d",
            chunks=uris,
            crops=(),
            crop_pattern="<video>",
            crop_real="real",
            crop_fake="fake",
            crop_one_class=False,
            layout="auto",
            labels=None,
        ),
    )


def test_read_zip_takes_few_requests_and_bytes(s3: tuple[Storage, Put], zip_bytes: Callable[..., bytes]) -> None:
    storage, put = s3
    files = {f"{n:03}.mp4": os.urandom(100_000) for n in range(150)}
    content = zip_bytes(files, {name: {"label": "FAKE", "original": "000.mp4"} for name in files})
    put("chunks/part_00.zip", content)
    (source,) = found(storage, "chunks/part_00.zip")
    assert storage.counters.requests == 1
    chunk = read_zip(storage, source, "d")
    assert len(chunk.videos) == 150 and {video.label for video in chunk.videos} == {"FAKE"}
    assert storage.counters.requests <= 4
    assert storage.counters.bytes_read < 0.01 * len(content)
    video = chunk.videos[77]
    assert video.uri and video.packing and video.size
    before = storage.counters.requests
    got = read_member(storage, video.uri, video.offset, video.length, video.packing, video.crc32, video.size, 1 << 20)
    assert got == files["077.mp4"] and storage.counters.requests == before + 1


def test_find_chunks_of_a_folder_takes_one_request(s3: tuple[Storage, Put], zip_bytes: Callable[..., bytes]) -> None:
    storage, put = s3
    for number in range(5):
        put(f"c/part_{number}.zip", zip_bytes({f"{number}.mp4": b"x"}, packing=zipfile.ZIP_DEFLATED))
    put("c/part_9/metadata.json", b'{"v.mp4": {"label": "REAL"}}')
    put("c/part_9/v.mp4", b"video")
    sources = found(storage, "c")
    assert [source.name for source in sources] == [*(f"part_{number}" for number in range(5)), "part_9"]
    assert storage.counters.requests == 1
    assert [source.name for source in found(storage, "c/*.zip")] == [f"part_{number}" for number in range(5)]
    video = read_folder(storage, sources[-1], "d").videos[0]
    assert (video.video_id, video.label, video.packing, video.problems) == ("d/v", "REAL", "file", ())


def test_etag_of_a_new_upload_differs(s3: tuple[Storage, Put], zip_bytes: Callable[..., bytes]) -> None:
    storage, put = s3
    put("a.zip", zip_bytes({"a.mp4": b"x"}))
    first = found(storage, "a.zip")[0].etag
    assert found(storage, "*.zip")[0].etag == found(storage, "")[0].etag == first
    put("a.zip", zip_bytes({"a.mp4": b"y"}))
    assert found(storage, "a.zip")[0].etag != first


@pytest.mark.parametrize("pattern", ["none", "none/*.zip", "none.zip"])
def test_find_chunks_without_match_names_the_pattern(s3: tuple[Storage, Put], pattern: str) -> None:
    with pytest.raises(SourceError, match=pattern.replace("*", r"\*")):
        found(s3[0], pattern)


def test_find_chunks_in_missing_bucket_is_a_storage_error(s3: tuple[Storage, Put]) -> None:
    storage = copy.copy(s3[0])
    storage.bucket = "nobody-made-this-one"  # type: ignore[attr-defined]
    with pytest.raises(StorageError, match="NoSuchBucket"):
        found(storage, "chunks")
