"""Bytes behind URIs."""

from dflib.storage.storage import Counters, Entry, Storage, Versioned

__all__ = ["Counters", "Entry", "Storage", "Versioned"]
