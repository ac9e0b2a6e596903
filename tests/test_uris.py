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


SECRETS = [
    ("https://ana:hidden@host/x", "hidden"),
    ("https://hidden@host/x", "hidden"),
    ("s3://AKIAHIDDEN:hid/den+x=@bucket/key", "den+x="),
    ("ana@db.example/meta?sslmode=require&password=hidden", "hidden"),
    ("s3://b/k,https://ana:hidden@host/x", "hidden"),
    ("https://b.s3.amazonaws.com/k?X-Amz-Algorithm=A&X-Amz-Credential=hidden&X-Amz-Signature=hidden", "hidden"),
    ("https://b.s3.amazonaws.com/k?AWSAccessKeyId=x&Signature=hidden&Expires=1", "hidden"),
    ("https://storage.googleapis.com/b/k?X-Goog-Signature=hidden", "hidden"),
    ("https://a.blob.core.windows.net/c/k?sv=2020&sig=hidden", "hidden"),
    ("https://host/x?token=hidden", "hidden"),
    ("https://host/x#access_token=hidden", "hidden"),
    ("s3://b/x?pass=hidden", "hidden"),
    ("s3:/AKIA:hidden@bucket/x", "hidden"),
    ("s3:AKIA:hidden@bucket/x", "hidden"),
    ("s3:///AKIA:hidden@bucket/x", "hidden"),
    ("//AKIA:hidden@bucket/x", "hidden"),
    ("s3://b/k,//AKIA:hidden@bucket/x", "hidden"),
    ("https://ana:p@ss/hidden@host/x", "hidden"),
    ("https://ana:p@hidden@host/x", "hidden"),
    ("file://ana:hidden@host/x", "hidden"),
]
HARMLESS = [
    "s3://bucket/dfdc_train_part_?.zip",
    "s3://bucket/a@b/c",
    "/data/[DFDC] part 0/a:b@c.mp4",
    "file:///data/ana@example.org/x",
    "http://127.0.0.1:5000/a@b",
    "ana@db.example:5432/meta?sslmode=require",
    "even:20",
    "<video>[_<original>]_<k>",
    "2026-11-02T05:00+02:00",
    "12:30@cam1.mp4",
    "a:b:1@jar",
    "mailto:x@y",
    "asked by:john@lab.org",
    "http://h:5000,http://h:6000/a@b",
    "file:///12:30@cam1.mp4",
    "https://host/@ana",
]


@pytest.mark.parametrize(("text", "hidden"), SECRETS)
def test_secrets_are_found_and_masked(text: str, hidden: str) -> None:
    words = uris.secret_in(text)
    assert words is not None and hidden not in words
    assert hidden not in uris.masked(text) and hidden not in uris.masked(f"cannot read '{text}': refused")


def test_a_password_of_an_address_without_a_scheme_is_found_where_one_is_expected() -> None:
    for text in ("ana:hidden@db.example:5432/meta", "ana:p@hidden@db.example:5432/meta"):
        assert uris.secret_in(text) is None and uris.secret_in(text, address=True)
        assert uris.masked(text, address=True) == "***@db.example:5432/meta"


def test_of_free_text_only_the_users_of_uris_are_secrets() -> None:
    for text in ("see https://wiki/x?token=12", "asked by:john@lab.org", "cam s3:/a:b@c", "mailto:x@y"):
        assert uris.secret_in(text, free=True) is None
    assert uris.secret_in("see https://ana:hidden@wiki/x", free=True)


@pytest.mark.parametrize("text", HARMLESS)
def test_texts_without_secrets_are_left_alone(text: str) -> None:
    assert uris.secret_in(text) is None and uris.masked(text) == text
