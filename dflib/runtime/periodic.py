"""Work that is repeated in a thread beside the main one, such as polling the progress of Spark."""

import contextlib
import threading
from collections.abc import Callable, Iterator

from pyspark.sql import SparkSession

from dflib.runtime.progress import Progress

POLL_SECONDS = 1.0
"""Between two looks at the tasks of Spark."""


@contextlib.contextmanager
def every(seconds: float, do: Callable[[], None], ended: threading.Event | None = None) -> Iterator[None]:
    """Calls ``do`` every so many seconds of the block, in a thread of its own; never after the block.

    Args:
        do: raises nothing; its name becomes the thread's.
        ended: set when the block ends; the thread waits on it between two calls.
    """
    end = ended or threading.Event()

    def repeat() -> None:
        while not end.wait(seconds):
            do()

    thread = threading.Thread(target=repeat, name=do.__name__, daemon=True)
    thread.start()
    try:
        yield
    finally:
        end.set()
        # However long the last call takes: it must not come after what follows the block.
        thread.join()


@contextlib.contextmanager
def watched(spark: SparkSession, progress: Progress, count: int, before: int = 0) -> Iterator[None]:
    """Updates ``progress`` from the finished tasks of the Spark action in the block.

    Spark reports how many tasks of the running stages have finished, not how many rows: the ``count`` of the action is
    taken to be spread evenly over the tasks of the widest running stage.

    Args:
        count: size of the action, as a part of the total that ``progress`` was started with.
        before: done before the action.
    """
    tracker = spark.sparkContext.statusTracker()

    def poll_tasks() -> None:
        stages = [tracker.getStageInfo(stage) for stage in tracker.getActiveStageIds()]
        widest = max((stage for stage in stages if stage), key=lambda stage: stage.numTasks, default=None)
        if widest and widest.numTasks:
            progress.set(before + count * widest.numCompletedTasks / widest.numTasks)

    with every(POLL_SECONDS, poll_tasks):
        yield
    progress.set(before + count)
