"""Errors of Spark, Py4J and the operating system that a user can mend, as errors of dflib with one line."""

import re
import shutil
import traceback
from collections.abc import Mapping
from pathlib import Path

from py4j.protocol import Py4JError, Py4JNetworkError
from pyspark.errors import PySparkException

from dflib import errors
from dflib.errors import ClusterError, DflibError, StorageError

# Up to a blank line or Java's stack trace: a message may have several lines.
_RAISED = re.compile(r"^dflib\.errors\.(\w+): (.+?)(?=\n\s*\n|\n\s+at |\s*\Z)", re.MULTILINE | re.DOTALL)
_FULL = re.compile(r"No space left on device|Disk quota exceeded|not enough space", re.IGNORECASE)
_REFUSED = re.compile(r"Read-only file system|Permission denied|Mkdirs failed to create|Operation not permitted")
_WRITING = re.compile(r"Read-only file system|Mkdirs failed to create|Task failed while writing|TASK_WRITE_FAILED")
_PATH = re.compile(r"(?:file:)?(/[^\s:,;'\"()]+)")


def explained(error: BaseException, places: Mapping[str, Path]) -> DflibError | None:
    """The error as one of dflib's, whose message names place, reason and mend; None for one of another kind.

    Args:
        error: any.
        places: folders of this machine that the job writes to, by what names them to the user.
    """
    raised = raised_by_task(error)
    if raised is not None:
        return raised
    text = _text(error)
    if full := _FULL.search(text):
        return StorageError(f"{full[0]}: {_room(places)}; free some, and run the job again: what is committed stays")
    refused = _REFUSED.search(text)
    if refused and (place := _place(text, refused)):
        access = "writing" if _WRITING.search(text) else "reading or writing"
        return StorageError(f"{place}: {refused[0]}; allow {access} there, or set another folder")
    if "unable to create native thread" in text:
        return ClusterError(
            "Java can't start another thread: the limit of processes of this user or container is reached (ulimit -u, "
            "pids of the container); raise it, or run fewer tasks at a time (-- --master local[2])"
        )
    if "java.lang.OutOfMemoryError" in text:
        return ClusterError(
            "Java has too little memory (OutOfMemoryError); run the job again with -- --conf spark.driver.memory=6g, "
            "on a cluster also with more spark.executor.memory"
        )
    if isinstance(error, Py4JNetworkError) or (isinstance(error, ConnectionError) and _is_of_py4j(error)):
        return ClusterError(
            "Spark's JVM has ended; the system may have killed it for memory (dmesg). Run the job again: what is "
            "committed stays"
        )
    return None


def raised_by_task(error: BaseException) -> DflibError | None:
    """The dflib error that a task raised; None when Spark's error has another cause."""
    found = _RAISED.search(str(error))
    kind = getattr(errors, found[1], None) if found else None
    if found is None or not (isinstance(kind, type) and issubclass(kind, DflibError)):
        return None
    raised = kind.__new__(kind)
    # Not by its own constructor: some take more than a message.
    Exception.__init__(raised, found[2])
    return raised


def _is_of_py4j(error: BaseException) -> bool:
    """Whether Py4J raised the error, which connects to the JVM only."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    return bool(frames) and str(frames[-1].f_globals.get("__name__")).startswith("py4j.")


_MEANWHILE = "During handling of the above exception, another exception occurred:"


def _text(error: BaseException) -> str:
    """What an error and its causes say; what an error was raised beside is a cause only of one of the same kind."""
    texts: list[str] = []
    seen: BaseException | None = error
    while seen is not None and len(texts) < 20:
        # The trace of a task holds its errors as well, the last one at the end.
        texts.append(str(seen).rpartition(_MEANWHILE)[2])
        beside = None if seen.__suppress_context__ or not _is_of_machine(seen) else seen.__context__
        seen = seen.__cause__ or beside
    return "\n".join(texts)


def _is_of_machine(error: BaseException) -> bool:
    return isinstance(error, OSError | PySparkException | Py4JError)


def _room(places: Mapping[str, Path]) -> str:
    """The room on the disks of the places, the smallest first.

    Not only that of a full one: what filled it is mostly gone when the write has failed.
    """
    disks: dict[int, tuple[int, list[str]]] = {}
    for name, path in places.items():
        there = next((folder for folder in (path, *path.parents) if folder.exists()), None)
        if there is not None:
            _, names = disks.setdefault(there.stat().st_dev, (shutil.disk_usage(there).free, []))
            names.append(f"{name} ({path})")
    rooms = [f"{free / 1e6:,.1f} MB are left for {', '.join(names)}" for free, names in sorted(disks.values())]
    return "; ".join(rooms) or "on a disk of a worker"


def _place(text: str, reason: re.Match[str]) -> str | None:
    """The path that is named nearest to the reason, after or before it on its line; None without one."""
    begin, end = text.rfind("\n", 0, reason.start()) + 1, text.find("\n", reason.end())
    after = _PATH.search(text, reason.end(), end if end >= 0 else len(text))
    before = _PATH.findall(text, begin, reason.start())
    return before[-1] if before else after[1] if after else None
