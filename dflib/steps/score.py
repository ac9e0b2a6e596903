"""score: p_fake for each face that has no prediction of the model."""

from dflib.scoring.score import ScoreResult, score
from dflib.steps.step import Context, Step, Summary
from dflib.tables.current import NOT_CURRENT


def run(context: Context) -> Summary:
    config = context.config
    result = score(
        context.tables, context.storage, config.score, config.cluster, context.run_id, context.progress, context.dry_run
    )
    counts = {"faces": result.pending, "videos": result.videos, "predictions": result.written}
    counts |= {"not_current": result.not_current, "without_landmarks": result.without_landmarks}
    counts |= {"tasks": result.tasks, "loads": result.loads, "retries": result.retries}
    line = _line(result, context.dry_run)
    if result.not_current:
        line += f"; {result.not_current:,} faces left out ({NOT_CURRENT})"
    if result.without_landmarks:
        line += f"; {result.without_landmarks:,} faces left out (no landmarks, which the model's view needs)"
    return Summary(line, counts)


def _line(result: ScoreResult, dry_run: bool) -> str:
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


STEP = Step("score", run)
