"""import_model: published weights become a model row, turned round to p_fake inside the graph."""

from dflib.config import Config
from dflib.models import published
from dflib.steps.job import Job, Summary, main


def check(config: Config) -> None:
    """Refuses missing settings, and a name that no model can have."""
    published.check(config.weights)


def run(job: Job) -> Summary:
    imported = published.import_weights(
        job.tables, job.storage, job.config.models.root, job.config.weights, job.dry_run
    )
    source = f"{job.config.weights.network} with {imported.parameters:,} parameters from {job.config.weights.path}"
    if job.dry_run:
        line = f"would be {imported.model_id}: {source}"
    elif imported.new:
        line = f"{imported.model_id} is {source}; its 1 means {job.config.weights.positive}, p_fake comes out"
    else:
        line = f"nothing to do: {imported.model_id} is there already, the same {source}"
    return Summary(line, {"models": int(imported.new), "parameters": imported.parameters})


if __name__ == "__main__":
    main("import_model", run, check)
