"""Errors of tasks, extracted from Spark's reports, and of the machine, in one line."""

from pathlib import Path

import pytest
from py4j.protocol import Py4JNetworkError

from dflib.errors import ClusterError, LostWorkerError, StorageError, VideoError
from dflib.runtime.failure import explained, raised_by_task

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


FULL = (
    f"{HEAD}org.apache.spark.SparkException: [TASK_WRITE_FAILED] Task failed while writing rows to file:/t/_stage/x.\n"
    f"{TRACE}Caused by: java.io.IOException: No space left on device\n{TRACE}"
)


@pytest.mark.parametrize("error", [RuntimeError(FULL), OSError(28, "No space left on device"), RuntimeError("x")])
def test_a_full_disk_is_told_by_the_room_on_each(error: Exception, tmp_path: Path) -> None:
    if str(error) == "x":
        error.__cause__ = OSError(28, "No space left on device", "/t/x")
    found = explained(error, {"tables.root": tmp_path / "not yet there", "temporary files": Path("/dev/shm")})
    assert isinstance(found, StorageError) and "\n" not in str(found)
    assert str(found).startswith("No space left on device: ")
    assert f"MB are left for tables.root ({tmp_path}/not yet there)" in str(found)
    assert "temporary files (/dev/shm)" in str(found) and "free some" in str(found)


@pytest.mark.parametrize(
    ("text", "place", "reason"),
    [
        (f"{HEAD}java.io.FileNotFoundException: /ro/t/_staging/x.parquet (Read-only file system)\n{TRACE}",
         "/ro/t/_staging/x.parquet", "Read-only file system"),
        (f"{HEAD}java.io.IOException: Mkdirs failed to create file:/ro/t/videos/_delta_log (exists=false)\n{TRACE}",
         "/ro/t/videos/_delta_log", "Mkdirs failed to create"),
        ("[Errno 13] Permission denied: '/models/m-1'", "/models/m-1", "Permission denied"),
        ("/ro/models/m/saved_model.pb; Read-only file system", "/ro/models/m/saved_model.pb", "Read-only file system"),
    ],
)  # fmt: skip
def test_a_place_that_can_not_be_written_is_named(text: str, place: str, reason: str) -> None:
    found = explained(RuntimeError(text), {})
    assert str(found) == f"{place}: {reason}; allow writing there, or set another folder"


def test_lost_and_starved_jvms_are_told() -> None:
    lost = explained(Py4JNetworkError("Answer from Java side is empty"), {})
    starved = explained(RuntimeError(f"{HEAD}java.lang.OutOfMemoryError: Java heap space\n{TRACE}"), {})
    assert isinstance(lost, ClusterError) and "JVM has ended" in str(lost)
    assert isinstance(starved, ClusterError) and "spark.driver.memory" in str(starved)


def test_errors_of_another_kind_keep_their_trace() -> None:
    assert explained(KeyError("x"), {"tables.root": Path("/")}) is None
    assert isinstance(explained(RuntimeError("dflib.errors.VideoError: UNREADABLE: no\n"), {}), VideoError)
