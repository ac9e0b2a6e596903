"""What a task says when it fails, out of Spark's long report of it."""

import re

from dflib import errors
from dflib.errors import DflibError

# Up to a blank line or Java's own trace: a text may have several lines.
_RAISED = re.compile(r"^dflib\.errors\.(\w+): (.+?)(?=\n\s*\n|\n\s+at |\s*\Z)", re.MULTILINE | re.DOTALL)


def told(error: Exception) -> DflibError | None:
    """The error that a task raised on purpose; None when Spark's error is about something else."""
    found = _RAISED.search(str(error))
    kind = getattr(errors, found[1], None) if found else None
    if found is None or not (isinstance(kind, type) and issubclass(kind, DflibError)):
        return None
    said = kind.__new__(kind)
    # Not by its own way of making: some take more than a text.
    Exception.__init__(said, found[2])
    return said
