"""Bytes behind URIs."""

from dflib.storage.counters import Counters
from dflib.storage.scheme import UNREADABLE, Entry, Versioned, content_etags, for_jvm, from_jvm, local_path, scheme_of
from dflib.storage.storage import Storage

__all__ = [
    "UNREADABLE",
    "Counters",
    "Entry",
    "Storage",
    "Versioned",
    "content_etags",
    "for_jvm",
    "from_jvm",
    "local_path",
    "scheme_of",
]
