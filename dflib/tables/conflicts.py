"""Commits that Delta refuses because another writer came in between: they are made again."""

import random
import re
import time
from collections.abc import Callable
from typing import TypeVar

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException

from dflib.errors import TableError

Result = TypeVar("Result")
ATTEMPTS = 12
PAUSE = 0.1
"""Seconds between two looks, and before the second attempt at most; doubled for each further one, up to
:data:`LONGEST_PAUSE`."""
LONGEST_PAUSE = 8.0
# By name: the exceptions of Delta's Python package have no common base class, and mostly Py4J's is raised instead.
_CONFLICT = re.compile(r"\b(?:Concurrent\w+|MetadataChanged|ProtocolChanged|DeltaConcurrentModification)Exception\b")


def retried(commit: Callable[[], Result], place: str) -> Result:
    """Calls ``commit`` until no other writer comes in between.

    Args:
        commit: makes one commit at most, from the newest version of the table.
        place: URI of the table.

    Raises:
        TableError: others came in between each time; nothing was written.
    """
    for attempt in range(ATTEMPTS):
        try:
            return commit()
        except (Py4JJavaError, PySparkException) as error:
            if not is_conflict(error):
                raise
        # Of chance, so that writers that have met do not meet again.
        time.sleep(random.uniform(0, min(LONGEST_PAUSE, PAUSE * 2**attempt)))
    raise TableError(
        f"{place}: nothing was written, because other jobs wrote to the table during each of {ATTEMPTS} attempts; run "
        "the job again when they have ended"
    )


def comes_true(condition: Callable[[], bool], seconds: float = 5.0) -> bool:
    """Whether ``condition`` holds, now or as soon as another writer's commit is complete.

    Args:
        condition: what the other writer's commit makes true.
        seconds: how long it is waited for.
    """
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(PAUSE)
    return True


def is_conflict(error: BaseException) -> bool:
    """Whether Delta refused a commit because of another writer's."""
    if isinstance(error, Py4JJavaError):
        text = str(error.java_exception.toString())
        return "io.delta.exceptions" in text and _CONFLICT.search(text) is not None
    return type(error).__module__.startswith("delta.") and _CONFLICT.search(type(error).__name__) is not None
