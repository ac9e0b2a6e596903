"""Progress of one Spark action from the tasks that it has finished."""

import contextlib
import threading
from collections.abc import Iterator

from pyspark.sql import SparkSession

from dflib.progress import Progress


@contextlib.contextmanager
def watched(spark: SparkSession, progress: Progress, what: str, total: int, every: float = 1.0) -> Iterator[None]:
    """Tells ``progress`` how far the Spark action inside the block has come.

    Spark says how many tasks of the running stages are done, not how many rows: ``total`` of ``what`` is taken
    to be spread evenly over the tasks of the widest stage that runs.

    Args:
        every: seconds between two questions to Spark.
    """
    tracker = spark.sparkContext.statusTracker()
    over = threading.Event()

    def ask() -> None:
        while not over.wait(every):
            stages = [tracker.getStageInfo(stage) for stage in tracker.getActiveStageIds()]
            widest = max((stage for stage in stages if stage), key=lambda stage: stage.numTasks, default=None)
            if widest and widest.numTasks:
                progress.set(total * widest.numCompletedTasks / widest.numTasks)

    progress.start(what, total)
    thread = threading.Thread(target=ask, name="progress", daemon=True)
    thread.start()
    try:
        yield
        progress.set(total)
    finally:
        over.set()
        thread.join()
        progress.finish()
