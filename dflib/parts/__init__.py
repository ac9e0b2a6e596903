"""Named parts: everything that the configuration chooses by name.

:mod:`dflib.parts.catalog` lists them; :mod:`dflib.parts.kind` is the mechanism.
"""

from dflib.parts.kind import Kind, Part

__all__ = ["Kind", "Part"]
