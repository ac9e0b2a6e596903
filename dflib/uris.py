"""Paths are URIs everywhere: ``file:///…`` and ``s3://…``."""

import os
import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

SCHEMES = ("file", "s3")
# A query is told from the wildcard "?" by the equals sign after its first key.
_SECRET = re.compile(r"(?<=://)[^/\s]*(?=@)|(?<=\?)[\w.~%-]+=\S*")


def to_uri(text: str) -> str:
    """A local path becomes an absolute ``file://`` URI; a URI stays as it is, without a trailing slash.

    Raises:
        ValueError: an empty text, or a scheme other than ``file`` and ``s3``.
    """
    if not text:
        raise ValueError("an empty path; give a path, file:///… or s3://…")
    scheme, separator, rest = text.partition("://")
    if not separator:
        return "file://" + os.path.normpath(Path(text).expanduser().absolute())
    if scheme == "s3a":
        raise ValueError(f"{text}: write s3://; s3a:// is only what Spark is given, and dflib does that itself")
    if scheme not in SCHEMES:
        raise ValueError(f"{text}: scheme {scheme!r} is not supported; use file:// or s3://")
    if scheme == "s3" and not rest.split("/")[0]:
        raise ValueError(f"{text}: no bucket; write s3://bucket/key")
    return text.rstrip("/") if rest.strip("/") else text


def is_local(uri: str) -> bool:
    """Whether a URI is of the ``file`` scheme."""
    return uri.startswith("file://")


def local_path(uri: str) -> Path:
    """The path of a ``file://`` URI. Percent signs are literal: these URIs are never encoded.

    Raises:
        ValueError: the URI is of another scheme.
    """
    if not is_local(uri):
        raise ValueError(f"{uri} is not a file:// URI")
    return Path(uri.removeprefix("file://"))


def bucket_and_key(uri: str) -> tuple[str, str]:
    """Bucket and key of an ``s3://`` URI.

    Raises:
        ValueError: the URI is of another scheme.
    """
    if not uri.startswith("s3://"):
        raise ValueError(f"{uri} is not an s3:// URI")
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return bucket, key


def join(uri: str, *parts: str) -> str:
    """A URI below another."""
    return "/".join([uri.rstrip("/"), *(part.strip("/") for part in parts)])


def name(uri: str) -> str:
    """Last part of a URI."""
    return uri.rstrip("/").rpartition("/")[2]


def masked(text: str) -> str:
    """A text without what URIs in it may carry in secret: ``user:password@`` and queries (signatures)."""
    return _SECRET.sub("***", text) if "://" in text else text


def for_spark(uri: str) -> str:
    """The URI as the JVM writes it: ``s3a://…`` and ``file:/…`` (Delta takes ``file:///`` for another place)."""
    if uri.startswith("s3://"):
        return "s3a://" + uri.removeprefix("s3://")
    return "file:" + uri.removeprefix("file://")


def from_spark(uri: str) -> str:
    """The URI of a file that the JVM listed, decoded, ``s3a://`` turned back into ``s3://``."""
    parts = urlsplit(uri)
    if parts.scheme == "file":
        return "file://" + unquote(parts.path)
    return f"s3://{parts.netloc}{unquote(parts.path)}"
