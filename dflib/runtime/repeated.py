"""Doing something now and then beside other work."""

import contextlib
import threading
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def every(seconds: float, do: Callable[[], None], over: threading.Event | None = None) -> Iterator[None]:
    """Calls ``do`` in a thread of its own every so many seconds of the block; it is not running any more after it.

    Args:
        do: raises nothing.
        over: what says that the block has ended.
    """
    ended = over or threading.Event()

    def run() -> None:
        while not ended.wait(seconds):
            do()

    thread = threading.Thread(target=run, name=getattr(do, "__name__", "every"), daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        # However long the last call takes: it must not come after what follows the block.
        thread.join()
