"""The S3 server of the tests: what they rely on."""

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from moto.s3.responses import S3Response

from dflib.storage import Storage
from tests.s3_server import REGION, s3_server


def test_buckets_are_empty_also_after_a_server_with_the_same_bucket() -> None:
    for _ in range(2):
        with s3_server("again") as endpoint:
            storage = Storage(endpoint, REGION, path_style=True)
            assert not list(storage.list_files("s3://again/"))
            storage.write("s3://again/key", b"left")


def test_one_of_two_conditional_writes_succeeds(monkeypatch: pytest.MonkeyPatch) -> None:
    """moto checks the condition, then computes a checksum, then writes."""
    compute = S3Response._get_checksum

    def slowly(*arguments: Any) -> Any:
        time.sleep(0.2)
        return compute(*arguments)

    monkeypatch.setattr(S3Response, "_get_checksum", slowly)
    with s3_server("race") as endpoint, ThreadPoolExecutor(2) as pool:
        storages = [Storage(endpoint, REGION, path_style=True) for _ in range(2)]
        writes = [pool.submit(storage.write_if, "s3://race/key", b"new", None) for storage in storages]
        assert sorted(write.result() is None for write in writes) == [False, True]
