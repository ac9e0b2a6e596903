"""promote: an alias, such as champion, stands for another model from now on."""

from dflib.config import Config
from dflib.errors import ConfigError
from dflib.models import aliases, mlflow_registry, promotion
from dflib.steps import mlflow
from dflib.steps.step import Argument, Context, Step, Summary


def check(config: Config) -> None:
    """Raises :class:`ConfigError` when the model or the alias is missing, or the alias can't be a name."""
    if not config.promote.model or not config.promote.alias:
        raise ConfigError("promote.model and promote.alias: set both, as in 'promote MODEL --as champion'")
    aliases.check_name(config.promote.alias, "promote.alias")
    mlflow_registry.check(config.models.mlflow)


def run(context: Context) -> Summary:
    wanted = context.config.promote
    assert wanted.model is not None and wanted.alias is not None
    done = promotion.promote(
        context.tables, wanted.model, wanted.alias, context.submitted_by, wanted.reason, context.dry_run
    )
    before = "a new alias" if done.before is None else f"{done.before} before"
    line = f"{wanted.alias} {'would stand' if context.dry_run else 'stands'} for {done.model_id}, {before}"
    if done.before == done.model_id:
        line = f"nothing to do: {wanted.alias} stands for {done.model_id} already"
    line += mlflow.copy(context)
    return Summary(line, {"alias": wanted.alias, "model_id": done.model_id, "before": done.before})


STEP = Step(
    "promote",
    run,
    check,
    arguments=(
        Argument("MODEL", "promote.model", "model_id, or another alias"),
        Argument("--as", "promote.alias", "the alias, such as champion or challenger"),
        Argument("--why", "promote.reason", "why, for the table aliases", required=False),
    ),
    needs_tables=True,
)
