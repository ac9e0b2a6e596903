"""Storage schemes, one module each; see :mod:`dflib.storage.scheme`."""
