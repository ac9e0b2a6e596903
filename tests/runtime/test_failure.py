"""What a task raised, out of what Spark says."""

import pytest

from dflib.errors import LostWorkerError, VideoError
from dflib.runtime.failure import told

HEAD = """An error occurred while calling o1.collect.
: org.apache.spark.SparkException: Job aborted: o.a.s.api.python.PythonException: Traceback (most recent call last):
  File "/x/worker.py", line 1, in main
    process()
"""
TRACE = """\tat org.apache.spark.api.python.BasePythonRunner.x(PythonRunner.scala:1)
\tat java.lang.Thread.run(Thread.java:1)
"""


@pytest.mark.parametrize(
    "between", ["\n", "\n\n", "\n\nDuring handling of the above exception, another exception occurred:\n\n"]
)
def test_all_lines_of_the_text_are_told(between: str) -> None:
    text = "worker 1 on h: training ended with code 1. Last lines of fit.log:\n2026 loaded\n  OOM when allocating"
    found = told(RuntimeError(f"{HEAD}dflib.errors.LostWorkerError: {text}{between}{TRACE}"))
    assert type(found) is LostWorkerError and str(found) == text


def test_one_line_at_the_end() -> None:
    found = told(RuntimeError("dflib.errors.VideoError: UNREADABLE: no\n"))
    assert type(found) is VideoError and str(found) == "UNREADABLE: no"
    assert told(RuntimeError(f"{HEAD}ValueError: x\n{TRACE}")) is None
    assert told(RuntimeError("dflib.errors.sys: x")) is None
