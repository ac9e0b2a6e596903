"""Which Python runs what, seen from outside while a job runs."""

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil


@contextlib.contextmanager
def watched(below: Path) -> Iterator[dict[Path, str]]:
    """The Pythons that run below a folder, seen in the block: each executable, and the PYTHONPATH of its process.

    A process belongs to those whose working folder lies there, which is so of what executors and YARN start.
    """
    seen: dict[Path, str] = {}
    done = threading.Event()

    def look() -> None:
        while not done.wait(0.3):
            for process in psutil.Process().children(recursive=True):
                with contextlib.suppress(psutil.Error):
                    executable = Path(process.exe())
                    # Not the launcher, which is a shell until it has started Python.
                    if executable.name.startswith("python") and Path(process.cwd()).is_relative_to(below):
                        seen[executable] = process.environ().get("PYTHONPATH", "")

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        done.set()
        thread.join()
