"""import_model: published weights as a model of dflib; its output is p_fake."""

from dflib.config import Config
from dflib.models import aliases, import_model, mlflow_registry, promotion
from dflib.steps import mlflow
from dflib.steps.step import Context, Step, Summary


def check(config: Config) -> None:
    """Raises :class:`ConfigError` on missing settings or a name that no model can have."""
    import_model.check(config.weights)
    mlflow_registry.check(config.models.mlflow)


def run(context: Context) -> Summary:
    weights = context.config.weights
    imported = import_model.import_model(
        context.tables, context.storage, context.config.models.root, weights, context.dry_run
    )
    source = f"{weights.network} with {imported.parameters:,} parameters from {weights.path}"
    if context.dry_run:
        line = f"would be {imported.model_id}: {source}"
    elif imported.new:
        line = f"{imported.model_id} is {source}; its 1 means {weights.positive}, p_fake comes out"
    else:
        line = f"nothing to do: {imported.model_id} is there already, the same {source}"
    if not context.dry_run and promotion.promote_first(context.tables, imported.model_id, context.run_id):
        line += f"; it is the first model and becomes the {aliases.CHAMPION}"
    line += mlflow.copy(context)
    return Summary(line, {"models": int(imported.new), "parameters": imported.parameters})


STEP = Step("import_model", run, check)
