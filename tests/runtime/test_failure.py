"""Errors of tasks, extracted from Spark's reports."""

import pytest

from dflib.errors import LostWorkerError, VideoError
from dflib.runtime.failure import raised_by_task

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
def test_raised_by_task_keeps_all_lines_of_the_message(between: str) -> None:
    text = "worker 1 on h: training ended with code 1. Last lines of fit.log:\n2026 loaded\n  OOM when allocating"
    found = raised_by_task(RuntimeError(f"{HEAD}dflib.errors.LostWorkerError: {text}{between}{TRACE}"))
    assert type(found) is LostWorkerError and str(found) == text


def test_raised_by_task_ignores_other_errors() -> None:
    found = raised_by_task(RuntimeError("dflib.errors.VideoError: UNREADABLE: no\n"))
    assert type(found) is VideoError and str(found) == "UNREADABLE: no"
    assert raised_by_task(RuntimeError(f"{HEAD}ValueError: x\n{TRACE}")) is None
    assert raised_by_task(RuntimeError("dflib.errors.sys: x")) is None
