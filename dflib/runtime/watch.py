"""Progress of one Spark action from the tasks that it has finished."""

import contextlib
import threading
from collections.abc import Iterator

from pyspark.sql import SparkSession

from dflib.runtime.progress import Progress

POLL_SECONDS = 1.0


@contextlib.contextmanager
def watched(spark: SparkSession, progress: Progress, count: int, before: int = 0) -> Iterator[None]:
    """Tells ``progress`` how far the Spark action inside the block has come.

    Spark says how many tasks of the running stages are done, not how many rows: the ``count`` that the action
    works on is taken to be spread evenly over the tasks of the widest stage that runs.

    Args:
        count: what the action works on, as a part of the total that ``progress`` was started with.
        before: what was done before it.
    """
    tracker = spark.sparkContext.statusTracker()
    over = threading.Event()

    def ask() -> None:
        while not over.wait(POLL_SECONDS):
            stages = [tracker.getStageInfo(stage) for stage in tracker.getActiveStageIds()]
            widest = max((stage for stage in stages if stage), key=lambda stage: stage.numTasks, default=None)
            if widest and widest.numTasks:
                progress.set(before + count * widest.numCompletedTasks / widest.numTasks)

    thread = threading.Thread(target=ask, name="progress", daemon=True)
    thread.start()
    try:
        yield
        progress.set(before + count)
    finally:
        over.set()
        thread.join()
