"""Errors of tasks, extracted from Spark's reports, and of the machine, in one line."""

import socket
from pathlib import Path

import pytest
from py4j.clientserver import ClientServerConnection, JavaClient, JavaParameters, PythonParameters
from py4j.java_gateway import GatewayProperty, PythonProxyPool
from py4j.protocol import Py4JNetworkError
from pyspark.errors import PySparkException

from dflib.errors import ClusterError, LostWorkerError, StorageError, VideoError
from dflib.runtime.failure import explained, raised_by_task
from tests.ports import free_ports

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
        (f"{HEAD}[TASK_WRITE_FAILED] Task failed while writing rows to file:/t.\n{TRACE}"
         f"Caused by: java.io.FileNotFoundException: /t/x.parquet (Permission denied)\n{TRACE}",
         "/t/x.parquet", "Permission denied"),
        (f"{HEAD}java.io.FileNotFoundException: /ro/t/_staging/x.parquet (Read-only file system)\n{TRACE}",
         "/ro/t/_staging/x.parquet", "Read-only file system"),
        (f"{HEAD}java.io.IOException: Mkdirs failed to create file:/ro/t/videos/_delta_log (exists=false)\n{TRACE}",
         "/ro/t/videos/_delta_log", "Mkdirs failed to create"),
        ("/ro/models/m/saved_model.pb; Read-only file system", "/ro/models/m/saved_model.pb", "Read-only file system"),
    ],
)  # fmt: skip
def test_a_place_that_can_not_be_written_is_named(text: str, place: str, reason: str) -> None:
    found = explained(RuntimeError(text), {})
    assert str(found) == f"{place}: {reason}; allow writing there, or set another folder"


def test_a_place_that_can_not_be_read_or_written_is_named() -> None:
    found = explained(PermissionError(13, "Permission denied", "/models/m-1"), {})
    assert str(found) == "/models/m-1: Permission denied; allow reading or writing there, or set another folder"
    assert explained(OSError(13, "Permission denied"), {}) is None, "a port, say"


def raised(outer: BaseException, inner: BaseException, cause: bool = False) -> BaseException:
    """``outer``, raised while ``inner`` was handled."""
    try:
        try:
            raise inner
        except Exception:
            if cause:
                raise outer from inner
            raise outer  # noqa: B904
    except Exception as error:
        return error


def test_an_error_beside_another_has_a_reason_of_its_own() -> None:
    refused = PermissionError(13, "Permission denied", "/models/m-1")
    assert explained(raised(KeyError("x"), refused), {}) is None
    between = "\n\nDuring handling of the above exception, another exception occurred:\n\n"
    assert (
        explained(RuntimeError(f"{HEAD}PermissionError: Permission denied: '/x/y'{between}KeyError: x\n"), {}) is None
    )
    for outer, cause in ((KeyError("x"), True), (OSError("unreadable"), False), (PySparkException("failed"), False)):
        assert "/models/m-1: Permission denied" in str(explained(raised(outer, refused, cause), {}))


def test_a_jvm_that_is_gone_is_told_from_other_machines() -> None:
    (port,) = free_ports(1)
    with pytest.raises(ConnectionRefusedError) as other:
        socket.create_connection(("127.0.0.1", port))
    assert explained(other.value, {}) is None
    java, python = JavaParameters(port=port), PythonParameters()
    client = JavaClient(java, python)
    client.gateway_property = GatewayProperty(False, PythonProxyPool())
    connection = ClientServerConnection(java, python, client.gateway_property, client)
    with pytest.raises(ConnectionRefusedError) as gone:
        connection.connect_to_java_server()
    assert "JVM has ended" in str(explained(gone.value, {}))


def test_lost_and_starved_jvms_are_told() -> None:
    lost = explained(Py4JNetworkError("Answer from Java side is empty"), {})
    threads = explained(RuntimeError(f"{HEAD}java.lang.OutOfMemoryError: unable to create native thread\n{TRACE}"), {})
    assert isinstance(threads, ClusterError) and "ulimit -u" in str(threads) and "memory" not in str(threads)
    starved = explained(RuntimeError(f"{HEAD}java.lang.OutOfMemoryError: Java heap space\n{TRACE}"), {})
    assert isinstance(lost, ClusterError) and "JVM has ended" in str(lost)
    assert isinstance(starved, ClusterError) and "spark.driver.memory" in str(starved)


def test_errors_of_another_kind_keep_their_trace() -> None:
    assert explained(KeyError("x"), {"tables.root": Path("/")}) is None
    assert isinstance(explained(RuntimeError("dflib.errors.VideoError: UNREADABLE: no\n"), {}), VideoError)
