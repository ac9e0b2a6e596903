"""score: p_fake for each face that has no prediction of the model."""

import logging
from collections.abc import Sequence
from typing import Any

from dflib.errors import DflibError
from dflib.models import registry
from dflib.runtime.task_log import Origin
from dflib.scoring.score import ScoreResult, score
from dflib.steps.step import Context, Step, Summary
from dflib.tables.current import NOT_CURRENT
from dflib.tables.schemas import ALIASES, EXTRACTIONS, FACES, MODELS, PREDICTIONS, VIDEOS

log = logging.getLogger(__name__)


def run(context: Context) -> Summary:
    config = context.config
    models = registry.find_all(context.tables, config.score.model)
    results = []
    failed: list[DflibError] = []
    for number, model in enumerate(models):
        origin = Origin(context.run_id, "score", number)
        try:
            results.append(
                score(
                    *(context.tables, context.storage, model, config.score, config.cluster, origin),
                    context.progress,
                    context.dry_run,
                )
            )
        except DflibError as error:
            # Said at the end: other models score all the same.
            log.warning("no scores of %s: %s", model.model_id, error)
            failed.append(error)
    if failed:
        raise failed[0]
    lines = [_line(result, context.dry_run) for result in results]
    return Summary(lines[-1], _counts(results), "\n".join(lines[:-1]))


def _counts(results: Sequence[ScoreResult]) -> dict[str, Any]:
    """Sums over the models; faces that no model can score are counted once a model."""
    names = {
        "faces": "pending",
        "videos": "videos",
        "predictions": "written",
        "not_current": "not_current",
        "without_landmarks": "without_landmarks",
        "tasks": "tasks",
        "loads": "loads",
        "retries": "retries",
    }
    sums = {name: sum(getattr(result, field) for result in results) for name, field in names.items()}
    return sums | {"models": [result.model_id for result in results]}


def _line(result: ScoreResult, dry_run: bool) -> str:
    line = _outcome(result, dry_run)
    if result.not_current:
        line += f"; {result.not_current:,} faces left out ({NOT_CURRENT})"
    if result.without_landmarks:
        line += f"; {result.without_landmarks:,} faces left out (no landmarks, which the model's view needs)"
    return line


def _outcome(result: ScoreResult, dry_run: bool) -> str:
    if result.present == 0:
        return "nothing to do: there are no faces; run ingest and extract first"
    if result.pending == 0:
        return f"nothing to do: all {result.present:,} faces have a prediction by {result.model_id}"
    faces = f"{result.pending:,} faces of {result.videos:,} videos"
    if dry_run:
        return f"{faces} would be scored by {result.model_id}"
    tasks, loads = _counted(result.tasks, "task"), _counted(result.loads, "model load")
    workers = _counted(result.workers, "worker")
    return (
        f"{faces} scored by {result.model_id} in {tasks}, {loads} in {workers}; "
        f"p_fake mean {result.mean:.2f}; {result.seconds:.0f} s"
    )


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


STEP = Step(
    "score",
    run,
    reads=(FACES, EXTRACTIONS, VIDEOS, MODELS, ALIASES),
    writes=(PREDICTIONS,),
    settings=("score",),
    needs_tables=True,
)
