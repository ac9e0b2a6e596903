"""URIs."""

from pathlib import Path

import pytest

from dflib import uris


def test_to_uri_makes_local_paths_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert uris.to_uri("a b/c") == f"file://{tmp_path}/a b/c"
    assert uris.to_uri("/x/y/") == "file:///x/y"
    assert uris.to_uri("s3://bucket/key/") == "s3://bucket/key"


@pytest.mark.parametrize("path", ["dir/a:b.mp4", "./a:b.mp4", "2026-01-01T10:00/x.mp4", "dir/s3://b"])
def test_to_uri_reads_later_colons_as_part_of_the_path(
    path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert uris.to_uri(path) == f"file://{tmp_path / path}"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "an empty path; .*file://, s3://"),
        ("http://x/y", "^http://x/y: unknown storage scheme 'http'; known schemes: file://, s3://"),
        ("s3a://b/k", "unknown storage scheme 's3a'; write s3://"),
        ("hdfs:/x", "unknown storage scheme 'hdfs'; a path is written ./hdfs:/x; known schemes: file://, s3://"),
        ("dbfs:/x", "unknown storage scheme 'dbfs'; .*known schemes: file://, s3://"),
        ("a:b.mp4", r"unknown storage scheme 'a'; .*is written \./a:b"),
        ("file:/d", "file: must be followed by two slashes .*file:///path"),
        ("s3:b/k", "s3: must be followed by two slashes .*s3://bucket/key"),
        ("file://data/x", "'data' is read as the name of a machine; write file:///path"),
        ("file://", "write file:///path"),
        ("s3://", "no bucket; write s3://bucket/key"),
        ("s3:///k", "no bucket; write s3://bucket/key"),
    ],
)
def test_to_uri_refuses_what_names_no_place(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        uris.to_uri(text)


def test_to_uri_masks_secrets_of_refused_uris() -> None:
    with pytest.raises(ValueError, match=r"https://\*\*\*@host/x: unknown") as raised:
        uris.to_uri("https://user:hidden@host/x")
    assert "hidden" not in str(raised.value)


def test_join_and_name_handle_slashes() -> None:
    assert uris.join("s3://b/k/", "/l/", "m") == "s3://b/k/l/m"
    assert uris.name("file:///a/b.zip") == "b.zip"
