"""Paths are URIs everywhere: ``scheme://…``, with a scheme of the catalog (SCHEMES), never percent-encoded."""

import os
import re
from pathlib import Path

from dflib.parts.catalog import SCHEMES

# What a user and a password may follow.  Slashes may be missing or too many, but file:/// begins a path.
_BEFORE_USER = (
    r"(?<![\w+.-])(?:file://(?!/)|(?!file:)[A-Za-z][\w+.-]*:/+|(?:s3[an]?|https?|gs|abfss?|wasbs?|hdfs):)"
    r"|(?<![^\s,;='\"(\[])//"
)
# A password may hold "/", as the keys of S3 do, and "@": it ends at the last one.  Digits at an end are a port.
_USER = re.compile(
    rf"(?P<before>{_BEFORE_USER})[^/\s@:]*:(?!\d*(?:[/,;?#\s'\"]|$))\S*(?=@)|(?<=://)[^/\s@][^/\s]*(?=@)"
)
# user:password@host:5432/database.
_ADDRESS = re.compile(r"(?<![^\s,;='\"])[^/\s@:,]+:[^/\s]+(?=@)")
# A query starts at "?" when a key and an equals sign follow; otherwise "?" is a wildcard.
_QUERY = re.compile(r"(?<=\?)[\w.~%-]+=\S*")
# Signatures of S3, Google and Azure, and what servers call their secrets.
_PARAMETER = re.compile(
    r"(?<=[?&;#])(?P<name>[\w.~%-]*(?:signature|credential|token|secret|passw|pwd|access_?key|api[_-]?key)[\w.~%-]*"
    r"|sig|auth|pass)=[^\s&;]+",
    re.IGNORECASE,
)
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")


def to_uri(text: str) -> str:
    """A path on this machine becomes an absolute ``file://`` URI; a URI stays as it is, without a trailing slash.

    A colon in the first part of a path is read as the end of a scheme; later ones belong to the path.

    Raises:
        ValueError: an empty text, an unknown scheme, or a URI that names no place.
    """
    known = ", ".join(f"{name}://" for name in SCHEMES.names)
    if not text:
        raise ValueError(f"an empty path; write a path, or a URI that begins with one of {known}")
    found = _SCHEME.match(text)
    if found is None:
        return "file://" + os.path.normpath(Path(text).expanduser().absolute())
    scheme, rest = found[1], text[found.end() :]
    try:
        SCHEMES.check(scheme)
    except ValueError as error:
        near = re.search(r"did you mean (\w+)\?", str(error))
        hints = [f"write {near[1]}://"] if near else []
        hints += [] if rest.startswith("//") else [f"a path is written ./{text}"]
        reason = "; ".join([f"unknown storage scheme {scheme!r}", *hints, f"known schemes: {known}"])
        raise ValueError(f"{masked(text)}: {reason}") from None
    if not rest.startswith("//"):
        summary = next(part.summary for part in SCHEMES if part.name == scheme)
        raise ValueError(f"{masked(text)}: {scheme}: must be followed by two slashes ({summary})")
    SCHEMES.load(scheme).check(text)
    return text.rstrip("/") if rest.strip("/") else text


def join(uri: str, *parts: str) -> str:
    """A URI below another."""
    return "/".join([uri.rstrip("/"), *(part.strip("/") for part in parts)])


def name(uri: str) -> str:
    """Last part of a URI."""
    return uri.rstrip("/").rpartition("/")[2]


def secret_in(text: str, *, free: bool = False, address: bool = False) -> str | None:
    """What looks like a secret in a URI or a list of URIs, in words that do not repeat it; None when nothing does.

    Args:
        text: any.
        free: whether it is free text, such as a reason, of which only ``scheme://user@`` is looked at.
        address: whether it is an address without a scheme, such as ``user:password@host``.
    """
    user = _USER.search(text)
    if (user and (not free or user["before"] is None or "://" in user["before"])) or (
        address and _ADDRESS.search(text)
    ):
        return "a user name or password before '@'"
    found = None if free else _PARAMETER.search(text)
    return None if found is None else f"a signature or key (the parameter {found['name']})"


def masked(text: str, *, address: bool = False) -> str:
    """A text in which secrets of URIs are replaced by ``***``: ``user:password@`` and queries (signatures).

    Args:
        text: any.
        address: whether ``user:password@host`` without a scheme is one, too.
    """
    text = _USER.sub(lambda found: f"{found['before'] or ''}***", text)
    text = _ADDRESS.sub("***", text) if address else text
    text = _PARAMETER.sub(lambda found: f"{found['name']}=***", text)
    return _QUERY.sub("***", text) if "://" in text else text
