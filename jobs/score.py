"""score: a p_fake for each face that has none by this model yet."""

from dflib.scoring.score import ScoreResult, score
from dflib.steps.job import Job, Summary, main


def run(job: Job) -> Summary:
    config = job.config
    result = score(job.tables, job.storage, config.score, config.cluster, job.run_id, job.progress, job.dry_run)
    counts = {"faces": result.pending, "videos": result.videos, "predictions": result.written}
    counts |= {"not_current": result.not_current, "without_landmarks": result.without_landmarks}
    counts |= {"tasks": result.tasks, "loads": result.loads, "retries": result.retries}
    line = _line(result, job.dry_run)
    if result.not_current:
        line += f"; {result.not_current:,} faces left out (file changed or extraction cut short: run extract)"
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


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


if __name__ == "__main__":
    main("score", run)
