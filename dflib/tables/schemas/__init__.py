"""One Arrow schema per table; the Spark schemas are derived from them.

Every Arrow batch that is written to a table is built with its schema.  Key columns are NOT NULL.  Optional columns are
nullable from the start, since NOT NULL can't be added later.
"""

from dflib.tables.schemas.extraction import EXTRACTIONS, FACES, FRAMES
from dflib.tables.schemas.models import ALIASES, MODELS, SPLITS, TRAINING_SET
from dflib.tables.schemas.runs import CHECKS, TASKS
from dflib.tables.schemas.scoring import CHANGES, HELD_VERDICTS, METRICS, PREDICTIONS, PUBLICATIONS, VERDICTS
from dflib.tables.schemas.sources import CHUNKS, FORGOTTEN, VIDEOS
from dflib.tables.schemas.table import Table

__all__ = [
    "ALIASES",
    "CHANGES",
    "CHECKS",
    "CHUNKS",
    "EXTRACTIONS",
    "FACES",
    "FORGOTTEN",
    "FRAMES",
    "HELD_VERDICTS",
    "METRICS",
    "MODELS",
    "PREDICTIONS",
    "PUBLICATIONS",
    "SPLITS",
    "TABLES",
    "TASKS",
    "TRAINING_SET",
    "VERDICTS",
    "VIDEOS",
    "Table",
]

TABLES: dict[str, Table] = {
    table.name: table
    for table in (
        CHUNKS,
        VIDEOS,
        EXTRACTIONS,
        FRAMES,
        FACES,
        MODELS,
        ALIASES,
        PREDICTIONS,
        VERDICTS,
        HELD_VERDICTS,
        PUBLICATIONS,
        CHANGES,
        METRICS,
        SPLITS,
        CHECKS,
        TASKS,
        FORGOTTEN,
    )
}
"""Tables in ``<tables.root>/<name>``, by name.  Training sets are in ``training_sets/<set_id>``."""
