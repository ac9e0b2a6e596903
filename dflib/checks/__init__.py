"""Data checks: what must be true of the tables, measured as a number that must not exceed a bound.

A check is a module of this package and a line in :data:`dflib.parts.catalog.CHECKS`.  The module defines ``PART``, a
function of the tables that returns a :class:`Measured`.  The argument of the check in the configuration is its bound;
checks without one must measure 0.
"""

from collections.abc import Callable
from dataclasses import dataclass

from dflib.tables.store import Tables


@dataclass(frozen=True)
class Measured:
    """What a check found.

    Attributes:
        value: the number that is compared with the bound; None when there is nothing to measure.
        detail: what it is about, such as the first rows that are wrong; may be empty.
    """

    value: float | None
    detail: str = ""


CheckPart = Callable[[Tables], Measured]
"""What a module of this package defines as ``PART``."""
