"""Paths are URIs everywhere: ``scheme://…``, with a scheme of the catalog (SCHEMES), never percent-encoded."""

import os
import re
from pathlib import Path

from dflib.parts.catalog import SCHEMES

# A password may hold slashes, as the keys of S3 do; digits before a slash are a port.  What begins without a scheme is
# an address such as user:password@host:5432/database.
_USER = re.compile(
    r"(?<=://)[^/\s]*(?=@)|(?<=://)[^/\s@]*:(?!\d*/)[^\s@]*(?=@)|(?<![^\s,;='\"])[^/\s@:,]+:[^/\s@]+(?=@)"
)
# A query starts at "?" when a key and an equals sign follow; otherwise "?" is a wildcard.
_QUERY = re.compile(r"(?<=\?)[\w.~%-]+=\S*")
# Signatures of S3, Google and Azure, and what servers call their secrets.
_PARAMETER = re.compile(
    r"(?<=[?&;])(?P<name>[\w.~%-]*(?:signature|credential|token|secret|passw|pwd|access_?key|api[_-]?key)[\w.~%-]*"
    r"|sig|auth|key)=[^\s&;]+",
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
        raise ValueError(f"{text}: {scheme}: must be followed by two slashes ({summary})")
    SCHEMES.load(scheme).check(text)
    return text.rstrip("/") if rest.strip("/") else text


def join(uri: str, *parts: str) -> str:
    """A URI below another."""
    return "/".join([uri.rstrip("/"), *(part.strip("/") for part in parts)])


def name(uri: str) -> str:
    """Last part of a URI."""
    return uri.rstrip("/").rpartition("/")[2]


def secret_in(text: str) -> str | None:
    """What looks like a secret in a URI or a list of URIs, in words that do not repeat it; None when nothing does."""
    if _USER.search(text):
        return "a user name or password before '@'"
    found = _PARAMETER.search(text)
    return None if found is None else f"a signature or key (the parameter {found['name']})"


def masked(text: str) -> str:
    """A text in which secrets of URIs are replaced by ``***``: ``user:password@`` and queries (signatures)."""
    text = _PARAMETER.sub(lambda found: f"{found['name']}=***", _USER.sub("***", text))
    return _QUERY.sub("***", text) if "://" in text else text
