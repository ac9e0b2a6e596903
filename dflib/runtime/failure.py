"""The error that a task raised, extracted from Spark's report of the failed stage."""

import re

from dflib import errors
from dflib.errors import DflibError

# Up to a blank line or Java's stack trace: a message may have several lines.
_RAISED = re.compile(r"^dflib\.errors\.(\w+): (.+?)(?=\n\s*\n|\n\s+at |\s*\Z)", re.MULTILINE | re.DOTALL)


def raised_by_task(error: Exception) -> DflibError | None:
    """The dflib error that a task raised; None when Spark's error has another cause."""
    found = _RAISED.search(str(error))
    kind = getattr(errors, found[1], None) if found else None
    if found is None or not (isinstance(kind, type) and issubclass(kind, DflibError)):
        return None
    raised = kind.__new__(kind)
    # Not by its own constructor: some take more than a message.
    Exception.__init__(raised, found[2])
    return raised
