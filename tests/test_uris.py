"""URIs."""

from pathlib import Path

import pytest

from dflib import uris


def test_local_paths_become_absolute_uris(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert uris.to_uri("a b/c") == f"file://{tmp_path}/a b/c"
    assert uris.to_uri("/x/y/") == "file:///x/y"
    assert uris.to_uri("s3://bucket/key/") == "s3://bucket/key"


@pytest.mark.parametrize("text", ["", "http://x/y", "s3a://b/k", "s3://", "s3:///k"])
def test_what_is_no_place_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        uris.to_uri(text)


def test_parts() -> None:
    assert uris.bucket_and_key("s3://b/k/l.zip") == ("b", "k/l.zip")
    assert uris.bucket_and_key("s3://b") == ("b", "")
    assert uris.join("s3://b/k/", "/l/", "m") == "s3://b/k/l/m"
    assert uris.name("file:///a/b.zip") == "b.zip"
    with pytest.raises(ValueError):
        uris.local_path("s3://b/k")
    with pytest.raises(ValueError):
        uris.bucket_and_key("file:///b")


def test_to_the_jvm_and_back() -> None:
    assert uris.for_spark("s3://b/k") == "s3a://b/k"
    assert uris.for_spark("file:///a/b") == "file:/a/b"
    assert uris.from_spark("s3a://b/k%20l") == "s3://b/k l"
    assert uris.from_spark("file:/a/b%3Dc.parquet") == "file:///a/b=c.parquet"
    assert uris.from_spark("file:///a/b.parquet") == "file:///a/b.parquet"
